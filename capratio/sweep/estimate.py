"""What a case will need, known before anything is allocated."""

from capratio.cost import closed_form
from capratio.records.record import Point
from capratio.sweep.case import Case, spec_of

ITEMSIZE = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
# An interpreter with torch imported, and the float64 reference of one token's nodes, which is small beside a table.
PROCESS_BYTES = 400 * 2**20
# Starting a process with torch, building and verifying; seen on two shared cores, for plans only.
PROCESS_S = 3.0
# Filling a fresh table, page faults included.
FILL_BYTES_PER_S = 2e9


def estimated_bytes(point: Point) -> int:
    """Memory of the process that measures a point: its tables (and their gradients), activations, the reference."""
    itemsize = ITEMSIZE[point.dtype]
    spec = spec_of(point)
    tables = closed_form(spec).parameters * itemsize
    gradients = tables if point.pass_ == "train" else 0
    # The gradients of the verified call are kept beside those of each later one.
    kept = 2 * gradients
    activations = 8 * max(point.tokens, 64) * (point.in_features + point.out_features) * (itemsize + 8)
    index = 8 * point.tokens * point.in_features * (point.depth + 2) if point.layer == "tree-unit" else 0
    path = (point.depth + 2) * point.in_features * point.out_features * 16
    return PROCESS_BYTES + tables + kept + activations + 3 * index + path


def estimated_s(case: Case) -> float:
    """Seconds that one replicate of a case takes in a process with some others."""
    tables = closed_form(case.spec).parameters * ITEMSIZE[case.point.dtype]
    return PROCESS_S / 2 + tables / FILL_BYTES_PER_S + case.sampling.time_limit_s
