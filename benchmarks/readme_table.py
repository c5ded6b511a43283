"""Fills the numbers of systems in the README from the published reports; its other prose is written by hand.

Two places are made again: ``systems_table`` and ``systems_figures``. Numbers are those of the reports' Markdown, digit
by digit. example: python -m benchmarks.readme_table README.md
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.marked_place import around, fill_page
from capratio.units import counted

SYSTEMS, EXPERTS = "reports/amd-epyc-2-cores-systems/index.md", "reports/amd-epyc-2-cores-experts/index.md"
ELSEWHERE = "reports/intel-xeon-2-cores-systems/index.md"
DECODE, BATCH = "decode, cold", "forward, 64 tokens"
SHOWN = {
    "tree-shared, collapsed": "`tree-shared`, collapsed",
    "moe-sparse": "`moe-sparse`",
    "memory-table, ids": "`memory-table`, ids",
    "block-policy": "`block-policy`",
}
POLICY, DENSE = "block-policy", "dense, equal parameters"
FLOP, COST = "parameters a FLOP", "latency over dense of equal FLOP"
EQUAL, EXPONENT = "over dense of equal parameters (at how many)", "latency over parameters: exponent"
LIMIT = "latency / limit"
TRAIN, PEAK = "train, 64 tokens", "call peak"
PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
WIDTH = 150

Row = dict[str, str]
Rows = dict[str, Row]


def filled(page: str, root: Path) -> str:
    """The README with both places made from the reports below the root.

    Raises ValueError where the page has no such place or a report lacks what is said, OSError where a file is missing.
    """
    systems, elsewhere, experts = ((root / report).read_text() for report in (SYSTEMS, ELSEWHERE, EXPERTS))
    for name, text in (
        ("systems_table", systems_table(systems)),
        ("systems_figures", systems_figures(systems, elsewhere, experts)),
    ):
        before, after = around(page, name)
        page = f"{before}\n\n{text}\n\n{after}"
    return page


def systems_table(report: str) -> str:
    """What layers of a billion parameters take: a sentence, a table, and what it shows. Args: report: its Markdown."""
    decode, batch = price_rows(report, DECODE), price_rows(report, BATCH)
    largest = [decode[name] for name in SHOWN]
    flop = [call_rows(report, call, "FLOP a token")[name]["FLOP a token"] for name in SHOWN for call in (DECODE, BATCH)]
    level = {call: call_rows(report, call, LIMIT)["dense, equal FLOP"] for call in (DECODE, BATCH)}
    rows = [
        f"| {words} | {decode[name][FLOP]} | {decode[name][COST]} | {batch[name][COST]} | {batch[name][EXPONENT]} |"
        for name, words in SHOWN.items()
    ]
    exponents = [row[EXPONENT] for row in grown(decode).values()]
    return "\n".join(
        [
            wrapped(
                f"Layers of {billions(row['parameters'] for row in largest)} parameters that take "
                f"{millions(flop)} FLOP a token, held against the dense layer of one million parameters, nn.Linear, "
                f"which takes {millions([level[DECODE]['FLOP a token']])} and is itself at "
                f"{level[DECODE][LIMIT]} times the machine's limit cold and {level[BATCH][LIMIT]} times in the batch "
                f"([the report]({SYSTEMS}), {conditions(report)[2]} processes):"
            ),
            "",
            "| layer | parameters for a FLOP | latency of one cold token, \u00d7 dense | of 64 tokens, \u00d7 dense "
            "| exponent of that over parameters |",
            "|---|---|---|---|---|",
            *rows,
            f"| `dense` | {decode[DENSE][FLOP]} | 1 | 1 | {batch[DENSE][EXPONENT]} |",
            "",
            wrapped(
                "What one token takes hardly grows with parameters that it does not meet: exponents of "
                f"{span(exponents)}. A batch meets more of them. A block policy grows most, since all hidden units of "
                "a batch are held, the dead ones too."
            ),
        ]
    )


def systems_figures(systems: str, elsewhere: str, experts: str) -> str:
    """What came out, as a list. Args: the Markdown of each report; elsewhere: of the systems on another machine."""
    cases, threads, processes = conditions(systems)
    (decode, policy), (batch, batch_policy) = policy_apart(systems, DECODE), policy_apart(systems, BATCH)
    dense = price_rows(systems, DECODE)[DENSE]["parameters"]
    shares = [
        f"{100 * first(row[EQUAL]):.3g}"
        for row in (policy, *decode.values())
        if amount(row[EQUAL].rpartition(" at ")[2]) >= amount(dense)
    ]
    _, peer_threads, replicates = conditions(experts)
    seen = [
        goal(experts, words)
        for words in (
            "16 experts of 1024 hidden units, N = 1024, forward: latency / the dense layer",
            "forward: latency / the fastest peer: a loop",
            "GEGLU experts of 684 hidden units, N = 1, 64 and 1024, forward",
            "alone, 256 bags of 128, dense: latency / nn.EmbeddingBag's",
            "summed: latency / nn.EmbeddingBag's sparse gradient, coalesced",
            "The same / nn.EmbeddingBag's sparse gradient as it leaves it",
            "nn.EmbeddingBag with the same",
            "nn.EmbeddingBag as it leaves its own",
            "masks of each token's own: latency / dense with masks",
            "of one shared mask: latency",
        )
    ]
    return "\n".join(
        [
            wrapped(
                f"At equal active FLOP ([the report]({SYSTEMS}): `make systems`; {cases} cases, {processes} processes "
                f"each, {counted(int(threads), 'thread')}):"
            ),
            "",
            bullet(
                f"**One cold token** of a system of {billions(row['parameters'] for row in decode.values())} "
                f"parameters takes {span(row[COST] for row in decode.values())} times as long as the dense layer of "
                f"one million, of a block policy {value(policy[COST])} times; with {millions([dense])} "
                f"parameters, where the page has both, it takes {span(shares)} % of the time of the dense layer that "
                "holds as many."
            ),
            bullet(
                f"**A batch of 64 tokens** takes {span(row[COST] for row in batch.values())} times as long, with "
                f"exponents of latency over parameters of {span(row[EXPONENT] for row in batch.values())}; of a block "
                f"policy {value(batch_policy[COST])} times, with an exponent of {value(batch_policy[EXPONENT])}."
            ),
            bullet(f"**A training step** of 64 tokens {training(systems)}"),
            bullet(on_another_machine(elsewhere)),
            bullet(
                f"**Beside their peers**, {peer_threads} threads, {replicates} processes ([the report]({EXPERTS}): "
                f"`make experts`): 16 experts, top-2, take {seen[0]} times as long as the dense layer of the active "
                f"size at 1024 tokens, and at most {seen[1]} times the fastest peer at 1, 64 and 1024, GEGLU "
                f"experts {seen[2]}; a memory table's gradient {seen[3]} times EmbeddingBag's where it is dense, "
                f"{seen[4]} where it is sparse and summed, and {seen[5]} beside the one that EmbeddingBag leaves "
                f"unsummed; its forward and backward together {seen[6]} at most, and {seen[7]} beside that one; live "
                f"blocks of 10 % density {seen[8]} of dense with masks, {seen[9]} of BSR with one mask. Undecided are "
                "intervals that cross the bound that was set, 1 for peers and 0.5 for EmbeddingBag. The forward passes "
                "of memory tables and product keys take as long as EmbeddingBag's."
            ),
        ]
    )


def on_another_machine(report: str) -> str:
    """The same of another machine, and what a training step takes on top of the parameters, in a sentence."""
    cases, _, processes = conditions(report)
    (decode, policy), (batch, batch_policy) = policy_apart(report, DECODE), policy_apart(report, BATCH)
    behind = call_rows(report, TRAIN, PEAK)
    peaks = [behind[name][PEAK] for name in SHOWN]
    held = behind[next(iter(SHOWN))]["layer holds"]
    return (
        f"**On another machine**, an Intel Xeon of slower memory ([the report]({ELSEWHERE}): {cases} cases, "
        f"{processes} processes each), one cold token takes {span(row[COST] for row in decode.values())} times as long "
        f"as the dense layer of one million, of a block policy {value(policy[COST])} times; a batch "
        f"{span(row[COST] for row in batch.values())} times, with exponents of "
        f"{span(row[EXPONENT] for row in batch.values())}, of a block policy {value(batch_policy[COST])} times and "
        f"{value(batch_policy[EXPONENT])}. A training step {training(report)} It "
        f"takes {span(peaks)} on top of the layer's {held}."
    )


def training(report: str) -> str:
    """What a step takes at the largest size that all systems but one reach, in the end of a sentence."""
    rows = {
        name: row
        for name, row in price_rows(report, TRAIN).items()
        if not name.startswith("dense") and amount(row["parameters"]) >= amount("268 M")
    }
    policy = rows.pop(POLICY)
    return (
        f"takes {span(row[COST] for row in rows.values())} times as long as that of the dense layer of one million at "
        f"{millions(row['parameters'] for row in rows.values())} parameters, with exponents of "
        f"{span(row[EXPONENT] for row in rows.values())}, of a block policy {value(policy[COST])} times: a "
        "gradient is as large as its layer."
    )


def price_rows(report: str, call: str) -> Rows:
    """The rows of the price of a kind of call, by system."""
    return call_rows(report, call, EXPONENT)


def grown(rows: Rows) -> Rows:
    """The systems of a billion parameters and more; dense layers aside."""
    return {
        name: row
        for name, row in rows.items()
        if not name.startswith("dense") and amount(row["parameters"]) >= PREFIXES["G"]
    }


def policy_apart(report: str, call: str) -> tuple[Rows, Row]:
    """The systems of a billion parameters and more, and the block policy, which grows most, by itself."""
    rows = grown(price_rows(report, call))
    policy = rows.pop(POLICY)
    return rows, policy


def call_rows(report: str, call: str, heading: str) -> Rows:
    """The rows of the table that has this heading, below the heading of a kind of call, by their first cell.

    Raises ValueError where there is none.
    """
    below = re.split(r"\n#{2,3} ", report.partition(f"\n### {call}\n")[2], maxsplit=1)[0]
    rows = next((rows for names, rows in tables(below) if heading in names), None)
    if rows is None:
        raise ValueError(f"the report has no table with the column {heading!r} below the heading {call!r}.")
    return {row["system"]: row for row in rows}


def goal(report: str, words: str) -> str:
    """What a report saw of the one goal that has these words, with its interval, and whether that decides nothing.

    Raises ValueError where it is not one.
    """
    rows = [row for names, rows in tables(report) if "goal" in names for row in rows if words in row["goal"]]
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} goals of the report have the words {words!r}; one was expected.")
    undecided = " (undecided)" if rows[0]["answer"].startswith("?") else ""
    return rows[0]["seen, with 95 % interval"] + undecided


def tables(text: str) -> Iterator[tuple[list[str], list[Row]]]:
    """The headings and the rows of every Markdown table, without the escapes."""
    for block in re.findall(r"^\|.*(?:\n\|.*)+", text, re.MULTILINE):
        names, _, *rows = (cells(line) for line in block.split("\n"))
        yield names, [dict(zip(names, row, strict=True)) for row in rows]


def cells(line: str) -> list[str]:
    """Those of a table's line, with usual spaces in them."""
    return [re.sub(r"\\(.)", r"\1", re.sub("[\xa0\u202f]", " ", cell)) for cell in line[2:-2].split(" | ")]


