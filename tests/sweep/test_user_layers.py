"""Anybody's module on a sweep: counted and timed, or a record with one sentence, and the next case is measured."""

import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from capratio.errors import InputError
from capratio.records.codec import decode
from capratio.records.record import Point, Record
from capratio.records.store import read_run
from capratio.sweep import worker
from capratio.sweep.case import Case, Sampling
from capratio.sweep.case_file import read_case_files
from capratio.sweep.identity import run_identity, same_identity
from capratio.sweep.job import Job
from capratio.sweep.observer import SilentObserver
from capratio.sweep.plan import plan
from capratio.sweep.runner import run_sweep
from capratio.sweep.user_sources import user_source_hash
from tests.sweep.points import POINT

NAME = "layers_of_this_test"
SOURCE = '''
"""Layers as a user might write them."""

import torch
from torch import nn

print("this module is imported")


class TopOne(nn.Module):
    def __init__(self, features, experts, dropout=0.0):
        super().__init__()
        self.router = nn.Linear(features, experts, bias=False)
        self.experts = nn.ModuleList(nn.Linear(features, features) for _ in range(experts))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        out = torch.zeros_like(x)
        for place in chosen.unique().tolist():
            out[chosen == place] = self.experts[place](x[chosen == place])
        return self.dropout(out)


class Talking(nn.Linear):
    def forward(self, x):
        print("this module is called")
        return super().forward(x)


class NotTwo(Talking):
    def forward(self, x):
        if len(x) == 2:
            raise ValueError("two tokens\\nare not taken")
        return super().forward(x)


class Raising(nn.Linear):
    def __init__(self, error):
        super().__init__(8, 8)
        self.error = error

    def forward(self, x):
        raise {"assertion": AssertionError, "key": KeyError, "attribute": AttributeError}[self.error]("it went wrong")


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + torch.rand(())


class Greedy(nn.Module):
    def forward(self, x):
        return x.add_(1)


class NoHalf(nn.Linear):
    def forward(self, x):
        if x.dtype != torch.float32:
            raise RuntimeError(f"no kernel is there for {x.dtype}")
        return super().forward(x)


class Fixed(nn.Linear):
    def to(self, *given):
        raise NotImplementedError("quantized weights are not converted")


class TwoInputs(nn.Linear):
    def forward(self, x, mask):
        return super().forward(x) * mask


class Inverse(nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)


class NotANumber(nn.Module):
    def forward(self, x):
        return x / 0 * 0


class Threads(nn.Linear):
    def forward(self, x):
        torch.set_num_threads(2)
        return super().forward(x)


def linear(features):
    return nn.Linear(features, features, bias=False)


def number():
    return 3
'''
GOOD = replace(
    POINT,
    layer=f"{NAME}:TopOne",
    in_features=8,
    out_features=8,
    depth=0,
    backend="module",
    options={"features": "8", "experts": "3"},
)
LINEAR = {"in_features": "8", "out_features": "8"}
QUICK = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=4)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a sweep, with a user's module in it."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    # What a worker appends to the path is taken away again.
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(worker, "limit_memory", lambda: None)
    yield tmp_path
    sys.modules.pop(NAME, None)


def measured(*points: Point) -> list[Record]:
    cases = tuple(Case(point, "suite", "group", 1, sampling=QUICK) for point in points)
    events = io.StringIO()
    worker.run_job(Job(cases, replicate=0, block=0, run_started_s=0.0), events)
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    return [decode(event["record"]) for event in said if "record" in event]


@pytest.mark.parametrize(("pass_", "tokens", "products"), [("forward", 6, 1), ("decode", 1, 1), ("train", 6, 3)])
def test_a_users_layer_is_counted_and_timed_and_nothing_is_promised(pass_: str, tokens: int, products: int) -> None:
    (record,) = measured(replace(GOOD, pass_=pass_, tokens=tokens))

    assert ("measured", None) == (record.status, record.reason)
    assert record.timing is not None
    assert record.exact is not None
    # A token goes through the router of 3 and one expert of 8; the router, which only chooses, has no gradient.
    assert tokens * 2 * 8 * (3 + 8 * products) == record.exact.flop["product"]
    # 3 experts of 8 · 8 weights and 8 biases, and a router of 3 · 8.
    assert (3 * 72 + 24, 3 * 64 + 24) == (record.exact.parameters, record.exact.weight_parameters)
    assert not record.exact.flop_is_lower_bound
    exact = record.exact
    assert {None} == {
        exact.promised_flop,
        exact.law_flop,
        exact.capacity_ratio,
        exact.capacity_ratio_all,
        exact.compulsory_bytes,
        exact.touched_parameters,
        exact.expected_touched_parameters,
        exact.visited_levels,
        exact.visits,
    }


def test_a_cold_case_of_a_users_layer_is_measured() -> None:
    (record,) = measured(replace(GOOD, cache="cold"))

    assert ("measured", None) == (record.status, record.reason)


