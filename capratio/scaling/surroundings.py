"""What a record says about the place of its case: footprint, tokens a leaf, order, launch gaps."""

from statistics import median

from capratio.records.record import Record
from capratio.scaling.breaks import Surroundings

# When the device works for less than this share of the wall time, the time is the launches'.
_LAUNCH_BOUND_SHARE = 0.5


def surroundings_of(record: Record, *, whole_table: bool = False) -> Surroundings:
    """The surroundings of one record's size.

    Args: whole_table: take all nodes that the samples together visit as the footprint, as for single tokens on warm
    caches, which visit other leaves from sample to sample; else the bytes that one call must touch. Cold
    cases have no footprint that a cache could hold.
    """
    point, exact, timing = record.point, record.exact, record.timing
    footprint = None
    if point.cache == "warm":
        if whole_table:
            footprint = _sampled_bytes(record)
        else:
            footprint = None if exact is None else exact.compulsory_bytes
    launch_bound = None
    if timing is not None and timing.device_samples_s:
        launch_bound = median(timing.device_samples_s) < _LAUNCH_BOUND_SHARE * median(timing.samples_s)
    in_batch = point.tokens > 1 and point.depth > 0
    return Surroundings(footprint, point.tokens / 2**point.depth if in_batch else None, point.order, launch_bound)


def _sampled_bytes(record: Record) -> int | None:
    """What the samples together touch: the share of the layer's state that holds the nodes they visit."""
    exact, memory = record.exact, record.memory
    if exact is None or memory is None or exact.sampled_levels is None:
        return None if memory is None else memory.state_bytes
    nodes = exact.sampled_levels[-1:] if record.point.form == "collapsed" else exact.sampled_levels
    table = int(2**record.point.depth if record.point.form == "collapsed" else 2 ** (record.point.depth + 1) - 1)
    trees = record.point.in_features if record.point.layer == "tree-unit" else 1
    return memory.state_bytes * sum(nodes) // (trees * table)
