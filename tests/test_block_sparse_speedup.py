"""The measurement of block_linear's speed: every contender computes the same, and the table says what was measured."""

import pytest
import torch

from benchmarks import block_sparse_speedup
from benchmarks.block_sparse_speedup import Case, cases, contenders, measure
from benchmarks.block_sparse_table import HEADERS, markdown


@pytest.mark.parametrize("shared", [False, True])
def test_a_case_is_measured_after_its_outputs_are_compared(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_sparse_speedup, "TURN_S", 0)
    monkeypatch.setattr(block_sparse_speedup, "TURNS", 1)
    threads = torch.get_num_threads()

    try:
        measured = measure(Case("tenth", 4, 8, 4, 8, 5, 1, 0.5, shared), seed=1)
    finally:
        torch.set_num_threads(threads)

    names = ["block_linear", "dense", "dense-masked", *(["bsr", "bsr-linear"] if shared else [])]
    assert names == list(measured["times_s"])
    assert all(value > 0 for value in measured["times_s"].values())
    if shared:
        assert (0.5, 0.5, 0.25) == (measured["live_in"], measured["live_out"], measured["density"])


def test_a_wrong_output_is_seen() -> None:
    x, weight, live = torch.ones(3, 4), torch.ones(4, 4), torch.tensor([[True, False]]).expand(3, 2)
    found = contenders(x, weight, live, live, shared=False)

    block_sparse_speedup.check(found, torch.tensor([[2.0, 2, 0, 0]]).double().expand(3, 4))
    with pytest.raises(ValueError, match="block_linear differs"):
        block_sparse_speedup.check(found, torch.tensor([[2.0, 2, 0, 1]]).double().expand(3, 4))


def test_the_table_has_ratios_of_times_of_one_replicate() -> None:
    case = {
        "part": "tenth", "in_blocks": 4, "in_size": 8, "out_blocks": 2, "out_size": 16, "tokens": 5, "threads": 1,
        "shared": False,
    }  # fmt: skip
    shares = {"live_in": 0.5, "live_out": 0.25, "density": 0.125}
    fast, slow = ({"block_linear": 0.001 * k, "dense": 0.004 * k, "dense-masked": 0.006} for k in (1, 2))

    replicates = [[{"case": case, **shares, "times_s": times}] for times in (fast, slow)]

    header, _, row = markdown(replicates).splitlines()
    cells = dict(zip(HEADERS, (cell.strip() for cell in row.strip("|").split("|")), strict=True))
    assert [cell.strip() for cell in header.strip("|").split("|")] == list(HEADERS)
    assert ("4 x 8", "2 x 16", "own", "12.5 %") == (cells["inputs"], cells["outputs"], cells["masks"], cells["density"])
    assert "4.0 (4.0 to 4.0)" == cells["dense"]
    assert "4.5 (3.0 to 6.0)" == cells["dense-masked"]
    assert "" == cells["bsr"]


def test_the_cases_are_the_papers_layers_and_a_tenth_of_the_pairs() -> None:
    paper, tenth = ([case for case in cases() if case.part == part] for part in ("paper", "tenth"))

    assert {1} == {case.threads for case in paper}
    assert {(24, 64, 24, 64), (16, 16, 32, 16), (10, 64, 10, 64), (1, 784, 16, 16)} == {
        (case.in_blocks, case.in_size, case.out_blocks, case.out_size) for case in paper
    }
    assert {(1024, 1024)} == {(c.in_blocks * c.in_size, c.out_blocks * c.out_size) for c in tenth}
    assert 0.1 == pytest.approx(tenth[0].rate ** 2, rel=0.01)