def test_a_function_that_gives_a_module_is_a_layer_too() -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:linear", options={"features": "8"}))

    assert record.exact is not None
    assert 6 * 2 * 8 * 8 == record.exact.flop["product"]


def test_a_layer_of_ours_may_be_named_as_a_users_is() -> None:
    options = LINEAR | {"depth": "2", "bias": "false", "order": "leaves", "backend": "reference"}

    (record,) = measured(replace(GOOD, layer="capratio.layers:TreeGatedLinear", options=options))

    assert ("measured", None) == (record.status, record.reason)
    assert record.exact is not None
    # 7 nodes of 8 · 8 weights.
    assert 7 * 64 == record.exact.parameters


def test_an_operation_without_a_rule_makes_flop_a_lower_bound() -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:Inverse", options=None, tokens=8))

    assert record.exact is not None
    assert record.exact.flop_is_lower_bound
    assert any("inv" in name for name in record.exact.unknown_operations)


@pytest.mark.parametrize(
    ("name", "options", "changed", "sentence"),
    [
        ("TopOne", {"features": "8", "expert": "3"}, {}, "cannot be built with .*unexpected keyword argument 'expert'"),
        ("TopOne", {"features": "8"}, {}, "cannot be built with .*missing 1 required positional argument: 'experts'"),
        ("TopOne", {"features": "8", "experts": "many"}, {}, "cannot be built with .*'many'"),
        ("TopTwo", {}, {}, rf"{NAME}.* has no class or function 'TopTwo'; name the layer package.module:Class"),
        ("SOURCE", {}, {}, "has no class or function"),
        ("number", {}, {}, "gave int; an nn.Module is expected"),
        (
            "TopOne",
            {"features": "8", "experts": "3"},
            {"out_features": 9},
            r"shape \(6, 8\) .*; the case says \(6, 9\)",
        ),
        ("TopOne", {"features": "9", "experts": "3"}, {}, r"TopOne does not take an input of shape \(6, 8\)"),
        ("TwoInputs", LINEAR, {}, "does not take an input .*missing 1 required positional argument: 'mask'"),
        ("NoHalf", LINEAR, {"dtype": "float16"}, "torch.float16 on cpu: no kernel is there for torch.float16"),
        ("NoHalf", LINEAR, {"dtype": "bfloat16"}, "torch.bfloat16 on cpu: no kernel is there for torch.bfloat16"),
        ("Fixed", LINEAR, {}, "cannot be moved to float32 on cpu .quantized weights are not converted"),
        ("Raising", {"error": "assertion"}, {}, "AssertionError: it went wrong"),
        ("Raising", {"error": "key"}, {}, "does not take an input .*it went wrong"),
        ("Raising", {"error": "attribute"}, {}, "AttributeError: it went wrong"),
        ("Pair", LINEAR, {}, "the module returned tuple; one tensor .* wrap it in a module that gives that one"),
        ("Pair", LINEAR, {"pass_": "train"}, "the module returned tuple; one tensor"),
        ("Threads", LINEAR, {}, "asks for threads = 1 and torch ran on 2"),
    ],
)
def test_what_a_layer_does_not_take_or_give_is_a_record_with_one_sentence(
    name: str, options: dict[str, str], changed: dict[str, Any], sentence: str
) -> None:
    before = torch.get_num_threads()
    try:
        (record,) = measured(replace(GOOD, layer=f"{NAME}:{name}", options=options, **changed))
    finally:
        torch.set_num_threads(before)

    assert ("failed", None, None) == (record.status, record.timing, record.exact)
    assert_one_sentence(record, sentence)


@pytest.mark.parametrize(
    ("name", "options", "pass_", "sentence"),
    [
        ("Noisy", LINEAR, "forward", "the output changes from call to call"),
        (
            "TopOne",
            {"features": "8", "experts": "3", "dropout": "0.5"},
            "train",
            "draws at random in training, as dropout",
        ),
        ("Greedy", {}, "forward", "the module changes its own input"),
        ("NotANumber", {}, "forward", "the output holds NaN"),
    ],
)
def test_an_answer_that_cannot_be_repeated_has_no_time(
    name: str, options: dict[str, str], pass_: str, sentence: str
) -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:{name}", options=options, pass_=pass_))

    assert ("wrong", None, None) == (record.status, record.timing, record.exact)
    assert_one_sentence(record, sentence)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, f"{NAME} cannot be imported .ModuleNotFoundError: No module named '{NAME}'.; see that it is installed"),
        ("class TopOne(", f"{NAME} cannot be imported .SyntaxError"),
        ("raise RuntimeError('no licence')", f"{NAME} cannot be imported .RuntimeError: no licence"),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_record(source: str | None, sentence: str, folder: Path) -> None:
    (folder / f"{NAME}.py").unlink()
    if source is not None:
        (folder / f"{NAME}.py").write_text(source)

    (record,) = measured(GOOD)

    assert "failed" == record.status
    assert_one_sentence(record, sentence)


