"""Two sides compared: runs of ours, files of asv and pytest-benchmark, and all that keeps a verdict from them."""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from xml.etree import ElementTree

import pytest

from capratio.errors import InputError
from capratio.gate.comparison import Comparison, compare
from capratio.gate.files import read_side
from capratio.gate.outcome_json import outcome_json
from capratio.gate.outcome_junit import outcome_junit
from capratio.gate.policy import Budget, Policy
from capratio.records.record import Exact

Writer = Callable[..., Path]
QUIET = [1.0, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006]


def scaled(factor: float) -> list[float]:
    return [value * factor for value in QUIET]


def compared(base: Path, head: Path, policy: Policy | None = None, independent: bool = False) -> Comparison:
    return compare(read_side(base), read_side(head), policy or Policy(), independent=independent)


def test_the_same_run_passes_and_a_slow_one_is_named(run_writer: Writer) -> None:
    base = run_writer("base", {"a": QUIET, "b": QUIET})

    same = compared(base, run_writer("same", {"a": QUIET, "b": QUIET}))
    slow = compared(base, run_writer("slow", {"a": QUIET, "b": scaled(2.0)}))

    assert "passed" == same.verdict
    assert "regressed" == slow.verdict
    assert {"a": "unchanged", "b": "regressed"} == {told.case: told.status for told in slow.decisions}


def test_too_few_processes_are_undecided_and_never_unchanged(run_writer: Writer) -> None:
    result = compared(run_writer("base", {"a": QUIET[:2]}), run_writer("head", {"a": QUIET[:2]}))

    assert "undecided" == result.verdict
    assert "so few processes find no slowdown" in result.decisions[0].sentence


def test_an_exact_rise_fails_whatever_the_clock_says(run_writer: Writer, integers: Callable[..., Exact]) -> None:
    base = run_writer("base", {"a": QUIET})
    head = run_writer("head", {"a": scaled(0.5)}, integers=integers(flop={"product": 25, "bias": 3}))
    fewer = run_writer("fewer", {"a": QUIET}, integers=integers(flop={"product": 23, "bias": 3}))
    forgiving = Policy(budgets=(Budget("a", "flop", 0.1, "wider"),))

    result = compared(base, head)

    assert "regressed" == result.verdict
    assert [("a", "flop", 27, 28)] == [(r.case, r.quantity, r.base, r.head) for r in result.rises]
    # flop, op_bytes, parameters, routing_operations and allocated_peak_bytes.
    assert 5 == result.compared_exactly
    assert () == compared(base, head, forgiving).rises
    assert () == compared(base, fewer).rises


def test_an_exact_rise_stands_on_a_machine_that_moved(run_writer: Writer, integers: Callable[..., Exact]) -> None:
    head = run_writer("head", {"a": QUIET}, integers=integers(op_bytes=101), bandwidth=2e10)

    assert "regressed" == compared(run_writer("base", {"a": QUIET}), head).verdict


@pytest.mark.parametrize(
    "moved, what", [({"bandwidth": 1.3e10}, "bandwidth differed by a factor of 1.30"), ({"flop_per_s": 8e10}, "0.80")]
)
def test_ceilings_that_moved_make_the_run_void(run_writer: Writer, moved: dict[str, float], what: str) -> None:
    result = compared(run_writer("base", {"a": QUIET}), run_writer("head", {"a": scaled(2.0)}, **moved))

    assert "void" == result.verdict
    assert what in str(result.void)


def test_two_machines_and_two_kinds_are_refused(run_writer: Writer, asv_writer: Writer) -> None:
    base = run_writer("base", {"a": QUIET})

    with pytest.raises(InputError, match=r"measured on another machine than .*cores: 2 and 4"):
        compared(base, run_writer("head", {"a": QUIET}, machine={"cpu_model": "a processor", "cores": 4}))
    with pytest.raises(InputError, match="their protocols differ"):
        compared(base, asv_writer("asv.json", {"x.time_a": ([], [1.0], [QUIET])}))


def test_a_case_that_fails_at_head_is_a_failure_and_one_that_is_gone_is_told(run_writer: Writer) -> None:
    base = run_writer("base", {"a": QUIET, "b": QUIET})

    failed = compared(base, run_writer("failed", {"a": QUIET, "b": [None, None]}))
    gone = compared(base, run_writer("gone", {"a": QUIET, "c": QUIET}))

    assert ("failed", {"b": "crashed: the worker was killed"}) == (failed.verdict, failed.failed)
    assert ("undecided", ("b",), ("c",)) == (gone.verdict, gone.only_base, gone.only_head)


def test_nothing_in_common_is_nothing_compared(run_writer: Writer) -> None:
    assert "nothing" == compared(run_writer("base", {"a": QUIET}), run_writer("head", {"b": QUIET})).verdict


@pytest.mark.parametrize("kind", ["asv", "pytest-benchmark"])
def test_foreign_samples_carry_a_verdict_only_if_declared_independent(
    kind: str, asv_writer: Writer, rounds_writer: Writer
) -> None:
    if kind == "asv":
        base = asv_writer("base.json", {"x.time_a": ([], [1.0], [QUIET])})
        head = asv_writer("head.json", {"x.time_a": ([], [2.0], [scaled(2.0)])})
    else:
        base = rounds_writer("base.json", {"x.py::test_a": QUIET})
        head = rounds_writer("head.json", {"x.py::test_a": scaled(2.0)})

    result = compared(base, head)

    assert kind == result.base.kind
    assert ["undecided"] == [told.status for told in result.decisions]
    assert "which process a sample is of" in result.decisions[0].sentence
    assert "regressed" == compared(base, head, independent=True).verdict


