"""What a record says about the place of its case: footprint, tokens a leaf, order, launch gaps."""

from statistics import median

from capratio.records.record import Record
from capratio.scaling.breaks import Surroundings

# When the device works for less than this share of the wall time, the time is the launches'.
_LAUNCH_BOUND_SHARE = 0.5


def surroundings_of(record: Record, *, whole_table: bool = False) -> Surroundings:
    """The surroundings of one record's size.

    Args: whole_table: take the layer's state as the footprint, as for single tokens on warm caches, which visit other
    leaves from sample to sample; else the bytes that one call must touch. Cold cases have no footprint that a cache
    could hold.
    """
    point, exact, timing = record.point, record.exact, record.timing
    footprint = None
    if point.cache == "warm":
        if whole_table:
            footprint = None if record.memory is None else record.memory.state_bytes
        else:
            footprint = None if exact is None else exact.compulsory_bytes
    launch_bound = None
    if timing is not None and timing.device_samples_s:
        launch_bound = median(timing.device_samples_s) < _LAUNCH_BOUND_SHARE * median(timing.samples_s)
    in_batch = point.tokens > 1 and point.depth > 0
    return Surroundings(footprint, point.tokens / 2**point.depth if in_batch else None, point.order, launch_bound)
