"""An argument that is one depth or an inclusive range of depths."""

import re

import click


def depths(ctx: click.Context, param: click.Parameter, text: str | None) -> range | None:
    """The depths of ``8``, ``0:12`` or ``0:12:4`` (first, last, which belongs to it, and step), in rising order.

    None stands for an option that is not given.

    Whether a layer can be so deep is the layer's to say.

    Raises BadParameter for another text, or a range without depths.
    """
    return None if text is None else depth_range(text)


def depth_range(text: str) -> range:
    """The depths of ``8``, ``0:12`` or ``0:12:4``. Raises BadParameter as ``depths``."""
    # Nine digits are far more than a depth can have, and spare int() a number of a million digits.
    if not re.fullmatch(r"-?\d{1,9}(:-?\d{1,9}){0,2}", text, re.ASCII):
        raise click.BadParameter(f"{text!r} is not a depth such as 8 or an inclusive range such as 0:12 or 0:12:4.")
    first, *rest = map(int, text.split(":"))
    last = rest[0] if rest else first
    step = rest[1] if len(rest) == 2 else 1
    if last < first or step < 1:
        raise click.BadParameter(
            f"{text!r} holds no depth; a range rises from its first to its last value by 1 or more."
        )
    return range(first, last + 1, step)
