"""Text that is made again between two comments of a page, ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

import argparse
from collections.abc import Callable
from pathlib import Path

from capratio.records.whole_file import write_whole


def around(page: str, name: str) -> tuple[str, str]:
    """What stands before and behind the text of a name, its comments included.

    Raises ValueError where the page has no such place.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begun, rest = page.partition(f"{begin}\n")
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"the page has no lines {begin} and {end}; add them where the text is to stand.")
    return f"{before}{begin}", f"{end}{after}"


def fill_page(
    module: str,
    doc: str | None,
    kind: str,
    example: str,
    filled: Callable[[str, Path], str],
    arguments: list[str] | None,
) -> None:
    """The command of a module that fills a page in its place; what cannot be done is one sentence and exit code 2.

    Args: module: its name. doc: its docstring. kind: which page it takes. example: such a page. filled: gives the page
    anew from its text and its folder. arguments: of the command line where none are given.
    """
    prog = f"python -m {module}"
    line = argparse.ArgumentParser(
        prog=prog, description=(doc or "").partition("\n")[0], epilog=f"example: {prog} {example}"
    )
    line.add_argument("page", type=Path, metavar="PAGE", help=kind)
    page = line.parse_args(arguments).page
    try:
        write_whole(page, filled(page.read_text(), page.parent).encode())
    except (ValueError, OSError) as error:
        line.error(str(error))
