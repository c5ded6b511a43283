"""The page's twin in Markdown: the verdicts and the main tables, readable in a terminal or a pull request."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capratio.display import markdown_table, markdown_text
from capratio.report.figures.parameter_cost import further_calls
from capratio.report.goal_table import HEADINGS as GOAL_HEADINGS
from capratio.report.goal_table import WORDS as GOAL_WORDS
from capratio.report.lead import headline_title, lead_sentence, unfinished
from capratio.report.method import METHOD
from capratio.report.parameter_cost_tables import (
    BEHIND_HEADINGS,
    BEHIND_WORDS,
    PRICE_HEADINGS,
    PRICE_WORDS,
    cost_tables,
)
from capratio.report.side_by_side_tables import (
    GRADIENT_HEADINGS,
    GRADIENT_WORDS,
    PAIR_HEADINGS,
    PAIR_WORDS,
    SUMMARY_HEADINGS,
    WORDS,
    side_by_side_section,
)
from capratio.report.summary_table import COLUMNS, cells, summary_rows
from capratio.report.tables import failed_table, law_table, machine_table, suite_table, verdict_headline, verdict_table
from capratio.units import counted

if TYPE_CHECKING:
    import pandas as pd

    from capratio.records.store import Run
    from capratio.report.parameter_cost import CostLine
    from capratio.scaling.verdict import Verdict


def markdown_page(
    run: "Run", verdicts: "Sequence[Verdict]", costs: "Sequence[CostLine]", frame: "pd.DataFrame", command: str
) -> str:
    """The report as Markdown: title, lead, costs, verdicts, cases, failures, machine, method, command."""
    parts = [
        f"# {markdown_text(headline_title(run))}",
        markdown_text(lead_sentence(run, frame)),
        *([f"**{markdown_text(missing)}**"] if (missing := unfinished(run)) else []),
        *(
            f"**{markdown_text(title)}.** {markdown_text(analysis)}".rstrip()
            for title, analysis in suite_table(run.machine)
        ),
        *_parameter_cost(costs),
        "## Verdicts",
        verdict_headline(verdicts),
        markdown_table(
            ("verdict", "law", "of", "quantity", "estimate", "promised", "where", "in a sentence"),
            (
                (
                    f"{row.icon} {row.status}",
                    row.title,
                    row.group,
                    row.quantity,
                    row.estimate,
                    row.expected,
                    row.regime,
                    f"{row.sentence} {row.advice}".strip(),
                )
                # As on the page, what the clock says comes first.
                for row in sorted(verdict_table(verdicts), key=lambda row: row.kind == "exact")
            ),
        ),
        *(["### The laws in full"] if verdicts else []),
        *(f"**{markdown_text(law.title)}.** {markdown_text(law.text)}" for law in law_table(verdicts)),
        *_side_by_side(run),
        "## Cases",
        markdown_table(tuple(column.heading for column in COLUMNS), (cells(row) for row in summary_rows(frame))),
    ]
    failed = failed_table(run.records)
    if failed:
        rows = ((row.case, row.status, str(row.replicates), row.reason) for row in failed)
        parts += ["## Not measured", markdown_table(("case", "ended", "processes", "reason"), rows)]
    parts += [
        "## Machine",
        markdown_table(("what", "value"), machine_table(run.machine)),
        "## Method and its bias",
        *METHOD,
    ]
    parts += ["## Make it again", _code(command)]
    return "\n\n".join(parts) + "\n"


def _parameter_cost(costs: "Sequence[CostLine]") -> list[str]:
    parts = []
    for table in cost_tables(costs):
        parts += [
            f"### {markdown_text(table.call)}",
            markdown_table(PRICE_HEADINGS, table.prices),
            markdown_table(BEHIND_HEADINGS, table.behind),
        ]
    # The file that the page's writer puts beside it.
    picture = "![Latency over parameters, a panel a kind of call and a line a system](latency.png)"
    further = further_calls(costs)
    said = [f"The page has {counted(len(further), 'more panel')}: {'; '.join(further)}."] if further else []
    words = map(markdown_text, [*said, PRICE_WORDS, BEHIND_WORDS])
    return ["## What a parameter costs", picture, *words, *parts] if parts else []


def _side_by_side(run: "Run") -> list[str]:
    section = side_by_side_section(run.records)
    if section is None:
        return []
    return [
        "## Side by side",
        *(f"**✗ {markdown_text(sentence)}**" for sentence in section.missing),
        GOAL_WORDS,
        markdown_table(GOAL_HEADINGS, (goal.cells for goal in section.goals)),
        *(
            f"**Missed: {markdown_text(goal.cells[0])}.** In the published reports: {markdown_text(goal.missed)}"
            for goal in section.goals
            if goal.missed
        ),
        *([markdown_text(section.goals_elsewhere)] if section.goals_elsewhere else []),
        WORDS,
        markdown_table(SUMMARY_HEADINGS, section.summary),
        *([GRADIENT_WORDS, markdown_table(GRADIENT_HEADINGS, section.gradients)] if section.gradients else []),
        section.caption,
        markdown_table(section.headings, section.rows),
        *([PAIR_WORDS, markdown_table(PAIR_HEADINGS, section.pairs)] if section.pairs else []),
    ]


def _code(command: str) -> str:
    return "\n".join(f"    {line}" for line in command.splitlines())
