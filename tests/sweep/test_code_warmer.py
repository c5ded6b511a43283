"""The call that brings a case's code back after the caches were emptied."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from capratio.cost import closed_form
from capratio.sweep.case import Case, Sampling, spec_of
from capratio.sweep.code_warmer import TWIN_FEATURES, CodeWarmer, evict_data
from capratio.sweep.prepare import build_layer, prepare_trial
from tests.sweep.points import POINT

LARGE = replace(POINT, in_features=48, out_features=40, depth=5, tokens=1, pass_="decode", cache="cold")
FORMS = [
    ("dense", "path", 0),
    ("tree-shared", "path", 5),
    ("tree-shared", "collapsed", 5),
    ("tree-unit", "path", 5),
    ("tree-unit", "collapsed", 1),
    ("tree-bias", "path", 5),
    ("tree-bias", "collapsed", 5),
]


def operations(call: Callable[[], object]) -> set[str]:
    """The names of the operations that a call runs."""
    with torch.profiler.profile() as profile:
        call()
    return {event.key for event in profile.key_averages() if "::" in event.key}


def of(layer: str, form: str, depth: int) -> Case:
    point = replace(LARGE, layer=layer, form=form, depth=depth)
    return Case(point, "suite", "group", 1, sampling=Sampling(decode_tokens=2))


@pytest.mark.parametrize(("layer", "form", "depth"), FORMS)
@pytest.mark.parametrize("pass_", ["decode", "train"])
def test_it_runs_the_operations_of_the_timed_call(layer: str, form: str, depth: int, pass_: str) -> None:
    case = of(layer, form, depth)
    case = replace(case, point=replace(case.point, pass_=pass_))
    trial = prepare_trial(build_layer(case.point, 1), case, 1)
    warm_code = CodeWarmer(case, trial.order, 1)

    argument = trial.prepare(0)

    timed = operations(lambda: trial.call(argument))

    assert timed
    assert timed <= operations(warm_code)


@pytest.mark.parametrize(("layer", "form", "depth"), FORMS)
def test_it_touches_weights_of_its_own_and_few(layer: str, form: str, depth: int) -> None:
    case = of(layer, form, depth)
    full = build_layer(case.point, 1)
    before = {name: tensor.clone() for name, tensor in full.state_dict().items()}
    warm_code = CodeWarmer(case, None, 1)

    warm_code()

    # A path of two bits has 7 nodes.
    nodes, point = 7, warm_code.case.point
    assert point.in_features == point.out_features == TWIN_FEATURES
    most = nodes * TWIN_FEATURES * TWIN_FEATURES + TWIN_FEATURES
    assert closed_form(spec_of(warm_code.case.point)).parameters <= most
    assert all(torch.equal(before[name], tensor) for name, tensor in full.state_dict().items())


def test_code_comes_back_after_the_data_is_gone() -> None:
    happened: list[str] = []

    evict_data(lambda: happened.append("evicted"), lambda: happened.append("code warmed"))()

    assert ["evicted", "code warmed"] == happened
