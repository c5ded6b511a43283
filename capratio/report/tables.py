"""The page's tables as plain rows, for the page, its Markdown twin and the command line alike; cheap to import."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capratio.report.quantities import NOTHING, measured, number
from capratio.units import counted

if TYPE_CHECKING:
    from capratio.records.record import Record
    from capratio.scaling.verdict import Verdict

# Status → (icon, word): never by colour alone.
STATUS_WORDS = {"holds": ("✓", "holds"), "broken": ("✗", "broken"), "undecided": ("?", "undecided")}
# Parts of ``machine.json`` that tell runs apart and say what they are for; the page has them elsewhere or not at all.
_NOT_OF_THE_MACHINE = ("identity", "suites")
# Within a kind the reader needs the bad news first.
_STATUS_ORDER = ("broken", "undecided", "holds")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One verdict as words.

    kind: ``exact`` or ``fitted``. icon, status: how it ended. estimate: with its interval where there is one; expected:
    with its margin. bar: the interval as fractions of a small axis, or None.
    """

    kind: str
    claim: str
    group: str
    title: str
    icon: str
    status: str
    quantity: str
    estimate: str
    expected: str
    regime: str
    sentence: str
    advice: str
    text: str
    bar: "IntervalBar | None"


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """Where estimate, interval and the law's band lie on an axis from 0 to 1."""

    low: float
    estimate: float
    high: float
    band_low: float
    band_high: float


def verdict_table(verdicts: "Iterable[Verdict]") -> list[VerdictRow]:
    """The verdicts as rows: exact laws before fitted ones, broken before undecided before holding."""
    kinds = ("exact", "fitted")
    ordered = sorted(verdicts, key=lambda v: (kinds.index(v.kind), _STATUS_ORDER.index(v.status)))
    return [_verdict_row(verdict) for verdict in ordered]


@dataclass(frozen=True, slots=True)
class LawRow:
    """One claim's law: its id, its title in a line, its text in full."""

    claim: str
    title: str
    text: str


def law_table(verdicts: "Iterable[Verdict]") -> list[LawRow]:
    """The laws of the verdicts in their order, each claim once."""
    # A claim's text is its docstring, where double backticks mark names.
    return list({v.claim: LawRow(v.claim, v.title, _unwrapped(v.text.replace("``", ""))) for v in verdicts}.values())


def verdict_headline(verdicts: "Sequence[Verdict]") -> str:
    """How many laws hold, are broken and are undecided, in one sentence."""
    count = {status: sum(verdict.status == status for verdict in verdicts) for status in STATUS_WORDS}
    if not verdicts:
        return "No law was tested: no case of this run serves a claim."
    tested = counted(len(verdicts), "law")
    are = {status: "is" if number == 1 else "are" for status, number in count.items()}
    return (
        f"Of {tested} tested, {count['holds']} hold{'s' if count['holds'] == 1 else ''}, "
        f"{count['broken']} {are['broken']} broken and {count['undecided']} {are['undecided']} undecided."
    )


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A case that has no measurement, and why."""

    case: str
    status: str
    replicates: int
    reason: str


def failed_table(records: "Iterable[Record]") -> list[FailedRow]:
    """Cases with a process that ended without a measurement, one row for each way in which they ended."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for record in records:
        if not record.measured:
            key = (record.case, record.status)
            count, reason = found.get(key, (0, record.reason or "no reason was recorded"))
            found[key] = (count + 1, reason)
    return [FailedRow(case, status, count, reason) for (case, status), (count, reason) in sorted(found.items())]


def suite_table(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The title and the analysis of each suite that ``machine.json`` names; none in runs that do not name theirs."""
    suites = machine.get("suites")
    rows = []
    for suite in suites if isinstance(suites, list) else []:
        if isinstance(suite, Mapping):
            title = str(suite.get("title") or suite.get("name") or "")
            rows.append((_unwrapped(title), _unwrapped(str(suite.get("analysis") or ""))))
    return rows


def machine_table(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What ``machine.json`` says of the machine, as (name, value) rows.

    Nested objects become ``outer · inner``, and lists are joined.
    """
    return _flat({name: value for name, value in machine.items() if name not in _NOT_OF_THE_MACHINE})


def _flat(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in described.items():
        label = str(name).replace("_", " ")
        if isinstance(value, Mapping):
            rows += [(f"{label} · {inner}", text) for inner, text in _flat(value)]
        elif isinstance(value, list | tuple):
            rows.append((label, ", ".join(map(_plain, value)) or NOTHING))
        else:
            rows.append((label, _plain(value)))
    return rows


def _unwrapped(text: str) -> str:
    """A text of wrapped lines as one line."""
    return " ".join(text.split())


def _plain(value: object) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return str(value)


def _verdict_row(verdict: "Verdict") -> VerdictRow:
    icon, word = STATUS_WORDS[verdict.status]
    middle, low, high = verdict.estimate, verdict.low, verdict.high
    estimate = number(middle)
    if verdict.kind == "fitted" and middle is not None and low is not None and high is not None:
        estimate = measured(middle, low, high)
    expected = number(verdict.expected)
    if verdict.margin:
        expected = f"{expected} ± {number(verdict.margin)}"
    return VerdictRow(
        kind=verdict.kind,
        claim=verdict.claim,
        group=verdict.group,
        title=verdict.title,
        icon=icon,
        status=word,
        quantity=verdict.quantity,
        estimate=estimate,
        expected=expected,
        regime=verdict.regime,
        sentence=verdict.sentence,
        advice=verdict.advice or "",
        text=verdict.text,
        bar=_bar(verdict),
    )


def _bar(verdict: "Verdict") -> IntervalBar | None:
    low, high, estimate, expected = verdict.low, verdict.high, verdict.estimate, verdict.expected
    if verdict.kind != "fitted" or low is None or high is None or estimate is None or expected is None:
        return None
    margin = verdict.margin or 0.0
    # Five margins each way show how far off a broken law is; what lies beyond is cut at the edge.
    reach = 5 * margin or abs(expected) or 1.0
    left = expected - reach

    def place(value: float) -> float:
        return float(min(1.0, max(0.0, (value - left) / (2 * reach))))

    return IntervalBar(place(low), place(estimate), place(high), place(expected - margin), place(expected + margin))