def assert_one_sentence(record: Record, pattern: str) -> None:
    assert record.reason is not None
    assert "\n" not in record.reason
    assert re.search(pattern, record.reason)


def test_dropout_is_off_in_inference_also_where_training_was_tried_in_between() -> None:
    dropping = replace(GOOD, options={**(GOOD.options or {}), "dropout": "0.5"})

    records = measured(dropping, replace(dropping, pass_="train"), replace(dropping, cache="cold"))

    assert ["measured", "wrong", "measured"] == [record.status for record in records]


CASES = f"""
replicates = 1
[sampling]
min_samples = 3
max_samples = 3
time_limit_s = 0.02
[[cases]]
layer = "{NAME}:NotTwo"
in_features = 8
tokens = [1, 2, 3]
input = "gaussian"
options = {{ in_features = 8, out_features = 8 }}
"""


def test_a_sweep_goes_on_after_a_failure_and_a_talking_module_spoils_no_event(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capratio.sweep.runner.with_limit", lambda record, ceilings: record)
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    path, out = folder / "mine.toml", folder / "run"
    path.write_text(CASES)

    outcome = run_sweep([path], out, None, SilentObserver())

    assert (2, 1) == (outcome.measured, len(outcome.failed))
    assert "two tokens are not taken" in outcome.failed[0][3]
    assert {1: "measured", 2: "failed", 3: "measured"} == {
        record.point.tokens: record.status for record in read_run(out).records
    }
    assert NAME not in sys.modules
    # Other content of the layer's file is another layer: the run is not gone on with.
    (folder / f"{NAME}.py").write_text(SOURCE + "\n# changed\n")
    with pytest.raises(InputError, match=rf"other content \(.*layers: {NAME}:NotTwo\)"):
        run_sweep([path], out, None, SilentObserver())


def test_reading_planning_and_naming_a_run_import_nothing_of_a_users_module(folder: Path) -> None:
    path = folder / "mine.toml"
    path.write_text(CASES)

    cases = read_case_files([path])
    planned = plan([path], None)
    identity = run_identity([path], cases, {})

    assert 3 == len(planned.cases)
    assert all(each.fits for each in planned.cases)
    assert identity["layers"] == {f"{NAME}:NotTwo": user_source_hash(f"{NAME}:NotTwo")}
    assert NAME not in sys.modules


def test_a_run_goes_on_with_a_layer_that_it_did_not_measure_before(folder: Path) -> None:
    one, other = folder / "one.toml", folder / "other.toml"
    one.write_text(CASES.replace("NotTwo", "TopOne"))
    other.write_text(CASES)
    known = run_identity([one, other], read_case_files([one]), {})

    widened = same_identity(known, run_identity([one, other], read_case_files([other]), {}), folder)

    layers = widened["layers"]
    assert isinstance(layers, dict)
    assert {f"{NAME}:NotTwo", f"{NAME}:TopOne"} == set(layers)


def test_any_file_of_a_package_is_the_layers_content(folder: Path) -> None:
    package = folder / "package_of_this_test"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inner" / "layers.py").write_text("class A: ...")
    layer = "package_of_this_test.inner.layers:A"
    before = user_source_hash(layer)

    (package / "inner" / "more.py").write_text("")

    assert None not in (before, user_source_hash(layer))
    assert before != user_source_hash(layer)


@pytest.mark.parametrize("layer", ["nowhere_to_be_found:A", "time:A", "__main__:A"])
def test_a_layer_without_a_file_of_its_own_has_no_content(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As of a script.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)

    assert user_source_hash(layer) is None


def test_a_package_of_too_many_files_has_no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_source_hash(f"{NAME}:TopOne") is not None

    monkeypatch.setattr("capratio.sweep.user_sources.MOST_FILES", 0)

    assert user_source_hash(f"{NAME}:TopOne") is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('routing = "uniform"', "nothing is known of a user's layer by which a routing could be imposed"),
        ('pass = "forward-grad"', "measured in the passes forward, decode and train"),
        ("out_features = 0", "out_features = 0; it must be at least 1"),
        ('pass = "decode"', "decoding is one token"),
        ("expected = [{ parameters = 3 }]", "expected"),
    ],
)
def test_what_no_users_layer_is_measured_with_is_refused_when_the_file_is_read(
    line: str, sentence: str, folder: Path
) -> None:
    path = folder / "mine.toml"
    path.write_text(f"{CASES}{line}\n")

    with pytest.raises(InputError, match=sentence) as caught:
        read_case_files([path])
    assert str(caught.value).startswith(f"{path}: cases[1]")


@pytest.mark.parametrize("name", [f"{NAME}.TopOne", ":TopOne", f"{NAME}:", "a:b:c"])
def test_a_layer_that_is_not_named_by_module_and_class_is_refused(name: str, folder: Path) -> None:
    path = folder / "mine.toml"
    path.write_text(CASES.replace(f"{NAME}:NotTwo", name))

    with pytest.raises(InputError, match=r"name a layer of yours package\.module:Class"):
        read_case_files([path])
