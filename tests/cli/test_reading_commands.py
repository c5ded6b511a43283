"""``report``, ``export`` and ``doctor`` hand on what they were given and say what they made."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from capratio.cli.main import run

Stand = Callable[..., None]


@pytest.mark.parametrize(
    "options, out, command",
    [
        ([], Path("a run/report"), "capratio report 'a run' --out 'a run/report'"),
        (["--out", "page"], Path("page"), "capratio report 'a run' --out page"),
        (["--out", "page", "--made-by", "make report"], Path("page"), "make report"),
    ],
)
def test_report_names_the_command_that_makes_the_page_again(
    options: list[str], out: Path, command: str, stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[object] = []

    def write_report(*arguments: object) -> SimpleNamespace:
        given.append(arguments)
        return SimpleNamespace(index_html=out / "index.html", missing_peers=[])

    stand_in("capratio.report.page", write_report=write_report)

    assert 0 == run(["report", "a run", *options])

    assert [(Path("a run"), out, command)] == given
    assert f"{out}/index.html\n" == capsys.readouterr().out


def test_a_page_without_a_listed_peer_is_written_and_a_failure(
    stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    files = SimpleNamespace(index_html=Path("page/index.html"), missing_peers=["grouped-mm has no time in this run"])
    stand_in("capratio.report.page", write_report=lambda *arguments: files)

    assert 5 == run(["report", "a run", "--out", "page"])
    assert ("page/index.html\n", "grouped-mm has no time in this run\n") == capsys.readouterr()


def test_export_writes_each_format_that_is_asked_for(stand_in: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    written: list[object] = []
    stand_in("capratio.records.store", read_run=lambda path: SimpleNamespace(records=("a", "b")))
    stand_in(
        "capratio.records.export",
        write_csv=lambda records, path: written.append(("csv", records, path)),
        write_parquet=lambda records, path: written.append(("parquet", records, path)),
    )

    assert 0 == run(["export", "run", "--csv", "f.csv", "--parquet", "f.parquet"])

    assert [("csv", ("a", "b"), Path("f.csv")), ("parquet", ("a", "b"), Path("f.parquet"))] == written
    assert ["f.csv: 2 records", "f.parquet: 2 records"] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["report", "RUN", "--out", "FILE"], "FILE is a file and was given for the report; give a folder, new or old."),
        (["export", "RUN", "--csv", "RUN"], "RUN is a folder and was given for a table; give a file in it."),
        (["export", "RUN", "--parquet", "NO/a"], "NO/a cannot be written, since NO is not a folder; make it or give"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence_of_ours(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("RUN").mkdir()
    Path("RUN/machine.json").write_text("{}")
    Path("RUN/records.jsonl").write_text("")
    Path("FILE").write_text("")

    assert 2 == run(arguments)

    assert capsys.readouterr().err.startswith(f"capratio: {said}")


def test_doctor_prints_each_finding_with_its_advice(stand_in: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        SimpleNamespace(level="ok", name="threads", value="1", advice=None),
        SimpleNamespace(level="warning", name="load", value="3.1", advice="Stop other work."),
    ]
    stand_in("capratio.measure.health", check_health=lambda: findings)

    assert 0 == run(["doctor"])

    assert [
        "ok      threads: 1",
        "warning load: 3.1",
        "        Stop other work.",
    ] == capsys.readouterr().out.splitlines()
