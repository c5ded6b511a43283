"""The tables of ``benchmarks.block_sparse_speedup``: ratios of times of one replicate, over all replicates."""

import statistics

from benchmarks.figure import Content, Row, median_over, spread
from capratio.display import markdown_table
from capratio.units import counted, seconds

HEADERS = (
    "part",
    "inputs",
    "outputs",
    "tokens",
    "threads",
    "masks",
    "live in",
    "live out",
    "density",
    "block_linear",
    "dense",
    "dense-masked",
    "bsr",
    "bsr-linear",
)
PEERS = HEADERS[-4:]
# By the blocks of inputs and outputs and their sizes, how many times as fast the forward pass of the paper's net for
# CIFAR-10 is that has this layer: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297, figure 2.
PUBLISHED = {(24, 64, 24, 64): "3.8", (16, 16, 32, 16): "5.7", (10, 64, 10, 64): "5.3"}


def table(content: Content) -> str:
    """A row a case: block_linear's median time, and how many times as long each peer takes.

    A ratio is the median over replicates with the least and the largest in brackets. live in, live out: the share of
    blocks that are alive in the mean; density: of their pairs.
    """
    return markdown_table(HEADERS, [_line(rows) for rows in _cases(content)])


def summary(content: Content) -> str:
    """How many times as long as ours the dense product takes in the paper's layers, over the number of examples."""
    found: dict[tuple[int, int, int, int], dict[int, str]] = {}
    for rows in _cases(content):
        case = rows[0]["case"]
        if case["part"] == "paper":
            blocks = case["in_blocks"], case["in_size"], case["out_blocks"], case["out_size"]
            found.setdefault(blocks, {})[case["tokens"]] = _ratio(rows, "dense")
    tokens = sorted({number for ratios in found.values() for number in ratios})
    headings = [
        "inputs",
        "outputs",
        "published: the whole net",
        *(f"ours: {counted(number, 'example')}" for number in tokens),
    ]
    lines = []
    for blocks, ratios in found.items():
        sizes = f"{blocks[0]} x {blocks[1]}", f"{blocks[2]} x {blocks[3]}"
        lines.append([*sizes, PUBLISHED.get(blocks, ""), *(ratios.get(number, "") for number in tokens)])
    return markdown_table(headings, lines)


def conditions(content: Content) -> str:
    """The machine, how busy it was, and how often was measured."""
    machine, rows = content["conditions"]["machine"], content["rows"]
    processes = len({row["replicate"] for row in rows})
    loads = [row["load_average"] for row in rows if row["load_average"] is not None]
    return (
        f"{median_over(f'{processes} processes')}, each with masks of its own; "
        f"{machine['cpu_model']} with {machine['cores']} cores, one thread where no other number stands, "
        f"float32, torch {machine['packages']['torch']}. Load average of the machine: "
        f"{spread(loads) if loads else 'not recorded'}."
    )


def _cases(content: Content) -> list[list[Row]]:
    """The rows of each case, one a replicate."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in content["rows"]:
        found.setdefault(tuple(row["case"].values()), []).append(row)
    return list(found.values())


def _line(rows: list[Row]) -> list[str]:
    case = rows[0]["case"]
    return [
        case["part"],
        f"{case['in_blocks']} x {case['in_size']}",
        f"{case['out_blocks']} x {case['out_size']}",
        str(case["tokens"]),
        str(case["threads"]),
        "shared" if case["shared"] else "own",
        *(f"{100 * statistics.fmean(row[key] for row in rows):.1f} %" for key in ("live_in", "live_out", "density")),
        seconds(statistics.median(row["times_s"]["block_linear"] for row in rows)),
        *(_ratio(rows, peer) for peer in PEERS),
    ]


def _ratio(rows: list[Row], peer: str) -> str:
    if peer not in rows[0]["times_s"]:
        return ""
    return spread([row["times_s"][peer] / row["times_s"]["block_linear"] for row in rows], "{:.1f}".format)
