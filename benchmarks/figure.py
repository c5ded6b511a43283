"""A published figure that is made again: its command line, its two files, and what a page says of it.

Every such benchmark is ``python -m benchmarks.NAME --out FILE``. It writes FILE, JSON with the ``conditions`` and the
``rows`` that were measured, and beside it the table of all rows as Markdown.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from capratio.measure.machine import cpu_model
from capratio.records.whole_file import write_whole
from capratio.units import counted, seconds, significant

Content = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A published figure, and how ours is shown beside it.

    name: of the module and of the files. title: a heading. takes: how long a run takes. summary: ours beside the
    published, a Markdown table. table: all that was measured, likewise. conditions: of the measurement, in words.
    """

    name: str
    title: str
    takes: str
    summary: Callable[[Content], str]
    table: Callable[[Content], str]
    conditions: Callable[[Content], str]

    @property
    def command(self) -> str:
        """What makes it again."""
        return f"python -m benchmarks.{self.name} --out {self.name}.json"


def parser(figure: Figure, doc: str | None) -> argparse.ArgumentParser:
    """The command line that all figures share. Args: doc: of the module, whose first line is the description."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{figure.name}",
        description=f"{(doc or '').partition(chr(10))[0]} Takes {figure.takes}.",
        epilog=f"example: {figure.command}",
    )
    made.add_argument(
        "--out",
        type=out_file,
        required=True,
        metavar="FILE",
        help="the JSON file to write; its table goes beside it as .md",
    )
    return made


def out_file(text: str) -> Path:
    """A JSON file in a folder that can be written. Raises ArgumentTypeError for another path."""
    path = Path(text)
    if path.suffix != ".json":
        raise argparse.ArgumentTypeError(f"{text!r} was given; give a name that ends in .json.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"no folder can be made for {text!r} ({error.strerror}).") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written; give a file in a folder of your own.")
    return path


def count(text: str) -> int:
    """A whole number of at least 1. Raises ArgumentTypeError for another text."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was given; give a whole number of at least 1.")
    return int(text)


def machine_conditions() -> dict[str, object]:
    """The processor, torch's threads and torch, on which the last digits of a sum depend."""
    return {"cpu_model": cpu_model(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def on_machine(conditions: dict[str, Any]) -> str:
    """The same in words."""
    return f"{conditions['cpu_model']}, {counted(conditions['threads'], 'thread')}, torch {conditions['torch']}"


def kept_rows(path: Path, conditions: dict[str, Any]) -> list[Row]:
    """The rows of an earlier run into this file, of which each is measured once.

    Raises ValueError where the file was not measured under these conditions.
    """
    if not path.exists():
        return []
    try:
        found: Content = json.loads(path.read_text())
        earlier, rows = found["conditions"], found["rows"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no file of this benchmark; give another --out.") from None
    differing = sorted(key for key in conditions.keys() | earlier.keys() if earlier.get(key) != conditions.get(key))
    if differing:
        raise ValueError(f"{path} was measured with another {', '.join(differing)}; give another --out or delete it.")
    return list(rows)


def save_rows(path: Path, conditions: dict[str, Any], rows: Iterable[Row]) -> Content:
    """Write the file whole, and return what it holds."""
    content = {"conditions": conditions, "rows": list(rows)}
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return content


def write_figure(figure: Figure, path: Path, conditions: dict[str, Any], rows: Iterable[Row]) -> None:
    """Write the JSON file and the table beside it, and print the table of ours beside the published."""
    content = save_rows(path, conditions, rows)
    page = f"# {figure.title}\n\n{figure.conditions(content)}\n\n{figure.table(content)}\n"
    write_whole(path.with_suffix(".md"), page.encode())
    print(figure.summary(content))
    print(f"The files: {path} and {path.with_suffix('.md')}")


class Progress:
    """Says after each of so many pieces of work how long they took and what is left, on standard error."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._start_s = total, 0, time.perf_counter()

    def step(self, what: str) -> None:
        """One more piece is done."""
        self._done += 1
        taken_s = time.perf_counter() - self._start_s
        left_s = taken_s / self._done * (self._total - self._done)
        rest = f", about {seconds(left_s)} left" if self._done < self._total else ""
        print(f"{self._done} of {self._total}: {what} ({seconds(taken_s)}{rest})", file=sys.stderr, flush=True)


def spread(values: Sequence[float], show: Callable[[float], str] = significant) -> str:
    """The median with the smallest and the largest, which are left out where they read the same."""
    middle, least, most = show(median(values)), show(min(values)), show(max(values))
    return middle if least == most else f"{middle} ({least} to {most})"


def median_over(what: str) -> str:
    """What ``spread`` shows, in words. Args: what: the values, such as ``5 seeds``."""
    return f"Median over {what} (smallest to largest where they differ)"


def percent(share: float) -> str:
    """A share of 1 in percent, to three digits."""
    return significant(100 * share)
