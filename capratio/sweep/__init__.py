"""Which points are measured: case files, the isolated worker, verification, resume."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capratio.sweep.live_module import measure_module

__all__ = ["measure_module"]


def __getattr__(name: str) -> object:
    """Give ``measure_module`` when it is asked for, since it imports torch and reading a case file does not."""
    if name == "measure_module":
        from capratio.sweep.live_module import measure_module

        return measure_module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
