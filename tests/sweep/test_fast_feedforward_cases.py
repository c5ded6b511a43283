"""Fast feedforward layers in cases: their names, their answers held against float64, and their peers beside them."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError
from capratio.kernels.backends import implementation
from capratio.kernels.path_feedforward import ultrafastbert
from capratio.kernels.tree_descent import reference
from capratio.layers.table import Layer, build
from capratio.records.codec import decode
from capratio.records.record import Record
from capratio.sweep import worker
from capratio.sweep.case import Case, Sampling, tree_spec_of
from capratio.sweep.case_file import read_case_files
from capratio.sweep.draw import draw_weights
from capratio.sweep.job import Job, plan_jobs
from capratio.sweep.verify import WrongAnswerError, verify_output

QUICK = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=4)


def cases(tmp_path: Path, group: str) -> list[Case]:
    path = tmp_path / "mine.toml"
    path.write_text(f'side_by_side = true\n[[cases]]\nlayer = "fast-feedforward"\nin_features = 8\n{group}')
    return read_case_files([path])


def measured(tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    monkeypatch.setattr(worker, "limit_memory", lambda: None)
    found = tuple(replace(case, sampling=QUICK) for case in cases(tmp_path, group))
    events = io.StringIO()
    worker.run_job(Job(found, replicate=0, block=0, run_started_s=0.0), events)
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    return [decode(event["record"]) for event in said if "record" in event]


def test_units_of_a_leaf_stand_in_the_name_where_they_are_not_the_usual_ones(tmp_path: Path) -> None:
    usual, few = cases(tmp_path, 'form = "leaf"\ndepth = 2\nhidden = [32, 4]\nbias = false')

    assert usual.id.startswith("fast-feedforward[leaf,nobias,gate=descent]/p8-q8-k2/")
    assert few.id.startswith("fast-feedforward[leaf,nobias,gate=descent,hidden=4]/p8-q8-k2/")
    assert [32, 4] == [tree_spec_of(case.point).hidden for case in (usual, few)]


def test_units_of_a_leaf_and_other_gates_make_no_cases_of_a_path(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, 'depth = 2\nhidden = [32, 4]\ngate = ["signs", "hyperplanes"]')

    assert ("descent", None) == (case.point.gate, case.point.options)


def test_layers_of_other_leaves_have_processes_of_their_own(tmp_path: Path) -> None:
    found = cases(tmp_path, 'form = "leaf"\ndepth = 2\nhidden = [16, 4]\ntokens = [1, 2]')

    jobs = plan_jobs(found, frozenset(), 0.0, None)

    assert 2 * 7 == len(jobs)
    assert all(1 == len({case.point.options["hidden"] for case in job.cases if case.point.options}) for job in jobs)


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ('form = "collapsed"', "its form must be one of leaf, path"),
        ('form = "leaf"\nhidden = 0', "hidden=0 was given"),
        ('routing = "zipf"', "routing = 'zipf' with gate = 'descent'"),
    ],
)
def test_what_no_process_could_measure_is_refused(tmp_path: Path, group: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        cases(tmp_path, group)


@pytest.mark.parametrize(
    ("group", "ran"),
    [
        ('form = "leaf"\nhidden = 4\nbackend = ["auto", "fastfeedforward"]', ["cpu", "fastfeedforward"]),
        ('backend = ["auto", "ultrafastbert"]', ["cpu", "ultrafastbert"]),
    ],
)
def test_ours_and_its_peer_are_verified_and_timed_in_one_process(
    tmp_path: Path, group: str, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastfeedforward", reason="the extra peers is not installed")

    records = measured(tmp_path, f"{group}\ndepth = 3\ntokens = 5\nbias = false", monkeypatch)

    assert [("measured", backend) for backend in ran] == [(one.status, one.point.backend) for one in records]
    assert all(one.exact is not None and one.exact.flop == one.exact.promised_flop for one in records)


def test_the_second_bias_that_a_peer_leaves_out_keeps_it_from_being_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastfeedforward", reason="the extra peers is not installed")

    ours, peer = measured(
        tmp_path, 'form = "leaf"\ndepth = 3\ntokens = 5\nbackend = ["auto", "fastfeedforward"]', monkeypatch
    )

    assert "measured" == ours.status
    assert ("failed", None) == (peer.status, peer.timing)
    assert "use bias=False" in (peer.reason or "")


def test_a_peer_with_a_wrong_answer_has_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ultrafastbert.path_feedforward
    monkeypatch.setattr(ultrafastbert, "path_feedforward", lambda x, first, second: right(x, -first, second))
    implementation.cache_clear()
    try:
        group = 'depth = 3\ntokens = 5\nbackend = ["auto", "ultrafastbert"]\nbias = false'
        ours, peer = measured(tmp_path, group, monkeypatch)
    finally:
        implementation.cache_clear()

    assert "measured" == ours.status
    assert ("wrong", None) == (peer.status, peer.timing)


def drawn(form: str) -> tuple[Layer, torch.Tensor, LayerSpec]:
    spec = LayerSpec("fast-feedforward", 7, 5, 3, form, gate="descent", hidden=4)
    layer = build(spec, init="empty", backend="reference")
    draw_weights(layer, 7, 3, seed=3)
    return layer, torch.randn(6, 7, generator=torch.Generator().manual_seed(5)), spec


@pytest.mark.parametrize("form", ["path", "leaf"])
def test_a_walk_to_the_wrong_child_is_seen_although_bits_and_outputs_agree(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, spec = drawn(form)
    state = dict(layer.state_dict())
    verify_output(spec, state, x, layer.bits(x), layer(x).detach())

    # The layer's bits come from the same walk as its outputs.
    monkeypatch.setattr(reference, "_child", lambda node, value: 2 * node + 1 + (value <= 0))

    with pytest.raises(WrongAnswerError, match="bit 1 of token 0 is not that of"):
        verify_output(spec, state, x, layer.bits(x), layer(x).detach())


@pytest.mark.parametrize("form", ["path", "leaf"])
def test_a_wrong_input_gradient_is_seen(form: str) -> None:
    layer, x, spec = drawn(form)
    x.requires_grad_()
    incoming = torch.ones(6, 5)
    out = layer(x)
    out.backward(incoming)
    assert x.grad is not None
    arguments = (spec, dict(layer.state_dict()), x.detach(), layer.bits(x), out.detach())

    verify_output(*arguments, (incoming, x.grad))

    with pytest.raises(WrongAnswerError, match="input gradient of token"):
        verify_output(*arguments, (incoming, x.grad * 1.01))