def test_each_set_of_asv_parameters_is_a_case(asv_writer: Writer) -> None:
    benchmarks = {
        "x.time_a": ([["'dense'", "'tree'"], ["0", "2"]], [1.0, None, 3.0, 4.0], [QUIET, None, QUIET]),
        "x.track_flop": ([], [5], None),
    }

    side = read_side(asv_writer("base.json", benchmarks))

    assert {
        "x.time_a('dense', 0)": 7,
        "x.time_a('dense', 2)": 0,
        "x.time_a('tree', 0)": 7,
        # Without its samples, a mean is one number.
        "x.time_a('tree', 2)": 1,
    } == {case: len(series.latencies_s) for case, series in side.series.items()}


def test_extra_info_of_pytest_benchmark_is_compared_exactly(rounds_writer: Writer) -> None:
    base = rounds_writer("base.json", {"a": QUIET}, flop=10, note="x", efficiency=0.5)
    head = rounds_writer("head.json", {"a": QUIET}, flop=11, note="y", efficiency=0.4)

    assert [("flop", 10, 11)] == [(r.quantity, r.base, r.head) for r in compared(base, head).rises]


def test_rounds_that_were_not_saved_are_a_failure_that_says_how_to_save_them(rounds_writer: Writer) -> None:
    base = rounds_writer("base.json", {"a": QUIET})

    assert "--benchmark-save-data" in compared(base, rounds_writer("head.json", {"a": None})).failed["a"]


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "is not JSON"),
        ('{"benchmarks": [', "is not JSON"),
        ("[" * 100_000, "cannot be read"),
        ('{"a": Infinity}', "only finite numbers"),
        ("{}", "has no result_columns and results"),
        ('{"benchmarks": 3, "machine_info": {}}', "has no list of benchmarks"),
        ('{"benchmarks": [{}], "machine_info": {}}', "a benchmark without a fullname"),
        ('{"result_columns": ["result"], "results": {"time_a": 3}}', "another form than its columns"),
        ('{"result_columns": ["result"], "results": {"time_a": [1, 2, 3]}}', "another form than its columns"),
    ],
)
def test_a_broken_or_hostile_file_is_refused_in_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)

    with pytest.raises(InputError, match=sentence):
        read_side(path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        read_side(tmp_path / "missing.json")


def test_junit_has_a_test_for_each_case_and_rise(run_writer: Writer, integers: Callable[..., Exact]) -> None:
    name = 'b<&"\x1b'
    base = run_writer("base", {"a": QUIET, name: QUIET, "c": QUIET[:1], "d": QUIET})
    more = integers(op_bytes=101)
    head = run_writer("head", {"a": QUIET, name: scaled(2.0), "c": QUIET[:1], "d": [None]}, integers=more)

    suite = ElementTree.fromstring(outcome_junit(compared(base, head)))

    # Three exact rises (the failed case has no integers), and the slow case.
    assert ("7", "4", "1", "1") == tuple(suite.get(key) for key in ("tests", "failures", "errors", "skipped"))
    ((slow, failure),) = [
        (test.get("name"), test.find("failure"))
        for test in suite
        if test.get("classname") == "latency" and test.find("failure") is not None
    ]
    assert 'b<&"\N{REPLACEMENT CHARACTER}' == slow
    assert failure is not None
    assert str(failure.get("message")).startswith("head / base 2.000, ")


def test_a_void_run_fails_no_test(run_writer: Writer) -> None:
    head = run_writer("head", {"a": scaled(2.0)}, bandwidth=2e10)

    suite = ElementTree.fromstring(outcome_junit(compared(run_writer("base", {"a": QUIET}), head)))

    assert ("1", "0", "1") == tuple(suite.get(key) for key in ("tests", "failures", "skipped"))


def test_the_json_says_all_and_no_infinity(run_writer: Writer) -> None:
    result = compared(run_writer("base", {"a": QUIET[:1]}), run_writer("head", {"a": QUIET[:1]}))

    told = json.loads(outcome_json(result, Policy()))

    assert ("undecided", 0.05) == (told["verdict"], told["alpha"])
    assert [("a", "undecided", None, None)] == [
        (each["case"], each["decision"], each["high"], each["detectable"]) for each in told["decisions"]
    ]


def test_latencies_whose_ratio_no_float_holds_are_compared(tmp_path: Path, asv_writer: Callable[..., Path]) -> None:
    base = asv_writer("base.json", {"time_a": ([], [1e-300], [[1e-300] * 8])})
    head = asv_writer("head.json", {"time_a": ([], [1e300], [[1e300] * 8])})

    comparison = compare(read_side(base), read_side(head), Policy(), independent=True)

    assert "regressed" == comparison.verdict
    assert inf == comparison.decisions[0].ratio


def test_a_result_file_of_another_version_of_asv_is_refused(asv_writer: Callable[..., Path]) -> None:
    path = asv_writer("base.json", {"time_a": ([], [1.0], [[1.0]])})
    path.write_text(path.read_text().replace('"version": 2', '"version": 1'))

    with pytest.raises(InputError, match="is of version '1' of asv's results; version 2 is read"):
        read_side(path)
