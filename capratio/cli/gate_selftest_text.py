"""What a selftest says in a terminal: the table of its goals, its whole runs, and the other gates beside it."""

from capratio.display import printable, text_table
from capratio.gate.selftest import Selftest
from capratio.gate.selftest_peers import HEADINGS as PEER_HEADINGS
from capratio.gate.selftest_peers import Peers, beside
from capratio.gate.selftest_table import HEADINGS, RUN_HEADINGS, run_cells, selftest_rows
from capratio.gate.selftest_words import headline, standing


def lines(result: Selftest, peers: Peers | None) -> list[str]:
    """The table of a selftest, one line a whole run, what others do where that was measured, and the verdict last."""
    rows = [row.cells() for row in selftest_rows(result)]
    told = [text_table(HEADINGS, rows, left=HEADINGS)]
    told += ["", text_table(RUN_HEADINGS, map(run_cells, result.runs), left=[*RUN_HEADINGS[:3], "void"])]
    if peers is not None:
        told += ["", text_table(PEER_HEADINGS, beside(result, peers), left=PEER_HEADINGS[:2])]
        told += map(printable, peers.sentences())
    return [*told, "", *standing(result), headline(result)]
