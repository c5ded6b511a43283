"""What is too large is refused before anything is allocated."""

from capratio.errors import CapratioError
from capratio.records.record import Point
from capratio.sweep.estimate import estimated_bytes
from capratio.units import size

# The rest is for the system and for what estimates leave out.
SHARE_OF_FREE_MEMORY = 0.8


class RefusedError(CapratioError):
    """A case needs more memory than is free."""


def refuse_beyond(point: Point, free_bytes: int) -> None:
    """Raise RefusedError where a point is too large for the free memory of its device."""
    reason = refusal(point, free_bytes)
    if reason is not None:
        raise RefusedError(reason)


def refusal(point: Point, free_bytes: int) -> str | None:
    """Why a point is not measured, in one sentence; None where its estimate fits the free memory."""
    needed = estimated_bytes(point)
    if needed <= SHARE_OF_FREE_MEMORY * free_bytes:
        return None
    return (
        f"the case needs about {size(needed)} and {size(free_bytes)} of memory are free, of which "
        f"{SHARE_OF_FREE_MEMORY:.0%} may be used; nothing was allocated."
    )
