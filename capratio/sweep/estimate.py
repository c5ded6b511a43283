"""What cases will need, known before anything is allocated."""

from collections.abc import Sequence

from capratio.cost import closed_form
from capratio.cost.dtypes import ITEM_BYTES
from capratio.cost.spec import LayerSpec
from capratio.measure.eviction import TIMES_LAST_LEVEL
from capratio.measure.machine import last_level_cache_bytes
from capratio.records.record import Point
from capratio.sweep.case import Case, is_user_layer, spec_of
from capratio.sweep.job import Job

# An interpreter with torch imported, and the float64 reference of one token's nodes, which is small beside a table.
PROCESS_BYTES = 400 * 2**20
# As seen on two shared cores, for plans only: starting a process with torch; counting and verifying a case; measuring
# ceilings, again every ten minutes.
PROCESS_S = 2.0
CASE_S = 0.6
CEILINGS_S = 8.0
CEILINGS_EVERY_S = 600.0
# A case that gathers every token's matrix does so about seven times, page faults included.
GATHERED_BYTES_PER_S = 1e8
# Filling a fresh table and giving it back, page faults included.
FILL_BYTES_PER_S = 5e8


def estimated_bytes(point: Point) -> int:
    """Memory of the process that measures a point: tables (and their gradients), activations, what is streamed."""
    itemsize = ITEM_BYTES[point.dtype]
    tables = table_bytes(point)
    # The gradients of the verified call are kept beside those of each later one.
    kept = 2 * gradient_bytes(point)
    # Inputs are drawn in float64 on the host.
    drawn = 8 if point.device == "cpu" else 0
    activations = 8 * max(point.tokens, 64) * (point.in_features + point.out_features) * (itemsize + drawn)
    index = 8 * point.tokens * point.in_features * (point.depth + 2) if point.layer == "tree-unit" else 0
    path = (point.depth + 2) * point.in_features * point.out_features * 16
    streamed = TIMES_LAST_LEVEL * last_level_cache_bytes() if (point.cache, point.device) == ("cold", "cpu") else 0
    return PROCESS_BYTES + tables + kept + gathered_bytes(point) + activations + 3 * index + path + streamed


def gathered_bytes(point: Point) -> int:
    """What a backend that gathers every token's matrix holds beside the tables."""
    if point.backend != "gather-bmm":
        return 0
    return point.tokens * point.in_features * point.out_features * ITEM_BYTES[point.dtype]


def table_bytes(point: Point) -> int:
    """What the parameters of a point's layer hold; nothing is known of a user's layer before it is built."""
    if is_user_layer(point.layer):
        return 0
    return closed_form(spec_of(point)).parameters * ITEM_BYTES[point.dtype]


def gradient_bytes(point: Point) -> int:
    """What the gradients of a point's parameters hold in training: of touched rows, as many as its tokens can visit."""
    if point.pass_ != "train":
        return 0
    if is_user_layer(point.layer) or not (isinstance(spec := spec_of(point), LayerSpec) and spec.touched_gradient):
        return table_bytes(point)
    lookups = point.tokens * spec.trees * (1 if spec.form == "collapsed" else spec.depth + 1)
    rows = min(lookups, spec.trees * spec.nodes)
    matrix = spec.in_features * spec.out_features
    row = matrix if spec.layer == "tree-shared" else spec.out_features
    linear = matrix if spec.layer == "tree-bias" else 0
    return (rows * row + linear + spec.out_features) * ITEM_BYTES[point.dtype]


def estimated_s(jobs: Sequence[Job]) -> float:
    """Seconds that processes take together, one after the other, with the ceilings between them."""
    measuring = sum(
        PROCESS_S + table_bytes(job.cases[0].point) / FILL_BYTES_PER_S + sum(map(_case_s, job.cases)) for job in jobs
    )
    devices = {(case.point.device, case.point.threads) for job in jobs for case in job.cases}
    return measuring + CEILINGS_S * (len(devices) + measuring // CEILINGS_EVERY_S)


def _case_s(case: Case) -> float:
    gathering_s = gathered_bytes(case.point) / GATHERED_BYTES_PER_S
    return min(CASE_S + case.sampling.time_limit_s + gathering_s, case.sampling.case_time_limit_s)
