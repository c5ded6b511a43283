"""One process measures ours and the peers on the same weights, and a peer with a wrong answer has no time."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from capratio.errors import InputError
from capratio.kernels.backends import implementation
from capratio.kernels.leaf_linear import gather_bmm
from capratio.layers.gated_layer import GatedLayer
from capratio.records.codec import decode
from capratio.records.record import Record
from capratio.sweep import worker
from capratio.sweep.case import Case, Sampling
from capratio.sweep.case_file import read_case_files
from capratio.sweep.estimate import estimated_bytes
from capratio.sweep.job import Job
from capratio.sweep.prepare import build_layer, with_backend
from tests.sweep.points import POINT

QUICK = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=4)
COLLAPSED = replace(POINT, form="collapsed", in_features=8, out_features=4)
BACKENDS = ("reference", "gather-bmm", "auto", "grouped-mm")


@pytest.fixture(autouse=True)
def _free_memory_of_the_test_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "limit_memory", lambda: None)


def measured(pass_: str = "forward") -> dict[str, Record]:
    points = [replace(COLLAPSED, backend=backend, pass_=pass_) for backend in BACKENDS]
    cases = tuple(Case(point, "suite", "group", 1, sampling=QUICK, side_by_side=True) for point in points)
    events = io.StringIO()
    worker.run_job(Job(cases, replicate=0, block=0, run_started_s=0.0), events)
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    records = [decode(event["record"]) for event in said if "record" in event]
    return dict(zip(BACKENDS, records, strict=True))


@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_one_process_measures_every_backend_and_says_which_ran(pass_: str) -> None:
    records = measured(pass_)

    assert {"measured"} == {record.status for record in records.values()}
    assert ["reference", "gather-bmm", "cpu", "grouped-mm"] == [record.point.backend for record in records.values()]


def test_backends_share_the_weights_and_do_not_copy_them() -> None:
    layer = build_layer(replace(COLLAPSED, backend="reference"), 0)
    assert isinstance(layer, GatedLayer)

    sibling = with_backend(layer, "grouped-mm")

    assert isinstance(sibling, GatedLayer)
    assert ("reference", "grouped-mm") == (layer.backend, sibling.backend)
    assert sibling.weight is layer.weight


@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_a_peer_with_a_wrong_answer_has_no_time_and_the_others_have_theirs(
    pass_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = gather_bmm.leaf_linear

    def of_the_next_leaf(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
        return right(x, weight, node ^ 1)

    monkeypatch.setattr(gather_bmm, "leaf_linear", of_the_next_leaf)
    implementation.cache_clear()
    try:
        records = measured(pass_)
    finally:
        implementation.cache_clear()

    wrong = records.pop("gather-bmm")
    assert ("wrong", None) == (wrong.status, wrong.timing)
    assert "float64 reference" in (wrong.reason or "")
    assert {"measured"} == {record.status for record in records.values()}


def test_what_a_peer_gathers_is_part_of_its_estimate() -> None:
    point = replace(COLLAPSED, tokens=1000)

    # 1000 matrices of 8 x 4 float32.
    assert 128000 == estimated_bytes(replace(point, backend="gather-bmm")) - estimated_bytes(point)


def test_a_file_says_whether_its_cases_are_measured_side_by_side(tmp_path: Path) -> None:
    group = (
        '[[cases]]\nlayer = "tree"\nform = "collapsed"\nin_features = 8\ndepth = 2\nbackend = ["auto", "reference"]\n'
    )
    path = tmp_path / "mine.toml"

    for head, expected in (("", False), ("side_by_side = true\n", True)):
        path.write_text(head + group)
        assert {expected} == {case.side_by_side for case in read_case_files([path])}
    path.write_text('side_by_side = "yes"\n' + group)
    with pytest.raises(InputError, match=r"side_by_side is 'yes'; give true or false"):
        read_case_files([path])
