"""The memory of a training step has all its gradients in it, however many steps a process has measured before."""

from dataclasses import asdict, replace
from pathlib import Path
from time import time

import pytest

from capratio.sweep.case import Case, Sampling
from capratio.sweep.case_file import read_case_files
from capratio.sweep.measure_case import measure_case
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.side_cases import ready_case
from capratio.sweep.user_layer import UserLayer

QUICK = Sampling(min_samples=1, max_samples=2, time_limit_s=0.01, case_time_limit_s=60.0)
# A gradient of a megabyte each: 256 x 256 float32 weights four times, or once in 1024 x 256.
MEBIBYTE = 2**20
LAYERS = {
    "system": 'layer = "memory-table"\nin_features = 256\noptions = { lookup = "ids", entries = 1024 }',
    "tree": 'layer = "tree-shared"\nform = "collapsed"\nin_features = 256\ndepth = 2',
    "user": 'layer = "torch.nn:Linear"\nin_features = 256\nout_features = 1024\n'
    "options = { in_features = 256, out_features = 1024 }",
}


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """A step of 8 tokens."""
    file = tmp_path / "steps.toml"
    file.write_text(
        f'name = "steps"\n[[cases]]\ngroup = "steps"\n{LAYERS[request.param]}\ntokens = 8\npass = "train"\n'
    )
    (only,) = read_case_files([file])
    return replace(only, sampling=QUICK)


def test_a_process_reads_the_same_peak_of_every_step(case: Case) -> None:
    peaks = []
    for _ in range(5):
        layer = build_layer(case.point, 0)
        trial = prepare_trial(layer, case, 0)
        peaks += [measure_case(layer, trial, case, None, time(), 0).memory.allocated_peak_bytes for _ in range(2)]

    assert {peaks[0]} == set(peaks)
    assert peaks[0] is not None
    assert MEBIBYTE <= peaks[0] < 3 * MEBIBYTE


def test_a_gate_counts_the_same_peak_of_every_step(case: Case) -> None:
    user = UserLayer(
        "torch.nn:Linear", {"in_features": 256, "out_features": 1024}, 256, case.point.tokens, pass_="train"
    )
    ours = {"point": asdict(case.point), "sampling": asdict(case.sampling)}
    described = {"layer": asdict(user)} if case.point.layer == user.layer else ours

    # A layer may lie anywhere.
    ready = ready_case(described, 0, [Path("/")])
    peaks = [ready.counts()["allocated_peak_bytes"] for _ in range(6)]

    assert {peaks[0]} == set(peaks)
    assert MEBIBYTE <= peaks[0] < 3 * MEBIBYTE
