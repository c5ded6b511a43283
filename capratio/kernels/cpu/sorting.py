"""Tokens sorted by an integer key, compiled: by counting where the keys are few, by merging where they are many."""

from typing import Any

import numpy as np

from capratio.kernels.cpu.compiling import compile_kernel

# Counting walks over all keys, merging log2(N) times over the tokens, some ten times slower a step.
COUNT_UP_TO_KEYS_PER_TOKEN = 64


@compile_kernel
def sort_by_key(key: Any, keys: int) -> Any:
    """Sort tokens by a key (N,) in 0..keys - 1; tokens of a key keep their order.

    Returns the order (N,), the distinct keys, ascending (G,), and where each one's tokens begin, with N last (G + 1,).
    """
    tokens = key.shape[0]
    if tokens > 1 and keys <= COUNT_UP_TO_KEYS_PER_TOKEN * tokens:
        order = _count(key, keys)
    else:
        order = np.argsort(key, kind="mergesort")
    distinct = np.empty(tokens, np.int64)
    starts = np.empty(tokens + 1, np.int64)
    groups = 0
    for place in range(tokens):
        if place == 0 or key[order[place]] != key[order[place - 1]]:
            distinct[groups] = key[order[place]]
            starts[groups] = place
            groups += 1
    starts[groups] = tokens
    return order, distinct[:groups], starts[: groups + 1]


@compile_kernel
def _count(key: Any, keys: int) -> Any:
    tokens = key.shape[0]
    next_place = np.zeros(keys + 1, np.int64)
    for token in range(tokens):
        next_place[key[token] + 1] += 1
    for value in range(keys):
        next_place[value + 1] += next_place[value]
    order = np.empty(tokens, np.int64)
    for token in range(tokens):
        place = next_place[key[token]]
        order[place] = token
        next_place[key[token]] = place + 1
    return order
