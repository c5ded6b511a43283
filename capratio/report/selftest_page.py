"""A selftest of the gate as one offline page: which goals are reached first, then all that it rests on."""

import json
import shlex
from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

import capratio
from capratio.display import printable
from capratio.gate.selftest_json import SelftestRecord, encode_selftest
from capratio.gate.selftest_peers import HEADINGS as PEER_HEADINGS
from capratio.gate.selftest_peers import Peers, beside
from capratio.gate.selftest_table import HEADINGS, RUN_HEADINGS, percent, run_cells, selftest_rows
from capratio.gate.selftest_words import headline, method, outcome, spread_words, standing
from capratio.report.figures import gate_power
from capratio.report.page_assets import environment, small_enough, style
from capratio.report.tables import machine_table

# Whether all goals are reached → (icon, tone): never by colour alone.
LOOKS = {True: ("✓", "holds"), False: ("✗", "broken"), None: ("?", "undecided")}
PEER_WORDS = (
    "Whole runs of each gate, at its own defaults; of ours the time of its processes is known, not that of its "
    "environments. capratio slows every other case down, and the others all that they time; with nothing slowed down, "
    "whatever a gate calls slower is a false alarm."
)
SPREAD_HEADINGS = ("case", "spread")


@dataclass(frozen=True, slots=True)
class PowerFigure:
    """The curve as the page takes it: inline SVG and the words under it."""

    svg: str
    caption: str


def selftest_page(record: SelftestRecord, peers: Peers | None, figure: PowerFigure | None) -> str:
    """The page as HTML; everything that came from outside is escaped by the template.

    Raises InputError for a page over 1.5 MB.
    """
    result = record.result
    page = (
        environment()
        .get_template("selftest.html.j2")
        .render(
            title=f"{headline(result)} capratio gate selftest",
            headline=headline(result),
            look=LOOKS[outcome(result)],
            standing=standing(result),
            lead=lead(record),
            headings=HEADINGS,
            rows=[
                (row.cells(), LOOKS[row.reached] if row.reached is not None else None) for row in selftest_rows(result)
            ],
            question=gate_power.QUESTION,
            figure_title=gate_power.TITLE,
            svg=None if figure is None else Markup(figure.svg),
            caption="" if figure is None else figure.caption,
            run_headings=RUN_HEADINGS,
            runs=[[printable(cell) for cell in run_cells(run)] for run in result.runs],
            peer_words=PEER_WORDS,
            peer_headings=PEER_HEADINGS,
            peers=None if peers is None else [[printable(cell) for cell in row] for row in beside(result, peers)],
            peer_sentences=[] if peers is None else [printable(each) for each in peers.sentences()],
            method=method(result, record.policy),
            spread_words=spread_words(result),
            spread_headings=SPREAD_HEADINGS,
            spreads=spread_rows(record),
            machine=[(printable(name), printable(value)) for name, value in machine_table(record.machine)],
            commands=commands(record, peers),
            outcome=json.loads(encode_selftest(record)),
            version=capratio.__version__,
            style=Markup(style()),
        )
    )
    return small_enough(page, "the selftest's", f"{len(result.runs)} runs", "report fewer runs")


def lead(record: SelftestRecord) -> str:
    """What was held against itself, how often, when and where."""
    runs = record.result.runs
    slow = sum(bool(run.slowdown) for run in runs)
    cpu = record.machine.get("cpu_model", "an unnamed processor")
    words = (
        f"Commit {record.commit[:12]} against itself in {len(runs)} whole gates, {slow} of them with a slowdown put "
        f"in, begun on {record.date} on {cpu}."
    )
    return printable(words)


def spread_rows(record: SelftestRecord) -> list[tuple[str, str]]:
    """Each case with its spread between processes, widest first."""
    spreads = sorted(record.result.spreads.items(), key=lambda item: (-item[1], item[0]))
    return [(printable(case), percent(spread, 2)) for case, spread in spreads]


def commands(record: SelftestRecord, peers: Peers | None) -> list[str]:
    """How all is measured and shown again; FOLDER is where the report lies."""
    runs = record.result.runs
    equal = max(1, sum(not run.slowdown for run in runs))
    slow = max(Counter(run.slowdown for run in runs if run.slowdown).values(), default=0)
    measuring = ["capratio", "gate", "selftest", "--runs", str(equal), "--slow-runs", str(slow)]
    shown = []
    if peers is not None:
        each = max((group.runs for group in peers.runs), default=1)
        shown.append(f"python -m benchmarks.gate_peers --out peers.json --runs {each}")
        measuring += ["--peers", "peers.json"]
    shown.append(f"{shlex.join(measuring)} --report FOLDER")
    return [f"git checkout {shlex.quote(printable(record.commit))}", *shown]
