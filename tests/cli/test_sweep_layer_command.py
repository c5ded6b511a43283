"""``capratio sweep --layer``: the plan of the equal case file, and one sentence for what is wrong."""

import tempfile
from pathlib import Path

import pytest

from capratio.cli.layer_options import WORDS
from capratio.cli.main import run
from capratio.sweep.case_group import DEFAULTS, SWEPT_WORDS
from capratio.sweep.observer import Observer
from capratio.sweep.plan import Plan
from capratio.sweep.plan import plan as real_plan
from capratio.sweep.runner import SweepOutcome

LAYER = ["--layer", "mine.layers:A", "--in-features", "8"]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert 0 == run(["sweep", *arguments, "--plan"])
    return capsys.readouterr().out


def ids(plan: str) -> list[str]:
    return [line.split()[0] for line in plan.splitlines()[2:-1]]


def test_its_plan_is_that_of_the_equal_case_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'replicates = 2\n[[cases]]\nlayer = "mine.layers:A"\nin_features = 8\nout_features = 4\n'
        'tokens = [1, 64]\npass = ["forward", "train"]\ndtype = ["float32", "float16"]\nthreads = [1, 2]\n'
        'options = { n = [4, 8], bias = false, act = "relu" }\n'
    )
    sizes = ["--out-features", "4", "--tokens", "1", "--tokens", "64", "--threads", "1", "--threads", "2"]
    words = ["--pass", "forward", "--pass", "train", "--dtype", "float32", "--dtype", "float16"]
    options = ["--set", "n=4,8", "--set", "bias=false", "--set", "act=relu", "--replicates", "2"]

    assert shown(capsys, str(file)) == shown(capsys, *LAYER, *sizes, *words, *options)


def test_three_processes_measure_each_case_unless_it_says_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert "1 case, 3 replicates in 3 processes" in shown(capsys, *LAYER)
    assert "1 case, 5 replicates in 5 processes" in shown(capsys, *LAYER, "--replicates", "5")


def test_a_layer_of_ours_is_named_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "--layer", "moe-sparse", "--in-features", "16", "--set", "experts=4")

    assert "moe-sparse[experts=4]/p16-q16-k0/n1/float32/cpu/forward/warm/text+measured/auto/t1" in out


def test_a_system_and_a_tree_are_described_like_their_case_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(
        'replicates = 3\n[[cases]]\nlayer = "moe-sparse"\nin_features = 8\nbackend = ["auto", "grouped-mm"]\n'
        'cache = ["warm", "cold"]\nrouting = "uniform"\ninput = "gaussian"\noptions = { experts = [4, 8] }\n'
        '[[cases]]\nlayer = "tree"\nin_features = 8\ndepth = [0, 2, 4]\nform = "collapsed"\npass = "forward-grad"\n'
    )
    backends = ["--backend", "auto", "--backend", "grouped-mm", "--cache", "warm", "--cache", "cold"]
    mixture = ["--layer", "moe-sparse", "--in-features", "8", "--set", "experts=4,8", "--routing", "uniform"]
    tree = ["--layer", "tree", "--in-features", "8", "--set", "depth=0:4:2", "--set", "form=collapsed"]

    both = shown(capsys, str(file))

    ours = shown(capsys, *mixture, "--input", "gaussian", *backends)
    assert ids(both) == [*ids(ours), *ids(shown(capsys, *tree, "--pass", "forward-grad"))]
    assert 2 * 2 * 2 == len(ids(ours))


def test_the_words_of_the_options_are_those_of_case_files() -> None:
    assert {key: set(SWEPT_WORDS[key]) for key in WORDS} == {key: set(words) for key, words in WORDS.items()}
    assert {key: DEFAULTS[key] for key in WORDS} == {key: words[0] for key, words in WORDS.items()}


def test_only_and_device_hold_for_a_layer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str | None, str | None]] = []

    def plan(files: list[Path], only: str | None, device: str | None) -> Plan:
        given.append((only, device))
        return real_plan(files, only, device)

    monkeypatch.setattr("capratio.sweep.plan.plan", plan)

    assert 0 == run(["sweep", *LAYER, "--tokens", "1", "--tokens", "2", "--only", "*/n2/*", "--plan"])
    assert [("*/n2/*", None)] == given


