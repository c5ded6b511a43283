"""Brings a case's code back into the caches after they were evicted, so that a cold sample pays for weights alone."""

from collections.abc import Callable
from dataclasses import replace

from capratio.cost.systems.contract import SystemSpec
from capratio.records.record import Point
from capratio.sweep.case import Case, is_user_layer, spec_of
from capratio.sweep.prepare import build_layer, prepare_trial

# Sizes at which a layer runs the code of the full one and touches little: two levels are the first and a later one.
TWIN_FEATURES = 16
TWIN_DEPTH = 2


class CodeWarmer:
    """Calls a small twin of a case's layer: the same operations in the same order, over weights of its own.

    Streaming a buffer through the caches evicts the interpreter and torch with the weights, and a sample that fetched
    them again would time instructions, which a program that runs the layer has at hand.
    """

    def __init__(self, case: Case, order: str | None, seed: int) -> None:
        """case: the one that is timed. order: the one that runs. seed: of the twin's weights and input."""
        twin = twin_of(case.point)
        small = replace(twin, order=order or twin.order)
        self.case = replace(case, point=small)
        self._trial = prepare_trial(build_layer(small, seed), self.case, seed)

    def __call__(self) -> None:
        """Run the twin once."""
        self._trial.call(self._trial.prepare(0))


def twin_of(point: Point) -> Point:
    """A small layer that runs the code of a point's layer; a user's layer, whose sizes are its own, is its own twin."""
    if is_user_layer(point.layer):
        return point
    spec = spec_of(point)
    if isinstance(spec, SystemSpec):
        twin = spec.twin()
        return replace(
            point, in_features=twin.in_features, out_features=twin.out_features, options=twin.options or None
        )
    return replace(
        point,
        in_features=min(point.in_features, TWIN_FEATURES),
        out_features=min(point.out_features, TWIN_FEATURES),
        depth=min(point.depth, TWIN_DEPTH),
    )


def evict_data(evict: Callable[[], None], warm_code: Callable[[], None]) -> Callable[[], None]:
    """What stands before a cold sample: everything is evicted, and then the code alone is brought back."""

    def cold() -> None:
        evict()
        warm_code()

    return cold
