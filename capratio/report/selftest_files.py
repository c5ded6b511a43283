"""A selftest becomes a folder that can be published: the page, its Markdown twin, the curve, the data beside them."""

from pathlib import Path

from capratio.errors import InputError
from capratio.gate.selftest_json import SELFTEST, SelftestRecord, encode_selftest
from capratio.gate.selftest_peers import PEERS, Peers
from capratio.gate.selftest_runs import publish, read_stored
from capratio.report.figures import gate_power
from capratio.report.selftest_markdown import selftest_markdown
from capratio.report.selftest_page import PowerFigure, selftest_page
from capratio.report.svg import file_svg, inline_svg

CURVE = "power"


def write_selftest_report(record: SelftestRecord, peers: Peers | None, runs: Path, out: Path) -> Path:
    """Write the report into ``out`` (made if missing) and return its page; the same data give the same bytes.

    Args: runs: the folder of the whole runs, or of a report of them, which may be ``out`` itself.

    Raises InputError for runs that are none, a folder that cannot be written, or a page over 1.5 MB.
    """
    stored = read_stored(runs, [run.name for run in record.result.runs], record.policy)
    drawing = gate_power.draw(record.result, record.policy.latency)
    figure = None
    if drawing is not None:
        words = f"{gate_power.QUESTION} {drawing.caption}"
        figure = PowerFigure(inline_svg(drawing.figure, CURVE, gate_power.TITLE, words), drawing.caption)
    page = selftest_page(record, peers, figure)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "index.html").write_text(page, encoding="utf-8", errors="replace")
        twin = selftest_markdown(record, peers, figure, f"{CURVE}.svg")
        (out / "index.md").write_text(twin, encoding="utf-8", errors="replace")
        if drawing is not None and figure is not None:
            (out / f"{CURVE}.svg").write_text(file_svg(figure.svg), encoding="utf-8")
            drawing.figure.savefig(out / f"{CURVE}.png", dpi=160)
        (out / SELFTEST).write_text(encode_selftest(record), encoding="utf-8")
        if peers is not None:
            (out / PEERS).write_text(peers.text, encoding="utf-8")
        else:
            # What an earlier report left here speaks of other runs.
            (out / PEERS).unlink(missing_ok=True)
        # A published folder that is reported again in place keeps its only copy of the samples untouched.
        if out.resolve() != runs.resolve():
            for run in stored:
                publish(run, out)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {out} ({error.strerror}); give a folder that can be."
        ) from None
    return out / "index.html"
