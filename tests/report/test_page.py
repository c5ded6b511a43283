"""The page is one offline file with verdicts first, and its folder is a run again."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.records.record import Record
from capratio.records.store import read_run, write_plan
from capratio.report.figures.table import FIGURES
from capratio.report.lead import headline_title
from capratio.report.page import ReportFiles, write_report
from capratio.report.page_assets import LARGEST_PAGE_BYTES

COMMAND = "capratio report runs/x --out 'a & b'"


@pytest.fixture(scope="module")
def written(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """The report of the synthetic run."""
    return write_report(run_dir, tmp_path_factory.mktemp("report"), COMMAND)


@pytest.fixture(scope="module")
def page(written: ReportFiles) -> str:
    """Its page."""
    return written.index_html.read_text(encoding="utf-8")


class _Seen(HTMLParser):
    """Elements, ids and addresses of a page, as a browser's parser would meet them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "xlink:href", "srcset", "action", "data"}:
                self.addresses.append(value or "")


def test_the_page_is_smaller_than_its_limit(written: ReportFiles) -> None:
    assert written.index_html.stat().st_size < LARGEST_PAGE_BYTES


def test_nothing_is_fetched_from_elsewhere(page: str) -> None:
    seen = _Seen(page)

    beside = {"records.jsonl.gz", "machine.json", "ceilings.jsonl", "plan.json", "index.md"}
    assert all(address.startswith("#") or address in beside for address in seen.addresses)
    assert not {"link", "img", "iframe", "object"} & set(seen.tags)
    assert re.search(r"url\((?!#)", page) is None
    assert "@import" not in page
    assert {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"} >= set(
        re.findall(r"https?://[^\"' <)]+", page)
    )


def test_verdicts_stand_before_figures_and_figures_before_cases(page: str) -> None:
    places = [page.index(f'<section id="{name}">') for name in ("verdicts", "capacity", "roofline", "cases", "machine")]

    assert sorted(places) == places


def test_every_figure_is_there_or_one_sentence_says_which_cases_would_give_it(page: str) -> None:
    said = page.split("Figures for which this run has no cases: ")[1].split("</p>")[0]
    for plan in FIGURES:
        _, _, section = page.partition(f'<section id="{plan.name}">')
        if section:
            assert "<svg" in section.split("</section>")[0]
            assert plan.title not in said
        else:
            assert f'href="#{plan.name}"' not in page
            assert plan.title in said
            assert f"({plan.needs})" in said


def test_no_id_is_there_twice(page: str) -> None:
    ids = _Seen(page).ids

    assert len(ids) == len(set(ids))


def test_there_is_one_row_a_case_in_the_table_and_in_the_json(page: str, records: list[Record]) -> None:
    measured = {record.case for record in records if record.measured}

    table = page.split('<table id="summary-table">')[1].split("</table>")[0]
    text = re.search(r'<script type="application/json" id="summary">(.*?)</script>', page, re.DOTALL)

    assert text is not None
    assert measured == {row[0] for row in json.loads(text.group(1))["rows"]}
    assert len(measured) == table.split("<tbody>")[1].count("<tr>")


def test_a_refused_case_is_listed_with_its_reason(page: str) -> None:
    section = page.split('<section id="failed">')[1].split("</section>")[0]

    assert "refused" in section
    assert "the case needs 34 GiB and 12 GiB are free" in section


def test_the_command_is_shown_as_text(page: str) -> None:
    assert "<pre><code>capratio report runs/x --out &#39;a &amp; b&#39;</code></pre>" in page


