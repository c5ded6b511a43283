"""A run becomes a folder that can be published: the page, its Markdown twin, the main figure, the data beside them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

import capratio
from capratio.errors import InputError
from capratio.records.publish import write_compact
from capratio.records.store import read_run
from capratio.records.summary import summarise
from capratio.report.figures import parameter_cost as cost_figure
from capratio.report.figures import side_by_side as beside_figure
from capratio.report.figures.evidence import Drawing, Evidence, FigurePlan
from capratio.report.figures.table import FIGURES
from capratio.report.frame import tidy
from capratio.report.goal_table import HEADINGS as GOAL_HEADINGS
from capratio.report.goal_table import WORDS as GOAL_WORDS
from capratio.report.lead import headline_title, lead_sentence, unfinished
from capratio.report.markdown import markdown_page
from capratio.report.method import METHOD
from capratio.report.page_assets import asset, environment, small_enough, style
from capratio.report.parameter_cost import CostLine, cost_lines
from capratio.report.parameter_cost_tables import (
    BEHIND_HEADINGS,
    BEHIND_WORDS,
    PRICE_HEADINGS,
    PRICE_WORDS,
    cost_tables,
)
from capratio.report.side_by_side_summary import missing_peers
from capratio.report.side_by_side_tables import (
    GRADIENT_HEADINGS,
    GRADIENT_WORDS,
    PAIR_HEADINGS,
    PAIR_WORDS,
    SUMMARY_HEADINGS,
    WORDS,
    side_by_side_section,
)
from capratio.report.summary_table import COLUMNS, cells, common_parts, summary_json, summary_rows
from capratio.report.svg import file_svg, inline_svg
from capratio.report.tables import failed_table, law_table, machine_table, suite_table, verdict_headline, verdict_table
from capratio.scaling.judge import judge

if TYPE_CHECKING:
    from capratio.records.store import Run
    from capratio.report.side_by_side import ComparedPoint
    from capratio.scaling.verdict import Verdict

_FITTED_WORDS = (
    "An exponent or ratio with its 95 % interval over processes. A law holds when the whole interval lies inside the "
    "promise ± margin (shaded), is broken when it lies outside, and is undecided otherwise."
)
_EXACT_WORDS = "Closed forms, matched point by point, to the integer; the clock has no part in them."


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What ``write_report`` wrote, and a sentence for each peer that the run should have and has not."""

    index_html: Path
    markdown: Path
    records_gz: Path
    missing_peers: Sequence[str]


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure as the page's template takes it; ``svg`` is None when the run has no data for it."""

    name: str
    title: str
    short: str
    question: str
    needs: str
    svg: Markup | None
    caption: str


def write_report(run_dir: Path, out_dir: Path, command: str) -> ReportFiles:
    """Write the report of the run in ``run_dir`` into ``out_dir`` (made if missing) and return its files.

    command: the command line that makes the report again, shown on the page.

    Raises InputError for a folder that is no run, a folder that cannot be written, or a page over 1.5 MB.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(f"{out_dir} is a file and was given for the report; give a folder, new or old.")
    run = read_run(run_dir)
    verdicts = tuple(judge(run.records, run.machine))
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        files = _write(run, verdicts, out_dir, command)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {out_dir} ({error.strerror}); give a folder that can be."
        ) from None
    return files


def render_page(
    run: "Run",
    verdicts: "Sequence[Verdict]",
    figures: Sequence[DrawnFigure],
    costs: "Sequence[CostLine]",
    evidence: Evidence,
    command: str,
) -> str:
    """The page as HTML; everything that came from outside is escaped by the template. costs: lines of the run."""
    rows = summary_rows(evidence.frame)
    common = common_parts(rows)
    beside = side_by_side_section(run.records)
    template = environment().get_template("page.html.j2")
    return template.render(
        title=headline_title(run),
        lead=lead_sentence(run, evidence.frame),
        unfinished=unfinished(run),
        headline=verdict_headline(verdicts),
        fitted_words=_FITTED_WORDS,
        exact_words=_EXACT_WORDS,
        verdicts=verdict_table(verdicts),
        laws=law_table(verdicts),
        suites=suite_table(run.machine),
        figures=[figure for figure in figures if figure.svg is not None],
        not_drawn=not_drawn(figures),
        costs=cost_tables(costs),
        price_words=PRICE_WORDS,
        price_headings=PRICE_HEADINGS,
        behind_words=BEHIND_WORDS,
        behind_headings=BEHIND_HEADINGS,
        cost_figures=_cost_figures(costs),
        beside=beside,
        goal_words=GOAL_WORDS,
        goal_headings=GOAL_HEADINGS,
        beside_words=WORDS,
        beside_headings=SUMMARY_HEADINGS,
        gradient_words=GRADIENT_WORDS,
        gradient_headings=GRADIENT_HEADINGS,
        pair_words=PAIR_WORDS,
        pair_headings=PAIR_HEADINGS,
        beside_figure=None if beside is None else _beside_figure(beside.points),
        columns=COLUMNS,
        cases=[cells(row, common) for row in rows],
        common=common,
        failed=failed_table(run.records),
        machine=machine_table(run.machine),
        method=METHOD,
        command=command,
        has_ceilings=bool(run.ceilings),
        has_plan=run.planned is not None,
        version=capratio.__version__,
        summary_json=Markup(summary_json(rows)),
        style=Markup(style()),
        script=Markup(asset("table.js")),
    )


def draw_figures(
    evidence: Evidence, plans: Sequence[FigurePlan] = FIGURES
) -> tuple[list[DrawnFigure], Mapping[str, Any]]:
    """Every figure as inline SVG in the page's order, and the drawn matplotlib figures by name."""
    drawn, kept = [], {}
    for plan in plans:
        drawing = plan.draw(evidence)
        svg = None
        if drawing is not None:
            svg = Markup(inline_svg(drawing.figure, plan.name, plan.title, f"{plan.question} {drawing.caption}"))
            kept[plan.name] = drawing.figure
        caption = "" if drawing is None else drawing.caption
        drawn.append(
            DrawnFigure(plan.name, plan.title, plan.title.split(" and ")[0], plan.question, plan.needs, svg, caption)
        )
    return drawn, kept


