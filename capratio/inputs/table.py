"""The inputs and the routings by name."""

import torch

from capratio.errors import InputError
from capratio.inputs.gaussian import gaussian_rows
from capratio.inputs.images import images_corpus, images_rows
from capratio.inputs.text import text_corpus, text_rows

_ROWS = {"gaussian": gaussian_rows, "text": text_rows, "images": images_rows}
_CORPORA = {"text": text_corpus, "images": images_corpus}

INPUTS = tuple(_ROWS)
ROUTINGS = ("measured", "uniform", "zipf", "single")


def make_input(name: str, tokens: int, features: int, seed: int) -> torch.Tensor:
    """The rows of an input, float64 (tokens, features) on the CPU; the same arguments give the same rows.

    name: one of INPUTS. tokens: N >= 0. features: p >= 1. seed: any integer.

    Raises InputError for a name or a size that no input has, and where the input's data is missing.
    """
    _check_name(name)
    if tokens < 0 or features < 1:
        raise InputError(
            f"an input of tokens = {tokens} and in_features = {features} was asked for; "
            f"give tokens of at least 0 and in_features of at least 1."
        )
    return _ROWS[name](tokens, features, seed)


def corpus_hash(name: str) -> str | None:
    """The SHA-256 of the data behind an input in hexadecimal, or None for an input that has none.

    Raises InputError for a name that no input has, and where the input's data is missing.
    """
    _check_name(name)
    return _CORPORA[name]().sha256 if name in _CORPORA else None


def _check_name(name: str) -> None:
    if name not in INPUTS:
        raise InputError(f"input = {name!r} is not known; use one of {', '.join(INPUTS)}.")
