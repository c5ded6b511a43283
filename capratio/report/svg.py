"""A matplotlib figure as a slim inline SVG whose text is text and whose colours are CSS variables."""

import io
import re
from html import escape
from typing import TYPE_CHECKING

from capratio.errors import InputError
from capratio.report.figures.canvas import paper
from capratio.report.palette import TONES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A tenth of the page's 1.5 MB: six panels of eighteen systems take nearly all of it, and most figures a sixth.
LARGEST_SVG_BYTES = 150_000
_FONT = "ui-sans-serif, system-ui, 'Helvetica Neue', Arial, sans-serif"


def inline_svg(figure: "Figure", name: str, title: str, description: str) -> str:
    """The figure as one ``<svg>`` element for a page that defines the tones as CSS variables.

    name: a prefix for the element's ids, so that figures of one page do not share them. title, description: what a
    screen reader says.

    Raises InputError when the element is larger than ``LARGEST_SVG_BYTES``: too many points were given to one figure.
    """
    buffer = io.StringIO()
    with paper():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = _slim(buffer.getvalue())
    text = _variables(text)
    text = _own_ids(text, name)
    label = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    text = re.sub(r"<svg ([^>]*)>", lambda m: _open_tag(m.group(1), name) + label, text, count=1)
    if len(text.encode()) > LARGEST_SVG_BYTES:
        raise InputError(
            f"figure {name!r} takes {len(text.encode())} bytes; at most {LARGEST_SVG_BYTES} are drawn: "
            "report fewer cases."
        )
    return text


def file_svg(inline: str) -> str:
    """The same figure as a file of its own: it brings the tones for light and dark, and a ground for neither."""
    light = ";".join(f"--{tone.name}:{tone.light}" for tone in TONES)
    dark = ";".join(f"--{tone.name}:{tone.dark}" for tone in TONES)
    style = (
        f"<style>svg{{{light};color:var(--ink);font-family:{_FONT}}}"
        f"@media (prefers-color-scheme: dark){{svg{{{dark}}}}}</style>"
    )
    head, tail = inline.split("</desc>", 1)
    return f"{head}</desc>{style}{tail}\n"


def _open_tag(attributes: str, name: str) -> str:
    width = re.search(r'width="([\d.]+)pt"', attributes)
    box = re.search(r'viewBox="([^"]*)"', attributes)
    assert width is not None
    assert box is not None
    pixels = float(width.group(1)) * 4 / 3
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box.group(1)}" '
        f'width="{pixels:.0f}" stroke-linejoin="round" role="img" aria-labelledby="{name}-title {name}-desc">'
    )


def _slim(text: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    # Its rule is for everything, and in a page that is more than the figure; the open tag says the same for this one.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r' transform="rotate\(-0[^"]*"', "", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(font: |font-size: )([\d.]+px)[^;"]*', r"font-size: \2", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"(-?\d+\.\d{2})\d+", r"\1", text)
    text = re.sub(r"(-?\d+)\.0+(?=[^\d])", r"\1", text)
    text = re.sub(r";? ?stroke-linejoin: miter", "", text)
    text = re.sub(r'\s*<path d="[^"]*" style="fill: none"/>', "", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r"\n([LQCMz])", r"\1", text)
    text = re.sub(r"<g>\n((?:<use [^>]*>\n)+)</g>", _one_style, text)
    return _without_bare_groups(text).strip()


def _without_bare_groups(text: str) -> str:
    """Groups that say nothing of what they hold are left out, and it stays."""
    said: list[bool] = []

    def kept(tag: re.Match[str]) -> str:
        if tag.group(1):
            return tag.group(0) if said.pop() else ""
        said.append(bool(tag.group(2)))
        return tag.group(0) if said[-1] else ""

    return re.sub(r"<(/)?g( [^>]*)?>\n?", kept, text)


def _one_style(match: re.Match[str]) -> str:
    """A run of markers says its common style once, on their group."""
    styles = set(re.findall(r'style="([^"]*)"', match.group(1)))
    if len(styles) != 1:
        return match.group(0)
    style = styles.pop()
    return f'<g style="{style}">\n' + match.group(1).replace(f' style="{style}"', "") + "</g>"


def _variables(text: str) -> str:
    for tone in TONES:
        text = re.sub(re.escape(tone.light), f"var(--{tone.name})", text, flags=re.IGNORECASE)
    # What matplotlib leaves black (its default fill of text) follows the text of the page.
    return text.replace("#000000", "currentColor")


def _own_ids(text: str, name: str) -> str:
    """Ids become ``name-0``, ``name-1``, …: matplotlib's are long, and the same in every figure."""
    for number, old in enumerate(dict.fromkeys(re.findall(r' id="([^"]+)"', text))):
        new = f"{name}-{number}"
        text = text.replace(f' id="{old}"', f' id="{new}"')
        text = text.replace(f'href="#{old}"', f'href="#{new}"').replace(f"url(#{old})", f"url(#{new})")
    return text
