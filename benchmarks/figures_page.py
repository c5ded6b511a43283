"""Fills the tables and conditions of a page of figures in kind from the data beside it; its prose is written by hand.

The page has for each figure a pair of comments, ``<!-- NAME -->`` and ``<!-- /NAME -->``; what stands between them is
made again. example: python -m benchmarks.figures_page reports/figures-in-kind/README.md
"""

import json
from pathlib import Path

from benchmarks import active_parameters, block_policy_digits, block_sparse_speedup, moe_balance, moe_dropped_tokens
from benchmarks.figure import Content, Figure
from benchmarks.marked_place import around, fill_page

FIGURES = (
    moe_balance.FIGURE,
    moe_dropped_tokens.FIGURE,
    block_sparse_speedup.FIGURE,
    block_policy_digits.FIGURE,
    active_parameters.FIGURE,
)


def block(figure: Figure, content: Content) -> str:
    """What a page says of a figure's data: the table, the conditions, the command, the files."""
    return (
        f"{figure.summary(content)}\n\nConditions: {figure.conditions(content)}\n\n"
        f"Made by `{figure.command}`, which takes {figure.takes}. "
        f"Data: [every row]({figure.name}.json), [the whole table]({figure.name}.md)."
    )


def filled(page: str, folder: Path) -> str:
    """The page with the block of every figure made from its file in the folder.

    Raises ValueError where the page has no place for a figure, and OSError where a file is missing.
    """
    for figure in FIGURES:
        before, after = around(page, figure.name)
        content = json.loads((folder / f"{figure.name}.json").read_text())
        page = f"{before}\n\n{block(figure, content)}\n\n{after}"
    return page


def main(arguments: list[str] | None = None) -> None:
    """Fill a page in its place."""
    kind, example = "a Markdown file beside the figures' JSON files", "reports/figures-in-kind/README.md"
    fill_page("benchmarks.figures_page", __doc__, kind, example, filled, arguments)


if __name__ == "__main__":
    main()