def not_drawn(figures: Sequence[DrawnFigure]) -> str:
    """The figures for which the run has no cases, and which these would be, in a sentence; empty where none is."""
    missing: dict[str, list[str]] = {}
    for figure in figures:
        if figure.svg is None:
            missing.setdefault(figure.needs, []).append(figure.title)
    said = "; ".join(f"{', '.join(titles)} ({needs})" for needs, titles in missing.items())
    return f"Figures for which this run has no cases: {said}." if said else ""


def _beside_figure(points: "Sequence[ComparedPoint]") -> DrawnFigure:
    return _section_figure(
        FigurePlan(
            "side-by-side-figure", beside_figure.TITLE, beside_figure.QUESTION, "", lambda _: beside_figure.draw(points)
        )
    )


def _cost_figures(lines: "Sequence[CostLine]") -> list[DrawnFigure]:
    """A figure for each quantity that the lines have."""
    figures = []
    for what in cost_figure.QUANTITIES:
        drawing = cost_figure.draw(lines, what)
        if drawing is not None:
            name = f"cost-{what.name.replace('_', '-')}"
            dense = what.beside_dense if any(line.is_level for line in lines) else ""
            question = f"{what.question} {dense}".rstrip()
            figures.append(_section_figure(FigurePlan(name, what.title, question, "", partial(_drawn, drawing))))
    return figures


def _drawn(drawing: Drawing, _: Evidence) -> Drawing:
    return drawing


def _section_figure(plan: FigurePlan) -> DrawnFigure:
    """A figure that a section draws from data of its own."""
    drawn, _ = draw_figures(Evidence(tidy([])), [plan])
    return drawn[0]


def _write(run: "Run", verdicts: "tuple[Verdict, ...]", out_dir: Path, command: str) -> ReportFiles:
    evidence = Evidence(tidy(summarise(run.records)), verdicts, run.ceilings)
    figures, kept = draw_figures(evidence)
    costs = cost_lines(run.records)
    rendered = render_page(run, verdicts, figures, costs, evidence, command)
    holds = f"{len(evidence.frame)} cases"
    page = small_enough(rendered, "the", holds, "report fewer cases, one run a case file")
    files = ReportFiles(
        out_dir / "index.html", out_dir / "index.md", out_dir / "records.jsonl.gz", missing_peers(run.records)
    )
    files.index_html.write_text(page, encoding="utf-8")
    files.markdown.write_text(markdown_page(run, verdicts, costs, evidence.frame, command), encoding="utf-8")
    # Where other systems stand beside trees, a figure over depth is not the main one.
    if "capacity" in kept and not costs:
        svg = next(figure.svg for figure in figures if figure.name == "capacity")
        (out_dir / "capacity.svg").write_text(file_svg(str(svg)), encoding="utf-8")
        kept["capacity"].savefig(out_dir / "capacity.png", dpi=160)
    main = cost_figure.draw_main(costs)
    if main is not None:
        main.figure.savefig(out_dir / "latency.png", dpi=160)
    inside = out_dir.resolve() == run.path.resolve()
    # A published folder that is reported again in place keeps its only copy of the samples untouched.
    if not inside or (out_dir / "records.jsonl").exists():
        write_compact(run.records, files.records_gz)
    if not inside:
        _copy_beside(run.path, out_dir)
    return files


def _copy_beside(run_dir: Path, out_dir: Path) -> None:
    for name in ("machine.json", "ceilings.jsonl", "plan.json"):
        if (run_dir / name).exists():
            shutil.copyfile(run_dir / name, out_dir / name)
        else:
            # What an earlier report left here speaks of another run.
            (out_dir / name).unlink(missing_ok=True)
