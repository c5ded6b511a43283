"""Text that is made again between two comments of a page, ``<!-- NAME -->`` and ``<!-- /NAME -->``."""


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