def test_light_dark_and_print_are_provided_for(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_table_can_be_sorted_with_the_keyboard(page: str) -> None:
    head = page.split('<table id="summary-table">')[1].split("</thead>")[0]

    assert head.count("<th ") == head.count('<button type="button" data-key=')


def test_hostile_names_stay_text(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    evil = '"><script>alert(1)</script>'
    made = [record_maker(depth=k, replicate=r) for k in range(4) for r in range(2)]
    made = [replace(r, case=r.case + evil, group=evil, point=replace(r.point, layer=f"a:{evil}")) for r in made]
    failed = replace(made[0], case=evil, status="crashed", reason=evil, timing=None)
    run = run_writer(tmp_path / "run", [*made, failed], {"cpu_model": evil, "caches": {evil: evil}})

    files = write_report(run, tmp_path / "out", evil)

    page = files.index_html.read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert ["script", "script"] == [tag for tag in _Seen(page).tags if tag == "script"]
    assert "<script>alert" not in files.markdown.read_text(encoding="utf-8").replace(f"    {evil}\n", "")


def test_the_published_folder_can_be_reported_again(
    written: ReportFiles, tmp_path: Path, records: list[Record]
) -> None:
    folder = written.index_html.parent

    again = write_report(folder, tmp_path / "again", COMMAND)

    assert len(records) == len(read_run(folder).records)
    assert written.index_html.read_bytes() == again.index_html.read_bytes()


def test_an_unfinished_run_is_named_at_the_top_and_its_plan_lies_beside_the_page(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    records = [record_maker(depth=k) for k in range(3)]
    run = run_writer(tmp_path / "run", records)
    write_plan(run, {record.case: 2 for record in records})

    files = write_report(run, tmp_path / "out", COMMAND)
    again = write_report(tmp_path / "out", tmp_path / "again", COMMAND)

    said = "3 of 6 planned measurements are there; the same sweep goes on."
    page, text = files.index_html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")
    assert said in page.split("<nav")[0]
    assert said in text.split("## Verdicts")[0]
    assert read_run(run).planned == read_run(tmp_path / "out").planned
    assert files.index_html.read_bytes() == again.index_html.read_bytes()


def test_a_plan_of_another_run_does_not_stay_beside_a_page(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    planned, older = (run_writer(tmp_path / name, [record_maker(), record_maker(depth=2)]) for name in "ab")
    write_plan(planned, {"a": 1})
    write_report(planned, tmp_path / "out", COMMAND)

    files = write_report(older, tmp_path / "out", COMMAND)

    assert read_run(tmp_path / "out").planned is None
    assert "planned measurements" not in files.index_html.read_text(encoding="utf-8")


def test_each_law_stands_in_full_once_on_the_page_and_in_the_twin(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    made = [record_maker(layer, depth=2, claims=("parameters",)) for layer in ("tree-shared", "tree-unit")]

    files = write_report(run_writer(tmp_path / "run", made), tmp_path / "out", COMMAND)

    for shown in (files.index_html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")):
        assert 1 == shown.split("The laws in full")[1].count("a bias has q parameters, learned hyperplanes k·p")
        # What was counted, where, and over which range stands in the open.
        assert "weight parameters at k = 2, p = 512, q = 512, N = 1, decode" in shown
        assert "k = 2, p = 512, q = 512, N = 1, every pass and cache state measured" in shown


def test_suites_say_what_they_are_for(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    suites = [{"name": "tree", "title": "Three lines", "analysis": "They decide <all>.", "groups": {}}]
    run = run_writer(tmp_path / "run", [record_maker()], {"cpu_model": "X", "suites": suites})

    files = write_report(run, tmp_path / "out", COMMAND)

    top = files.index_html.read_text(encoding="utf-8").split("<nav")[0]
    assert "<strong>Three lines.</strong> They decide &lt;all&gt;." in top
    assert "**Three lines.** They decide &lt;all&gt;." in files.markdown.read_text(encoding="utf-8")


def test_a_report_may_be_written_into_its_own_run(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    run = run_writer(tmp_path / "run", [record_maker(depth=k) for k in range(3)])
    before = (run / "machine.json").read_bytes()

    write_report(run, run, COMMAND)
    write_report(run, run, COMMAND)

    assert before == (run / "machine.json").read_bytes()
    assert 3 == len(read_run(run).records)


def test_the_samples_lie_beside_the_page(written: ReportFiles, records: list[Record]) -> None:
    with gzip.open(written.records_gz, "rt", encoding="utf-8") as lines:
        assert len(records) == sum(1 for _ in lines)
    assert (written.index_html.parent / "ceilings.jsonl").exists()


def test_the_main_figure_is_a_file_of_its_own(written: ReportFiles) -> None:
    folder = written.index_html.parent

    assert (folder / "capacity.svg").read_text(encoding="utf-8").startswith("<svg")
    assert b"\x89PNG" == (folder / "capacity.png").read_bytes()[:4]
    # Latency over parameters is the picture of runs that hold systems against dense layers.
    assert not (folder / "latency.png").exists()
    assert "latency.png" not in written.markdown.read_text(encoding="utf-8")


def test_a_run_with_a_system_has_the_picture_of_its_latency(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    record = record_maker()
    run = run_writer(tmp_path / "run", [replace(record, point=replace(record.point, layer="moe-sparse", depth=0))])

    write_report(run, tmp_path / "out", COMMAND)

    assert b"\x89PNG" == (tmp_path / "out" / "latency.png").read_bytes()[:4]
    assert not list((tmp_path / "out").glob("capacity.*"))
    assert "](latency.png)" in (tmp_path / "out" / "index.md").read_text(encoding="utf-8")


def test_a_run_without_a_measurement_still_gives_a_page(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    failed = replace(
        record_maker(), status="crashed", reason="signal 11.", exact=None, timing=None, memory=None, limit=None
    )
    run = run_writer(tmp_path / "run", [failed])

    files = write_report(run, tmp_path / "out", COMMAND)

    page = files.index_html.read_text(encoding="utf-8")
    assert "None of 1 cases gave a measurement" in page
    assert "signal 11." in page


def test_an_output_that_cannot_be_written_is_one_sentence(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="file is a file and was given for the report; give a folder, new or old"):
        write_report(run_dir, tmp_path / "file", COMMAND)
    with pytest.raises(InputError, match=r"the report cannot be written to .*; give a folder that can be\."):
        write_report(run_dir, tmp_path / "file" / "out", COMMAND)


def test_a_page_over_its_limit_is_refused_and_nothing_is_written(
    tmp_path: Path,
    record_maker: Callable[..., Record],
    run_writer: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("capratio.report.page_assets.LARGEST_PAGE_BYTES", 1000)
    run = run_writer(tmp_path / "run", [record_maker(depth=k) for k in range(3)])

    with pytest.raises(InputError, match=r"the page would take \d+ bytes for 3 cases; at most 1000 are written"):
        write_report(run, tmp_path / "out", COMMAND)

    assert [] == list((tmp_path / "out").iterdir())


def test_a_run_of_the_published_sweeps_size_fits_the_page(
    tmp_path: Path, record_maker: Callable[..., Record], run_writer: Callable[..., Path]
) -> None:
    forms = [("tree-shared", "path"), ("tree-shared", "collapsed"), ("tree-unit", "path"), ("tree-bias", "path")]
    calls = [(1, "decode", "cold"), (1, "decode", "warm"), (1024, "forward", "warm"), (1024, "train", "warm")]
    made = [
        record_maker(layer, form, p=p, q=p, depth=k, tokens=n, pass_=pass_, cache=cache)
        for layer, form in forms
        for p in (128, 256, 384, 512, 640, 768)
        for k in range(13)
        for n, pass_, cache in calls
    ]
    run = run_writer(tmp_path / "run", made)

    files = write_report(run, tmp_path / "out", COMMAND)

    assert 1248 == len(made)
    assert files.index_html.stat().st_size < LARGEST_PAGE_BYTES


def test_the_markdown_twin_has_the_verdicts_the_cases_and_the_command(
    written: ReportFiles, records: list[Record]
) -> None:
    text = written.markdown.read_text(encoding="utf-8")

    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert ["Verdicts", "Cases", "Not measured", "Machine", "Method and its bias", "Make it again"] == headings
    cases = text.split("## Cases")[1].split("## Not measured")[0]
    assert len({r.case for r in records if r.measured}) == cases.count("\n| ") - 2
    assert COMMAND in text


def test_a_run_is_named_after_its_gpu_where_nothing_ran_elsewhere(run_dir: Path) -> None:
    run = read_run(run_dir)
    mixed = replace(run, machine={**run.machine, "cpu_model": "A processor", "gpus": ["A GPU"]})
    moved = tuple(replace(record, point=replace(record.point, device="cuda")) for record in run.records)

    assert headline_title(mixed).endswith("on A processor?")
    assert headline_title(replace(mixed, records=moved)).endswith("on A GPU?")
    assert headline_title(replace(run, machine={})).endswith("on a machine without a name?")


def test_a_run_of_other_layers_is_named_after_what_stands_beside_them(run_dir: Path) -> None:
    run = replace(read_run(run_dir), machine={"cpu_model": "A processor"})
    alone = replace(run.records[0], point=replace(run.records[0].point, layer="moe-sparse"))
    peer = replace(alone, case=alone.case.replace("/reference/", "/grouped-mm/"))

    assert "What does a parameter cost on A processor?" == headline_title(replace(run, records=(alone,)))
    assert "What does a parameter cost beside its peers on A processor?" == headline_title(
        replace(run, records=(alone, peer))
    )
