"""Rows of real text: windows of bytes of the Python standard library's own source, which every installation has."""

import functools
import os
import sysconfig
from pathlib import Path

import torch

from capratio.errors import InputError
from capratio.inputs.corpus import Corpus, corpus_of
from capratio.inputs.stream import random_stream

# Folders that an installation may lack or fill with other people's code: the corpus is the library alone.
LEFT_OUT = frozenset({"site-packages", "dist-packages", "test", "tests", "__pycache__", "idlelib", "ensurepip"})
# Written when Python is built, these hold the paths of one installation: the same release would differ by machine.
BUILT = ("_sysconfigdata", "config-")


def source_files(root: Path) -> list[Path]:
    """The Python files under a folder, without those LEFT_OUT or BUILT, sorted by their relative path."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(BUILT)]
        found += [Path(folder, name) for name in names if name.endswith(".py") and not name.startswith(BUILT)]
    # Sorted by name, not as the file system lists them: the same files give the same corpus.
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def read_source(root: Path) -> Corpus:
    """The Python files under a folder, one after the other.

    Raises InputError where a file cannot be read or there is nothing to read.
    """
    content = bytearray()
    try:
        for path in source_files(root):
            content += path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the input 'text' is the Python source under {root}, which cannot be read ({error}); "
            f"mend the installation, or use input = 'gaussian'."
        ) from error
    return corpus_of("text", content)


@functools.cache
def text_corpus() -> Corpus:
    """The standard library's source, read once a process.

    Raises InputError where this Python has no source on disk.
    """
    return read_source(Path(sysconfig.get_path("stdlib")))


def text_rows(tokens: int, features: int, seed: int) -> torch.Tensor:
    """Windows of ``features`` bytes of source at random places, centred and scaled, float64 (tokens, features).

    Raises InputError where the source cannot be read or is shorter than a window.
    """
    return text_corpus().random_windows(tokens, features, random_stream("text", seed))


def text_ids(tokens: int, features: int, seed: int) -> torch.Tensor:
    """The last two bytes of each window that ``text_rows`` gives, as one number: int64 (tokens,), in 0..65535."""
    corpus = text_corpus()
    last = corpus.random_starts(tokens, max(features, 2), random_stream("text", seed)) + max(features, 2) - 2
    pairs = corpus.data.unfold(0, 2, 1)[last].to(torch.int64)
    return pairs[:, 0] * 256 + pairs[:, 1]