def test_a_run_names_the_layer_and_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[tuple[str, str]] = []

    def run_sweep(
        files: list[Path], out: Path, only: str | None, observer: Observer, device: str | None
    ) -> SweepOutcome:
        given.append((files[0].name, files[0].read_text(encoding="utf-8").splitlines()[0]))
        return SweepOutcome(1, 0, [], [])

    monkeypatch.setattr("capratio.sweep.runner.run_sweep", run_sweep)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert 0 == run(["sweep", *LAYER, "--out", str(tmp_path / "run")])

    assert [("--layer", 'name = "mine.layers:A"')] == given
    assert [] == list(tmp_path.iterdir())
    assert "1 measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--layer", "mine.layers:A"], "Missing option '--in-features', which a --layer needs"),
        ([*LAYER], "Missing option '--out'"),
        (["quick", *LAYER], "Give CASES, or one layer, as --layer ID or --layer package.module:Class"),
        ([], "Give CASES, or one layer, as --layer ID or --layer package.module:Class"),
        (["quick", "--replicates", "3"], "--set, --replicates, sizes and passes describe a --layer"),
        (["quick", "--tokens", "0"], "--set, --replicates, sizes and passes describe a --layer"),
        (
            ["--layer", "mine.A", "--in-features", "8"],
            "--layer: layer = 'mine.A'; name a layer of yours package.module",
        ),
        (["--layer", "moe", "--in-features", "8"], "--layer: the layer 'moe' is not known; did you mean"),
        (
            [*LAYER, "--pass", "decode", "--tokens", "2"],
            "--layer: pass = 'decode' with tokens = 2; decoding is one token",
        ),
        ([*LAYER, "--pass", "forward-grad"], "a user's layer is measured in the passes forward, decode and train"),
        ([*LAYER, "--routing", "uniform"], "nothing is known of a user's layer by which a routing could be imposed"),
        (["quick", "--cache", "cold"], "--set, --replicates, sizes and passes describe a --layer"),
        (
            ["--layer", "product-key", "--in-features", "8", "--routing", "uniform"],
            "--layer: routing = 'uniform' with layer = 'product-key' and heads=4",
        ),
        (
            ["--layer", "tree", "--in-features", "8", "--backend", "cup"],
            "backend 'cup' is not known; did you mean 'cpu'?",
        ),
        ([*LAYER, "--dtype", "int8"], "'int8' is not one of"),
        ([*LAYER, "--set", "bias=False"], "'bias=False' holds False; write false"),
        ([*LAYER, "--set", "bias"], "'bias' is not key=value"),
        ([*LAYER, "--set", "a=b\x07"], "--layer: 'b\\x07' holds what cannot be printed"),
        ([*LAYER, "--only", "x*"], "no case matches the pattern 'x*'"),
        (["systems", "--only", "block-policy"], "a whole id; did you mean '*block-policy*'? The 3"),
        (
            ["--layer", "moe-sparse", "--in-features", "8", "--set", "exprts=4"],
            "--layer: the options of moe-sparse: the key 'exprts' is not known; did you mean 'experts'?",
        ),
        (
            ["--layer", "memory-table", "--in-features", "8", "--out-features", "9"],
            "--layer: memory-table was given",
        ),
        (
            ["--layer", "tree", "--in-features", "8", "--set", "dept=4"],
            "--layer: the options of tree: the key 'dept' is not known; did you mean 'depth'?",
        ),
        (
            ["--layer", "tree", "--in-features", "8", "--set", "depth=63"],
            "--layer: depth = 63; give a number of gating",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_without_a_file_that_nobody_wrote(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = [] if sentence.startswith("Missing option '--out'") else ["--plan"]

    assert 2 == run(["sweep", *arguments, *plan])

    said = capsys.readouterr().err
    assert sentence in said
    assert 1 == said.count("\n")
    assert tempfile.gettempdir() not in said
