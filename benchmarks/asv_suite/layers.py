"""Every layer over its depth: numbers of one sweep, tracked, and asv's own clock and memory beside those of trees.

``track_`` numbers are of a sweep: the latency is the median of one process. ``time_`` and ``peakmem_`` follow asv's
protocol and are never compared with them.
"""

from math import nan
from typing import Any

from . import records

TREES = [
    "dense",
    "tree-shared",
    "tree-shared, collapsed",
    "tree-unit",
    "tree-unit, collapsed",
    "tree-bias",
    "tree-bias, collapsed",
    "fast-feedforward",
    "fast-feedforward, leaf",
]
# Their options stand in the case file alone, so that a sweep measures them and asv's own clock does not.
SYSTEMS = [
    "act",
    "altup",
    "block-policy",
    "dynamic-gate",
    "memory-table",
    "moe-sparse",
    "moe-st",
    "product-key",
    "winner-take-all",
]
SERIES = TREES + SYSTEMS
DEPTHS = [0, 4, 8]
# Only trees have a depth; the unit tree stops at 4, to keep a commit short.
LEFT_OUT = [
    *((layer, depth) for layer in ("dense", *SYSTEMS) for depth in (4, 8)),
    ("tree-unit", 8),
    ("tree-unit, collapsed", 8),
]
FEATURES, TOKENS = 256, 64


def say_why(measured: dict[records.Key, records.Found], layer: str, depth: int) -> None:
    """A skip with its reason, once for all depths of a layer that share it: asv prints it under the table."""
    why = measured[layer, depth]
    depths = [each for each in DEPTHS if measured.get((layer, each)) == why]
    if isinstance(why, str) and depth == depths[0]:
        # asv takes this for a skip in a setup, and for a failure in a benchmark.
        raise NotImplementedError(f"no {layer} at k = {', '.join(map(str, depths))}: {why}")


class Tracked:
    """The numbers of one sweep over all layers, which runs once a commit."""

    params = (SERIES, DEPTHS)
    param_names = ("layer", "k")
    skip_params = LEFT_OUT
    timeout = 1200

    def setup_cache(self) -> dict[records.Key, records.Found]:
        return records.measure()

    def track_latency_s(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "latency_s")

    def track_product_flop(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "product_flop")

    def track_overhead_flop(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "overhead_flop")

    def track_gating_flop(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "gating_flop")

    def track_op_bytes(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "op_bytes")

    def track_compulsory_bytes(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "compulsory_bytes")

    def track_allocated_peak_bytes(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "allocated_peak_bytes")

    def track_parameters(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "parameters")

    def track_touched_parameters(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "touched_parameters")

    def track_capacity_ratio(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "capacity_ratio")

    def track_efficiency(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "efficiency")

    def track_distinct_leaves(self, measured: Any, layer: str, depth: int) -> float:
        return tracked(measured, layer, depth, "distinct_leaves")

    # asv starts a process for each number of each layer: of systems it asks for none that follows from the others.
    track_distinct_leaves.params = track_capacity_ratio.params = track_compulsory_bytes.params = (  # type: ignore[attr-defined]
        TREES,
        DEPTHS,
    )
    track_touched_parameters.params = (SYSTEMS, [0])  # type: ignore[attr-defined]
    # What is missing is missing in all of these: one of them says why.
    track_latency_s.setup = say_why  # type: ignore[attr-defined]
    track_latency_s.unit = "seconds"  # type: ignore[attr-defined]
    track_product_flop.unit = track_overhead_flop.unit = track_gating_flop.unit = "FLOP"  # type: ignore[attr-defined]
    track_op_bytes.unit = track_compulsory_bytes.unit = track_allocated_peak_bytes.unit = "bytes"  # type: ignore[attr-defined]
    track_parameters.unit = track_touched_parameters.unit = "parameters"  # type: ignore[attr-defined]
    track_capacity_ratio.unit = "times a dense layer's"  # type: ignore[attr-defined]
    track_efficiency.unit = "of the machine's limit"  # type: ignore[attr-defined]
    track_distinct_leaves.unit = "leaves"  # type: ignore[attr-defined]


class Called:
    """A forward pass under inference mode, by asv's clock and memory."""

    params = (TREES, DEPTHS)
    param_names = ("layer", "k")
    skip_params = LEFT_OUT

    def setup(self, layer: str, depth: int) -> None:
        self.call = forward(layer, depth)
        # Kernels are compiled before asv's clock starts.
        self.call()

    def time_forward(self, layer: str, depth: int) -> None:
        self.call()

    def peakmem_forward(self, layer: str, depth: int) -> None:
        self.call()


def tracked(measured: dict[records.Key, records.Found], layer: str, depth: int, name: str) -> float:
    """The number, or none that asv would draw where the commit does not count it."""
    numbers = measured[layer, depth]
    return nan if isinstance(numbers, str) else numbers.get(name, nan)


def forward(layer: str, depth: int) -> Any:
    """One call of a layer, or a skip where the commit lacks it."""
    name, _, form = layer.partition(", ")
    gate: dict[str, Any] = {"gate": "descent"} if name == "fast-feedforward" else {}
    try:
        import torch

        from capratio.cost.spec import LayerSpec
        from capratio.layers.table import build

        built = build(LayerSpec(name, FEATURES, FEATURES, depth, form or "path", **gate), init="random")
    except Exception as error:
        raise NotImplementedError(f"no {layer} at k = {depth}: {error}") from None
    x = torch.randn(TOKENS, FEATURES, generator=torch.Generator().manual_seed(1))

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return built(x)  # type: ignore[no-any-return]

    torch.set_num_threads(1)
    return call
