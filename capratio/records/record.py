"""One process's measurement of one case, or the reason why there is none."""

from dataclasses import dataclass
from statistics import median

SCHEMA = 1

STATUSES = ("measured", "refused", "out-of-memory", "timed-out", "crashed", "wrong", "failed")


@dataclass(frozen=True, slots=True)
class Point:
    """Where in the space of cases a record lies.

    layer: an id, or ``package.module:Class`` of a user's layer. form, order, gate, weight_gradient: as in
    ``capratio.cost``; ``order`` is the order that ran. options: other options of the layer. in_features, out_features,
    depth, tokens: counts. pass_: ``forward``, ``forward-grad``, ``decode`` or ``train``. cache: ``warm`` or ``cold``.
    input, routing: names of ``capratio.inputs``. backend: the one that ran. threads: intra-op threads.
    """

    layer: str
    form: str
    in_features: int
    out_features: int
    depth: int
    tokens: int
    dtype: str
    device: str
    pass_: str
    cache: str
    input: str
    routing: str
    backend: str
    threads: int
    bias: bool = True
    gate: str = "signs"
    order: str | None = None
    options: dict[str, str] | None = None
    weight_gradient: str = "dense"


@dataclass(frozen=True, slots=True)
class Exact:
    """Integers that a closed form promises and the measurement counted.

    flop, promised_flop: executed FLOP by class (product, overhead, gating, bias, padded), counted while the case
    ran and from the closed form for the nodes that were visited; ``promised_flop`` is None for a layer without a
    closed form. law_flop: FLOP by class of one token in the paper's accounting, or of as many tokens as
    share what only one of them computes. routing_operations: executed
    compares, sort steps and index arithmetic. parameters: all; weight_parameters: the weight table alone;
    touched_parameters: those that the visited nodes hold. expected_touched_parameters: the same under uniform
    routing, a float. compulsory_bytes: what must cross the memory interface once. op_bytes: what the operations
    read and wrote. visited_levels: distinct nodes at level 0..k. sampled_levels: the same over the tokens of all
    samples together (a ``decode`` sample is one token). expected_visited_levels: under uniform routing, floats.
    visits: of a system that is no tree, what the call reached, by name, such as ``experts``; expected_visits: the same
    under uniform routing, floats.
    capacity_ratio: weight parameters per FLOP over dense; capacity_ratio_all: with bias, gate and gating in.
    flop_is_lower_bound: an operation without a formula ran (user's layers only); unknown_operations names them.
    """

    flop: dict[str, int]
    promised_flop: dict[str, int] | None
    law_flop: dict[str, int] | None
    routing_operations: int
    parameters: int
    weight_parameters: int
    touched_parameters: int | None
    expected_touched_parameters: float | None
    compulsory_bytes: int | None
    op_bytes: int
    visited_levels: tuple[int, ...] | None
    expected_visited_levels: tuple[float, ...] | None
    capacity_ratio: float | None
    capacity_ratio_all: float | None
    sampled_levels: tuple[int, ...] | None = None
    flop_is_lower_bound: bool = False
    unknown_operations: tuple[str, ...] = ()
    visits: dict[str, int] | None = None
    expected_visits: dict[str, float] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """What two commits must agree on to the integer, by name; what is not known is left out."""
        named = {
            "flop": sum(self.flop.values()),
            "op_bytes": self.op_bytes,
            "compulsory_bytes": self.compulsory_bytes,
            "parameters": self.parameters,
            "touched_parameters": self.touched_parameters,
            "routing_operations": self.routing_operations,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Timing:
    """Latency samples of one process, in time order, none removed.

    samples_s: seconds of each timed call. warmup_calls: untimed calls before. discarded_calls: throttled samples
    thrown away (CUDA only). stopped_because: ``noise``, ``count`` or ``time``. started_s: seconds since the run
    began. device_samples_s: device time of each sample on CUDA, else None. throttled: whether samples of a device whose
    clock was low had to be kept (CUDA only). compile_s: seconds that the process compiled kernels for this case, before
    its first sample: 0 where an earlier case or process had left them, None where nobody looked.
    """

    samples_s: tuple[float, ...]
    warmup_calls: int
    discarded_calls: int
    stopped_because: str
    started_s: float
    device_samples_s: tuple[float, ...] | None = None
    throttled: bool = False
    compile_s: float | None = None

    @property
    def latency_s(self) -> float:
        """The process's median, seconds: of the device's time where there is one, else of the clock's."""
        return median(self.device_samples_s or self.samples_s)


@dataclass(frozen=True, slots=True)
class Memory:
    """Named memory numbers, never mixed; a number that this device has not is None.

    state_bytes: what the layer's parameters and buffers hold. allocated_peak_bytes: peak of torch's allocator
    during one call, minus its start. reserved_peak_bytes: torch's CUDA pool. device_used_peak_bytes: NVML.
    resident_peak_bytes: peak resident set of the process minus the same process before the layer was built (CPU).
    absent: why a number is None, by its name.
    """

    state_bytes: int
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    device_used_peak_bytes: int | None
    resident_peak_bytes: int | None
    absent: dict[str, str]


@dataclass(frozen=True, slots=True)
class Limit:
    """The roofline of the case on this machine, from ceilings measured in the same run.

    limit_s: the larger of compulsory bytes / bandwidth and FLOP / rate. bound: ``memory`` or ``compute``.
    bandwidth_bytes_per_s, flop_per_s: the ceilings that were read. ceilings_spread: their relative spread.
    """

    limit_s: float
    bound: str
    bandwidth_bytes_per_s: float
    flop_per_s: float
    ceilings_spread: float


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of one call and the clocks while it ran; None with ``absent_because`` where NVML is not there."""

    energy_j: float | None
    sm_clock_hz: float | None
    temperature_c: float | None
    power_w: float | None
    throttle_reasons: tuple[str, ...]
    absent_because: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """One replicate of one case.

    case: its id. replicate: 0, 1, … block: the position of its process in the run. suite, group: the case file and
    the named group in it. claims: the claims that this case serves. status: one of ``STATUSES``; reason: one
    sentence when not ``measured``. started_at: ISO time, UTC. commit: the source's, or None. loadavg: one-minute
    load when it began.
    """

    case: str
    replicate: int
    block: int
    suite: str
    group: str
    claims: tuple[str, ...]
    status: str
    reason: str | None
    started_at: str
    point: Point
    exact: Exact | None = None
    timing: Timing | None = None
    memory: Memory | None = None
    limit: Limit | None = None
    energy: Energy | None = None
    commit: str | None = None
    loadavg: float | None = None
    schema: int = SCHEMA

    @property
    def measured(self) -> bool:
        """Whether the record carries samples."""
        return self.status == "measured"
