"""Every way in which a command line can end has its exit code, and an error is one sentence without a traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from capratio.cli import main
from capratio.cli.lazy_group import LazyGroup
from capratio.errors import CapratioError, InputError, NothingMeasuredError


def group_of(body: Callable[[], object]) -> LazyGroup:
    """A group whose only command ``act`` does this."""
    group = LazyGroup(table={}, name="capratio", help="", params=[])
    command = click.command("act")(body)
    group.get_command = lambda ctx, cmd_name: command  # type: ignore[method-assign]
    return group


def raising(error: BaseException) -> Callable[[], object]:
    """A body that raises."""

    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (
            InputError("the depth 99 was given; give 62 or less."),
            2,
            "capratio: the depth 99 was given; give 62 or less.",
        ),
        (NothingMeasuredError("3 cases were tried."), 5, "capratio: 3 cases were tried."),
        (CapratioError("no."), 2, "capratio: no."),
        (KeyboardInterrupt(), 130, "capratio: interrupted; what was written before stays, and to go on, give the same"),
        (click.Abort(), 130, "capratio: interrupted; what was written before stays, and to go on, give the same"),
        (PermissionError(13, "Permission denied", "/x/run"), 2, "capratio: /x/run: Permission denied"),
        (OSError(28, "No space left on device"), 2, "capratio: No space left on device"),
        (click.FileError("f", "no such"), 2, "capratio: Could not open file 'f': no such"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(
    error: BaseException,
    code: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(main, "capratio_group", group_of(raising(error)))

    assert code == main.run(["act"])

    out, err = capsys.readouterr()
    assert "" == out
    assert err.startswith(sentence)
    assert 1 == len(err.splitlines())


WAITING = """
import signal
import time
import click
from capratio.cli import main

def wait():
    try:
        print("waits", flush=True)
        time.sleep(60)
    finally:
        print("closed", flush=True)

