"""The selftest page's twin in Markdown."""

from capratio.display import markdown_table, markdown_text
from capratio.gate.selftest_json import SelftestRecord
from capratio.gate.selftest_peers import HEADINGS as PEER_HEADINGS
from capratio.gate.selftest_peers import Peers, beside
from capratio.gate.selftest_table import HEADINGS, RUN_HEADINGS, run_cells, selftest_rows
from capratio.gate.selftest_words import headline, method, outcome, spread_words, standing
from capratio.report.figures import gate_power
from capratio.report.selftest_page import (
    LOOKS,
    PEER_WORDS,
    SPREAD_HEADINGS,
    PowerFigure,
    commands,
    lead,
    spread_rows,
)
from capratio.report.tables import machine_table

AGAIN = "From the data beside this page alone, nothing being measured:"
AGAIN_COMMAND = "capratio gate selftest --from FOLDER --report FOLDER"


def selftest_markdown(record: SelftestRecord, peers: Peers | None, figure: PowerFigure | None, picture: str) -> str:
    """The page as Markdown; picture: the file of the curve beside it."""
    result = record.result
    icon, _ = LOOKS[outcome(result)]
    parts = [
        f"# {icon} {markdown_text(headline(result))}",
        *map(markdown_text, standing(result)),
        markdown_text(lead(record)),
        "## Goals",
        markdown_table(HEADINGS, (row.cells() for row in selftest_rows(result))),
    ]
    if figure is not None:
        alt = f"{gate_power.TITLE}: {gate_power.QUESTION}"
        parts += [f"## {gate_power.TITLE}", gate_power.QUESTION, f"![{alt}]({picture})", markdown_text(figure.caption)]
    parts += ["## Whole runs", markdown_table(RUN_HEADINGS, map(run_cells, result.runs))]
    if peers is not None:
        parts += ["## Beside the others", PEER_WORDS, markdown_table(PEER_HEADINGS, beside(result, peers))]
        parts += map(markdown_text, peers.sentences())
    parts += ["## What was done", "\n".join(f"- {markdown_text(each)}" for each in method(result, record.policy))]
    parts += ["## Spread between processes", markdown_text(spread_words(result))]
    if result.spreads:
        parts.append(markdown_table(SPREAD_HEADINGS, spread_rows(record)))
    parts += ["## Machine", markdown_table(("what", "value"), machine_table(record.machine))]
    measuring = "\n".join(f"    {line}" for line in commands(record, peers))
    return "\n\n".join([*parts, "## Make it again", measuring, AGAIN, f"    {AGAIN_COMMAND}"]) + "\n"
