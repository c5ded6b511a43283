"""The measurement of block_linear's speed: every contender computes the same, and the table says what was measured."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from benchmarks import block_sparse_speedup
from benchmarks.block_sparse_speedup import Case, cases, contenders, main, measure
from benchmarks.block_sparse_table import HEADERS, conditions, summary, table
from benchmarks.figure import Row


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


def test_an_output_that_is_no_number_is_seen() -> None:
    found = {"block_linear": lambda: torch.tensor([[1.0, torch.nan]])}

    with pytest.raises(ValueError, match="block_linear differs"):
        block_sparse_speedup.check(found, torch.ones(1, 2, dtype=torch.float64))


def test_the_operation_is_not_its_own_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def maskless(x: torch.Tensor, weight: torch.Tensor, *_: object) -> torch.Tensor:
        return x @ weight.t()

    monkeypatch.setattr(block_sparse_speedup, "block_linear", maskless)
    threads = torch.get_num_threads()

    try:
        with pytest.raises(ValueError, match="block_linear differs"):
            measure(Case("tenth", 4, 8, 4, 8, 5, 1, 0.5, shared=False), seed=1)
    finally:
        torch.set_num_threads(threads)


def test_the_table_has_ratios_of_times_of_one_replicate() -> None:
    case = {
        "part": "tenth", "in_blocks": 4, "in_size": 8, "out_blocks": 2, "out_size": 16, "tokens": 5, "threads": 1,
        "shared": False,
    }  # fmt: skip
    shares = {"live_in": 0.5, "live_out": 0.25, "density": 0.125}
    fast, slow = ({"block_linear": 0.001 * k, "dense": 0.004 * k, "dense-masked": 0.006} for k in (1, 2))

    rows = [{"case": case, **shares, "times_s": times} for times in (fast, slow)]

    header, _, row = table({"rows": rows}).splitlines()
    cells = dict(zip(HEADERS, (cell.strip() for cell in row.strip("|").split("|")), strict=True))
    assert [cell.strip() for cell in header.replace("\\", "").strip("|").split("|")] == list(HEADERS)
    assert ("4 x 8", "2 x 16", "own", "12.5 %") == (cells["inputs"], cells["outputs"], cells["masks"], cells["density"])
    assert "4.0" == cells["dense"]
    assert "4.5 (3.0 to 6.0)" == cells["dense-masked"]
    assert "" == cells["bsr"]


def test_the_summary_has_a_line_a_layer_of_the_paper_and_a_column_a_number_of_examples() -> None:
    layers = {(24, 64, 24, 64): 3.0, (1, 784, 16, 16): 5.0}
    rows = [
        {
            "replicate": replicate,
            "load_average": 0.5 * replicate,
            "case": asdict(Case("paper", *layer, tokens, 1, 0.18, shared=False)),
            "times_s": {"block_linear": 1.0, "dense": ratio * tokens * (1 + replicate)},
        }
        for layer, ratio in layers.items()
        for tokens in (4, 1)
        for replicate in (0, 1)
    ]
    machine = {"cpu_model": "Some CPU", "cores": 2, "packages": {"torch": "2"}}
    content = {"conditions": {"machine": machine}, "rows": rows}

    _, _, first, second = summary(content).splitlines()

    assert "| 24 x 64 | 24 x 64 | 3.8 | 4.5 (3.0 to 6.0) | 18.0 (12.0 to 24.0) |" == first
    assert "| 1 x 784 | 16 x 16 |  | 7.5 (5.0 to 10.0) | 30.0 (20.0 to 40.0) |" == second
    assert "Median over 2 processes" in conditions(content)
    assert "Load average of the machine: 0.250 (0 to 0.500)." in conditions(content)


def test_a_run_measures_the_replicates_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Here:
        """In this process what is done in a fresh one."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> "Here":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, call: Callable[..., object], *arguments: object) -> "Future[object]":
            done: Future[object] = Future()
            done.set_result(call(*arguments))
            return done

    def replicate(seed: int, part: str | None) -> list[Row]:
        case = asdict(Case(str(part), 2, 4, 2, 4, 1, 1, 0.5, shared=False))
        shares = {"live_in": 0.5, "live_out": 0.5, "density": 0.25}
        return [
            {
                "replicate": seed,
                "load_average": 0.0,
                "case": case,
                **shares,
                "times_s": dict.fromkeys(("block_linear", "dense"), 1.0),
            }
        ]

    monkeypatch.setattr(block_sparse_speedup, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(block_sparse_speedup, "replicate", replicate)
    out = tmp_path / "speedup.json"

    main(["--out", str(out), "--replicates", "1", "--only", "paper"])
    main(["--out", str(out), "--replicates", "3", "--only", "paper"])

    content = json.loads(out.read_text())
    assert [0, 1, 2] == [row["replicate"] for row in content["rows"]]
    assert "2 of 2: replicate 2" in capsys.readouterr().err
    assert table(content) in (tmp_path / "speedup.md").read_text()
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(out)])
    assert 2 == stopped.value.code


def test_the_cases_are_the_papers_layers_and_a_tenth_of_the_pairs() -> None:
    paper, tenth = ([case for case in cases() if case.part == part] for part in ("paper", "tenth"))

    assert {1} == {case.threads for case in paper}
    assert {(24, 64, 24, 64), (16, 16, 32, 16), (10, 64, 10, 64), (1, 784, 16, 16)} == {
        (case.in_blocks, case.in_size, case.out_blocks, case.out_size) for case in paper
    }
    assert {(1024, 1024)} == {(c.in_blocks * c.in_size, c.out_blocks * c.out_size) for c in tenth}
    assert 0.1 == pytest.approx(tenth[0].rate ** 2, rel=0.01)
