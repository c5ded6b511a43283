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
    stand_in("capratio.report.page", write_report=lambda *arguments: given.append(arguments))

    assert 0 == run(["report", "a run", *options])

    assert [(Path("a run"), out, command)] == given
    assert f"{out}/index.html\n" == capsys.readouterr().out


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
