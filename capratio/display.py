"""Tables for a terminal, a log or a pipe, and in Markdown: no colour, no box, and names from outside stay text."""

import unicodedata
from collections.abc import Iterable, Sequence

from capratio.units import whole

# What Markdown would read as markup; a name from outside stays text.
_MARKUP = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]|#!$~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "}
)


def text_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, left: Iterable[str] = ()) -> str:
    """Rows under their headers, two spaces between columns; without a trailing newline.

    Numbers stand to the right, so that digits line up, and the columns named in ``left`` to the left.

    Args: headers: one a column. rows: one value a column; None shows as ``-``. left: headers of text columns.

    Raises ValueError when a row has another number of values than there are headers.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    for row in cells:
        if len(row) != len(headers):
            raise ValueError(f"a row of {len(row)} values was given to a table of {len(headers)} columns.")
    to_left = set(left)
    widths = [max(map(_width, column)) for column in zip(headers, *cells, strict=True)]
    lines = []
    for row in (list(headers), ["-" * width for width in widths], *cells):
        padded = [
            _pad(text, width, left=header in to_left) for text, width, header in zip(row, widths, headers, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their headings as a table of Markdown; what a cell holds is text."""
    lines = [_markdown_line(headings), "|" + " --- |" * len(headings), *(_markdown_line(row) for row in rows)]
    return "\n".join(lines)


def markdown_text(text: str) -> str:
    """A text in which Markdown finds no markup, on one line."""
    return printable(text.translate(_MARKUP))


def shared_parts(ids: Sequence[str]) -> list[str]:
    """The parts between slashes that all of several ids have, so that a table says them once."""
    split = [each.split("/") for each in ids]
    return [part for part in split[0] if all(part in others for others in split)] if len(split) > 1 else []


def short_ids(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """The ids without the parts that all share, and those parts; in full where they would not differ."""
    shared = shared_parts(ids)
    short = ["/".join(part for part in each.split("/") if part not in shared) for each in ids]
    return (short, shared) if all(short) and len(set(short)) == len(short) else (list(ids), [])


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"


def printable(text: str) -> str:
    """Without control characters, which move a terminal's cursor or turn the direction of a line."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in ("Cc", "Cf") else char for char in text)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e3 else whole(round(value))
    # A newline inside a cell would break the table.
    return printable(" ".join(str(value).split()))


def _width(text: str) -> int:
    """Columns that a terminal gives to a text: combining marks take none, wide characters two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _pad(text: str, width: int, *, left: bool) -> str:
    filling = " " * (width - _width(text))
    return text + filling if left else filling + text
