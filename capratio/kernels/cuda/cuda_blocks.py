"""The block sizes of the CUDA kernels, kept as data with where they come from."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, expm1, log1p
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from capratio.errors import InputError


class _Entry(Protocol):
    @property
    def itemsize(self) -> int: ...

    @property
    def up_to_mean_tokens(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ProductBlocks:
    """Of a group's tokens times its matrix; cuda_blocks.toml says what the sizes mean."""

    itemsize: int
    up_to_mean_tokens: float
    method: Literal["vector", "matrix"]
    tokens: int
    along: int
    across: int
    warps: int
    stages: int
    descriptor: bool = False


@dataclass(frozen=True, slots=True)
class OuterBlocks:
    """Of a matrix's gradient, the sum of a group's outer products."""

    itemsize: int
    up_to_mean_tokens: float
    tokens: int
    outputs: int
    inputs: int
    warps: int
    stages: int


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """Of sums of table rows."""

    rows: int
    columns: int
    tile: int
    split_up_to_programs: int
    warps: int


@dataclass(frozen=True, slots=True)
class CudaBlocks:
    """All of them. source: on which machine they were tuned, or that they were not.

    Raises InputError where one token would be multiplied by the method ``matrix``, which takes at least 16.
    """

    source: str
    unsorted_up_to_tokens: int
    compared_up_to_tokens: int
    least_programs: int
    product: tuple[ProductBlocks, ...]
    outer: tuple[OuterBlocks, ...]
    rows: RowBlocks

    def __post_init__(self) -> None:
        for itemsize in {entry.itemsize for entry in self.product}:
            if pick(self.product, itemsize, tokens=1, groups=1).method != "vector":
                raise InputError(f"the blocks of {itemsize} bytes give one token the method 'matrix'; use 'vector'.")


Entry = TypeVar("Entry", bound=_Entry)


def pick(entries: Sequence[Entry], itemsize: int, tokens: int, groups: int) -> Entry:
    """The first entry for elements of ``itemsize`` bytes and the mean number of tokens of a visited group.

    Raises InputError for an itemsize that has no entry.
    """
    mean = tokens / _visited(tokens, groups)
    for entry in entries:
        if entry.itemsize == itemsize and mean <= entry.up_to_mean_tokens:
            return entry
    raise InputError(
        f"the cuda kernels have no blocks for elements of {itemsize} bytes; use float32, bfloat16 or float16, or name "
        "backend='reference'."
    )


def pick_product(itemsize: int, tokens: int, groups: int, outputs: int) -> ProductBlocks:
    """As ``pick`` of the products; where large blocks would leave multiprocessors idle, the one before, and so on."""
    entries = CUDA_BLOCKS.product
    chosen = pick(entries, itemsize, tokens, groups)
    place = entries.index(chosen)
    visited = _visited(tokens, groups)
    while chosen.method == "matrix" and place > 0:
        tiles = max(visited, tokens / chosen.tokens)
        before = entries[place - 1]
        enough = tiles * ceil(outputs / chosen.along) >= CUDA_BLOCKS.least_programs
        if enough or before.itemsize != itemsize or before.method == "vector":
            break
        chosen, place = before, place - 1
    return chosen


def _visited(tokens: int, groups: int) -> float:
    """How many groups tokens visit is known on the device alone; of G drawn alike they are G (1 - (1 - 1/G)^N)."""
    visited = 1.0 if groups <= 1 else -groups * expm1(tokens * log1p(-1 / groups))
    return max(1.0, visited)


def _read(path: Path) -> CudaBlocks:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return CudaBlocks(
        data["source"],
        data["unsorted_up_to_tokens"],
        data["compared_up_to_tokens"],
        data["least_programs"],
        tuple(ProductBlocks(**entry) for entry in data["product"]),
        tuple(OuterBlocks(**entry) for entry in data["outer"]),
        RowBlocks(**data["rows"]),
    )


CUDA_BLOCKS = _read(Path(__file__).with_name("cuda_blocks.toml"))
