"""The pages say what is there: their examples run, and commands, targets, modules and files that they name exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import torch

from capratio.cli.gate import COMMITS
from capratio.cli.main import capratio_group
from capratio.cost.systems.altup import FORMS
from capratio.cost.systems.contract import defaults
from capratio.cost.systems.memory_table import CONSUMPTIONS, LOOKUPS
from capratio.layers.conditional_layer import ConditionalLayer
from capratio.layers.systems_table import SYSTEM_CLASSES

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ci/README.md", "reports/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "reports").glob("*/README.md")),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def code(page: Path) -> Iterator[str]:
    """Lines of a page's fenced blocks, and its spans of code."""
    text = page.read_text(encoding="utf-8")
    for _, block in FENCED.findall(text):
        yield from block.splitlines()
    yield from (" ".join(span.split()) for span in SPAN.findall(FENCED.sub("", text)))


def examples(page: Path) -> str:
    """The Python of a page, in its order; of the README's large tree fewer levels."""
    blocks = FENCED.findall(page.read_text(encoding="utf-8"))
    return "\n".join(block for kind, block in blocks if kind == "python").replace("depth=8", "depth=2")


def done(name: str) -> dict[str, Any]:
    """The names that a page's examples leave."""
    names: dict[str, Any] = {}
    exec(compile(examples(ROOT / name), name, "exec"), names)
    return names


def test_the_readme_measures_a_layer_as_it_says() -> None:
    names = done("README.md")

    assert 2 * 512 * 512 == names["record"].exact.flop["product"]


def test_operations_give_what_their_page_says() -> None:
    names = done("docs/operations.md")

    assert [(64, 512)] * 3 == [tuple(names[name].shape) for name in "yzh"]
    alive = names["live"].repeat_interleave(64, 1)
    assert not names["h"][~alive].any()


def test_systems_learn_and_look_up_as_their_page_says() -> None:
    torch.manual_seed(0)
    names = done("docs/systems.md")

    assert {"importance", "load"} == set(names["losses"])
    assert (8, 32, 64) == names["y"].shape
    # Of this many steps every coin has its own estimate, and the policy has a gradient.
    assert (1, 16) == names["baseline"].value().shape
    assert all(parameter.grad is not None for parameter in names["network"].parameters())
    # What looks up by id adds its row.
    table, ids = names["table"], names["ids"]
    assert torch.equal(table.consumption.table[ids], table(torch.zeros(8, 32, 256), ids=ids))
    # A layer of four blocks computes each of them once, and a sequence every second token.
    assert [0, 1, 2, 3] == [layer.computed_block for layer in names["wide"]]
    assert (32, 64) == names["narrow"](torch.randn(32, 64)).shape


SMALL: dict[str, list[dict[str, Any]]] = {
    "moe-sparse": [{"gating": "noisy"}, {"gating": "hierarchical", "groups": 4}, {"gating": "balanced"}],
    "memory-table": [{"lookup": "softmax"}, {"lookup": "sign-lsh"}],
}
WORDS_OF_OPTIONS = {*LOOKUPS, *CONSUMPTIONS, *FORMS, "noisy", "hierarchical", "balanced"}


@pytest.mark.parametrize("layer", SYSTEM_CLASSES)
def test_the_page_of_systems_names_every_class_and_its_losses(layer: str) -> None:
    (row,) = re.findall(rf"^\| `{layer}` \|.*$", (ROOT / "docs" / "systems.md").read_text(encoding="utf-8"), re.M)
    _, class_name, _, options, losses, _ = (cell.strip() for cell in row.strip("|").split(" | "))
    built: list[ConditionalLayer] = [SYSTEM_CLASSES[layer](16, 16, **each) for each in SMALL.get(layer, [{}])]

    given = {name for each in built for name in each.losses(each.outcome(torch.randn(8, 16)))}

    assert f"`{type(built[0]).__name__}`" == class_name
    assert given == set(SPAN.findall(losses)) - {"softmax"}
    assert set(defaults(type(built[0].spec))) == set(SPAN.findall(options)) - WORDS_OF_OPTIONS


@each_page
def test_commands_of_a_page_exist(page: Path) -> None:
    for line in code(page):
        words = shlex.split(line, comments=True) if line.startswith(("capratio ", ".venv/bin/capratio ")) else []
        if len(words) < 2 or words[1].startswith(("-", "…")) or not words[1].isalpha():
            continue
        known, unknown = options_of(words[1:]), [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
        assert set(unknown) <= known, f"{page.name}: {line}"


def options_of(words: list[str]) -> set[str]:
    """Every option of a command, and of the one below it that is named or, of the gate, meant."""
    context = click.Context(capratio_group)
    command = capratio_group.get_command(context, words[0])
    assert command is not None, f"capratio has no command {words[0]!r}"
    found = [command]
    if isinstance(command, click.Group):
        named = command.get_command(context, words[1]) if len(words) > 1 else None
        below = named or command.get_command(context, COMMITS)
        assert below is not None
        found.append(below)
    return {option for each in found for part in each.params for option in part.opts} | {"--help"}


@each_page
def test_targets_and_modules_of_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for line in code(page):
        if found := re.match(r"make ([a-z]+)\b", line):
            assert found[1] in targets, f"{page.name}: {line}"
        for module in re.findall(r"\b(?:python -m )?(benchmarks\.\w+)(?!\w|/|:)", line):
            assert importlib.util.find_spec(module) is not None, f"{page.name}: {line}"


@each_page
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(SPAN.sub("", FENCED.sub("", page.read_text(encoding="utf-8")))):
        path, _, heading = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if heading:
            assert heading in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """What headings of a Markdown page are linked by."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