main.capratio_group.get_command = lambda ctx, name: click.command("act")(wait)
# A shell that runs the tests in its background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
main.main()
"""


@pytest.mark.parametrize("sent, code, word", [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_process_that_is_stopped_closes_what_it_has_open_and_says_how_to_go_on(
    sent: str, code: int, word: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, "act"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "waits\n" == process.stdout.readline()
        process.send_signal(signal.Signals[sent])
        out, err = process.communicate(timeout=60)

    assert (code, "closed\n") == (process.returncode, out)
    assert f"capratio: {word}; what was written before stays, and to go on, give the same command again.\n" == err


def test_an_error_in_the_program_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "capratio_group", group_of(raising(ZeroDivisionError("a bug"))))

    with pytest.raises(ZeroDivisionError, match="a bug"):
        main.run(["act"])


@pytest.mark.parametrize("answer, code", [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_what_a_command_returns_is_the_exit_code(answer: object, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "capratio_group", group_of(lambda: answer))

    assert code == main.run(["act"])


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["cost"], "Missing"),
        (["cost", "tree", "--in-features", "0", "--out-features", "4", "--depth", "1"], "0 is not in the range"),
        (
            ["cost", "tree", "--in-features", "4", "--out-features", "4", "--depth", "1:2:"],
            "inclusive range such as 0:12",
        ),
        (["cost", "tree", "--in-features", "4", "--out-features", "4", "--depth", "3:1"], "holds no depth"),
        (["cost", "tree", "--in-features", "4", "--out-features", "4", "--depth", "-1"], "depth=-1 was given"),
        (["cost", "tree", "--in-features", "4", "--out-features", "4", "--depth", "0:999999999"], "depth=63 was given"),
        (["cost", "tre", "--in-features", "4", "--out-features", "4", "--depth", "1"], "did you mean 'tree'?"),
        (["cost", "xyz", "--in-features", "4", "--out-features", "4", "--depth", "1"], "use one of dense, tree-shared"),
        (["export", "run"], "Give --csv FILE or --parquet FILE"),
        (["sweep"], "Give CASES, or one layer"),
        (["sweep", "quick", "--set", "hidden=4"], "--set, --replicates, sizes and passes describe a --layer"),
        (["sweep", "--layer", "torch.nn:Linear", "--set", "hidden", "--plan"], "'hidden' is not key=value"),
        (
            ["sweep", "--layer", "torch:nn:Linear", "--in-features", "4", "--plan"],
            "name a layer of yours package.module:Class",
        ),
        (
            ["sweep", "--layer", "moe-sparse", "--in-features", "4", "--backend", "bsr", "--out", "run"],
            "capratio: --layer: backend = 'bsr' with layer = 'moe-sparse', whose operation has none of that name",
        ),
        (
            [
                "sweep",
                "--layer",
                "memory-table",
                "--in-features",
                "4",
                "--set",
                "lookup=ids",
                "--input",
                "images",
                "--plan",
            ],
            "capratio: --layer: input = 'images' with layer = 'memory-table' and lookup=ids has no token ids",
        ),
        (["cost", "moe-sparse", "--depth", "4"], "--depth was given for moe-sparse, which does not have it"),
        (["cost", "moe-sparse", "--set", "expert=4"], "did you mean 'experts'?"),
        (
            ["cost", "tree", "--set", "experts=4"],
            "the key 'experts' is not known; use one of depth, form, gate, hidden",
        ),
        (
            ["cost", "tree", "--set", "depht=4"],
            "--set of tree-shared: the key 'depht' is not known; did you mean 'depth'?",
        ),
        (["cost", "tree", "--set", "depth=2", "--depth", "3"], "--depth and --set depth were both given"),
        (["cost", "tree", "--set", "depth=two"], "'two' is not a depth such as 8 or an inclusive range such as 0:12"),
        (["cost", "tree", "--set", "depth=0:999999999"], "depth=63 was given; a depth is a number of gating bits"),
        (["cost", "tree", "--set", "depth=2,0:999999999"], "depth=63 was given; a depth is a number of gating bits"),
        (["cost", "dense", "--order", "nodes"], "order='nodes' was given for dense in path form, which sums no path"),
        (["cost", "tree", "--form", "flat"], "form='flat' is not known; it must be one of path, collapsed, leaf."),
        (["cost", "altup", "--form", "sequence"], "is the flag of trees; for altup write --set form=sequence."),
        (["cost", "altup", "--form", "path"], "write --set form=alternating|same|recycled|sequence."),
        (["cost", "tree", "--set", "bias=5"], "--set bias was given 5 for tree-shared; give true or false."),
        (
            ["cost", "tree", "--set", "order=paths"],
            "the order 'paths' is not known; use one of leaves, prefixes, nodes.",
        ),
        (["cost", "moe-sparse", "--set", 'experts="8"'], 'was given experts="8"; give an integer'),
        (["cost", "moe-sparse", "--set", "experts=8,8"], "'experts=8,8' holds a value twice; give each once"),
        (["cost", "moe-sparse", "--experts", "4"], "--experts is an option of a layer: write --set experts=VALUE"),
        (["sweep", "--layer", "moe-st", "--capacity-eval=2"], "write --set capacity_eval=VALUE; see 'capratio sweep"),
        (["cost", "dynamic-gate", "--hidden", "64"], "is the flag of trees; for dynamic-gate write --set hidden=64."),
        (
            ["sweep", "--layer", "dense", "--layer", "a:B", "--in-features", "4", "--plan"],
            "dense and a:B were given; give one",
        ),
        (["profile", "--layer", "dense", "--layer", "moe-st"], "dense and moe-st were given; give one layer at a time"),
        (["cost", "moe-sparse", "--dept", "4"], "No such option"),
        (["verdict", "run", "--strikt"], "No such option"),
        (["list", "lawyers"], "'lawyers' is not one of"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main.run(arguments)

    out, err = capsys.readouterr()
    assert "" == out
    assert part in err
    assert "Traceback" not in err
    assert 1 == len(err.splitlines())


def test_no_arguments_show_the_help_on_the_error_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main.run([])

    out, err = capsys.readouterr()
    assert "" == out
    assert "Commands:" in err


def test_a_reader_that_goes_away_is_quiet() -> None:
    sizes = ["--in-features", "64", "--out-features", "64"]
    read_end, write_end = os.pipe()
    os.close(read_end)

    with os.fdopen(write_end, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "capratio.cli.main", "cost", "tree-shared", *sizes, "--depth", "0:40"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )

    assert (141, "") == (done.returncode, done.stderr)