def conditions(report: str) -> tuple[str, str, str]:
    """How many cases, threads and processes a case: ``("66", "2", "3 to 5")``; ValueError where none are said."""
    found = re.search(r"^([\d,]+) cases .* with (\d+) threads? .*?, ([\d to]+) processes a case", report, re.MULTILINE)
    if found is None:
        raise ValueError("the report does not begin with its cases, threads and processes a case.")
    cases, threads, processes = found.groups()
    return cases, threads, processes


def value(cell: str) -> str:
    """A number without its interval: ``0.817 [0.692, 0.886]`` -> ``0.817``."""
    return cell.partition(" [")[0]


def first(cell: str) -> float:
    """That number."""
    return float(value(cell).partition(" ")[0])


def amount(cell: str) -> float:
    """A number with its prefix: ``1.07 G`` -> 1.07e9."""
    number, _, prefix = cell.partition(" ")
    return float(number) * PREFIXES.get(prefix, 1)


def span(of: Iterable[str]) -> str:
    """The least and the greatest, as they are written: ``0.817 to 2.58``; one where they are equal."""
    inside = sorted((value(cell) for cell in of), key=amount)
    return " to ".join(dict.fromkeys((inside[0], inside[-1])))


def billions(of: Iterable[str]) -> str:
    """``1.07 G`` and ``1.08 G`` -> ``1.07 to 1.08 billion``."""
    return f"{in_units(of, 'G')} billion"


def millions(of: Iterable[str]) -> str:
    """``2.10 M`` and ``3.51 M`` -> ``2.10 to 3.51 million``."""
    return f"{in_units(of, 'M')} million"


def in_units(of: Iterable[str], prefix: str) -> str:
    """The span of numbers with one prefix, without it; ValueError where one has another."""
    given = list(of)
    if others := [cell for cell in given if not value(cell).endswith(f" {prefix}")]:
        raise ValueError(f"the report gives {others[0]!r} where a number with the prefix {prefix} was expected.")
    return span(given).replace(f" {prefix}", "")


def wrapped(text: str) -> str:
    """A paragraph in lines."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def bullet(text: str) -> str:
    """An item of a list in lines."""
    return textwrap.fill(f"- {text}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def main(arguments: list[str] | None = None) -> None:
    """Fill a README in its place."""
    kind = "the README, in the folder above reports/"
    fill_page("benchmarks.readme_table", __doc__, kind, "README.md", filled, arguments)


if __name__ == "__main__":
    main()
