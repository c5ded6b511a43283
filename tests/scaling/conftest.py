"""Runs that were never measured: records whose latency follows a law that the test names, with log-normal noise."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from capratio.cost import (
    LayerSpec,
    VisitedNodes,
    closed_form,
    executed_flop,
    executed_routing,
    has_orders,
    touched_parameters,
)
from capratio.cost.spec import expected_visited
from capratio.records.record import Exact, Memory, Point, Record, Timing
from capratio.scaling.margins import Margins, default_margins

# Between and within processes, as measured on shared machines.
BETWEEN = 0.03
WITHIN = 0.005
MACHINE = {"caches": {"L1d": 32 * 2**10, "L1i": 32 * 2**10, "L2": 2**20, "L3": 32 * 2**20}}

Law = Callable[[Point], float]


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Makes records; ``seed`` draws the noise."""

    seed: int = 0
    between: float = BETWEEN

    def record(
        self, claims: tuple[str, ...] = (), latency_s: float = 1e-4, replicate: int = 0, **given: object
    ) -> Record:
        """One process of a case, its exact figures from the closed forms."""
        fields: dict[str, object] = {
            "layer": "tree-shared",
            "form": "path",
            "in_features": 64,
            "out_features": 48,
            "depth": 3,
            "tokens": 1,
            "dtype": "float32",
            "device": "cpu",
            "pass_": "decode",
            "cache": "cold",
            "input": "text",
            "routing": "measured",
            "backend": "reference",
            "threads": 1,
        } | given
        point = Point(**fields)  # type: ignore[arg-type]
        spec = LayerSpec(
            point.layer, point.in_features, point.out_features, point.depth, point.form, point.bias, point.gate
        )
        order = (point.order or "prefixes") if has_orders(spec) else None
        point = replace(point, order=order)
        visited = _visited(spec, point.tokens)
        flop, law = executed_flop(spec, visited, point.pass_, order), closed_form(spec)
        case = f"{point.layer}[{point.form},{point.order}]/p{point.in_features}-q{point.out_features}-k{point.depth}"
        case += f"/n{point.tokens}/{point.pass_}/{point.cache}/{point.routing}"
        noise = np.random.default_rng([self.seed, replicate, *case.encode()])
        process_s = latency_s * math.exp(noise.normal(0.0, self.between))
        samples = process_s * np.exp(noise.normal(0.0, WITHIN, 9))
        return Record(
            case=case,
            replicate=replicate,
            block=replicate,
            suite="simulated",
            group="line",
            claims=claims,
            status="measured",
            reason=None,
            started_at="2026-05-04T10:00:00+00:00",
            point=point,
            exact=Exact(
                flop=flop.as_dict(),
                promised_flop=flop.as_dict(),
                law_flop=law.flop.as_dict(),
                routing_operations=executed_routing(spec, point.tokens, point.pass_),
                parameters=law.parameters,
                weight_parameters=law.weight_parameters,
                touched_parameters=touched_parameters(spec, visited),
                expected_touched_parameters=None,
                compulsory_bytes=4 * touched_parameters(spec, visited),
                op_bytes=0,
                visited_levels=visited.levels,
                expected_visited_levels=None,
                capacity_ratio=law.capacity_ratio,
                capacity_ratio_all=law.capacity_ratio_all,
            ),
            timing=Timing(tuple(float(sample) for sample in samples), 3, 0, "count", 0.0),
            memory=Memory(4 * law.parameters, 4 * point.tokens * point.out_features, None, None, None, {}),
        )

    def line(
        self,
        claim: str,
        overhead: Law,
        *,
        swept: str = "depth",
        sizes: Iterable[int] = range(1, 13),
        processes: int = 7,
        dense_s: float | Law = 113e-6,
        **given: object,
    ) -> list[Record]:
        """A line over one size with its dense layers; the overhead follows the law that is given, seconds."""
        made: dict[tuple[str, int], Record] = {}
        for size in sizes:
            for replicate in range(processes):
                fields = {**given, swept: size}
                probe = self.record(**fields).point  # type: ignore[arg-type]
                base = dense_s(probe) if callable(dense_s) else dense_s
                total = base + overhead(probe)
                tree = self.record((claim,), total, replicate, **fields)
                sizes_of = {name: getattr(probe, name) for name in ("in_features", "out_features", "tokens")}
                call = {name: getattr(probe, name) for name in ("pass_", "cache")}
                dense = self.record((), base, replicate, layer="dense", form="path", depth=0, **sizes_of, **call)
                made[tree.case, replicate] = tree
                made[dense.case, replicate] = dense
        return list(made.values())


def _visited(spec: LayerSpec, tokens: int) -> VisitedNodes:
    """About what uniform routing would visit, within what a batch can."""
    levels = [spec.trees]
    for expected in expected_visited(spec, tokens)[1:]:
        most = min(2 * levels[-1], spec.trees * tokens)
        levels.append(max(levels[-1], min(most, round(expected))))
    return VisitedNodes(tokens, tuple(levels))


@pytest.fixture
def laboratory() -> Laboratory:
    """Makes records with the usual noise."""
    return Laboratory()


@pytest.fixture(scope="session")
def laboratory_of() -> Callable[..., Laboratory]:
    """Makes a laboratory of a seed and a spread of its own."""
    return Laboratory


@pytest.fixture(scope="session")
def margins() -> Margins:
    """The package's margins with fewer bootstrap draws, so that simulations are quick."""
    return replace(default_margins(), bootstrap_draws=400)


@pytest.fixture(scope="session")
def machine() -> dict[str, object]:
    """A machine with three cache levels."""
    return dict(MACHINE)
