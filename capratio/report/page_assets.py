"""What all pages share: how a template is rendered, the style with both sets of colours, and files beside it."""

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from capratio.errors import InputError
from capratio.report.palette import TONES

# A page that opens at once, and that a mail server or an artifact store takes.
LARGEST_PAGE_BYTES = 1_500_000


def environment() -> Environment:
    """Of the pages' templates; everything that came from outside is escaped."""
    return Environment(
        loader=PackageLoader("capratio.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def small_enough(page: str, whose: str, holds: str, mend: str) -> str:
    """The page itself.

    Args: whose: whose page it is, for the message. holds: what it is made of, such as ``3 cases``. mend: what to do.

    Raises InputError for one over ``LARGEST_PAGE_BYTES``.
    """
    size = len(page.encode(errors="replace"))
    if size > LARGEST_PAGE_BYTES:
        raise InputError(
            f"{whose} page would take {size} bytes for {holds}; at most {LARGEST_PAGE_BYTES} are written: {mend}."
        )
    return page


def style() -> str:
    """The pages' CSS, every tone a variable for light, dark and print."""
    css = asset("page.css")
    for ground in ("light", "dark"):
        tones = ";".join(f"--{tone.name}:{getattr(tone, ground)}" for tone in TONES)
        css = css.replace(f"{{{{ {ground} }}}}", f"color-scheme:{ground};{tones}")
    return css


def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return (resources.files("capratio.report") / "templates" / name).read_text(encoding="utf-8")
