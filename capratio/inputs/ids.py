"""Token ids, for layers that look up by them: those of real text, or drawn."""

import torch

from capratio.errors import InputError
from capratio.inputs.routing import zipf_ranks
from capratio.inputs.stream import random_stream
from capratio.inputs.table import ROUTINGS
from capratio.inputs.text import text_ids


def make_ids(input_name: str, routing: str, tokens: int, features: int, entries: int, seed: int) -> torch.Tensor:
    """The ids of the rows that ``make_input`` gives for the same arguments: int64 (tokens,), in 0..entries - 1.

    - measured: of text, the last two bytes of each row's window as one number, modulo ``entries``.
    - uniform: every id equally probable. zipf: the id of rank r has probability proportional to 1/r, ranks dealt out by
      the seed. single: one id for all tokens.

    Raises InputError for an unknown routing, and for measured ids of an input that is no text.
    """
    if routing not in ROUTINGS:
        raise InputError(f"routing = {routing!r} is not known; use one of {', '.join(ROUTINGS)}.")
    generator = random_stream(f"ids {routing}", seed)
    if routing == "uniform":
        return torch.randint(entries, (tokens,), generator=generator)
    if routing == "zipf":
        return torch.randperm(entries, generator=generator)[zipf_ranks(tokens, entries, generator)]
    if routing == "single":
        return torch.randint(entries, (1,), generator=generator).repeat(tokens)
    if input_name != "text":
        raise InputError(
            f"input = {input_name!r} has no token ids; use input = 'text', or routing = 'uniform', 'zipf' or 'single'."
        )
    return text_ids(tokens, features, seed) % entries
