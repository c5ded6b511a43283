"""What all pages share: how a template is rendered, the style with both sets of colours, and files beside it."""

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

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
