"""Tensors held against one another before a kernel reads them, since a compiled kernel reads whatever lies there."""

import torch

from capratio.errors import InputError

# Nodes of a tree are counted from 0 to 2^(k+1) - 2, in 64 bits with a sign.
MOST_BITS = 62

# A tensor's name, the tensor, and a letter for each of its dimensions.
Named = tuple[str, torch.Tensor, str]


def check_shapes(
    operation: str,
    numbers: tuple[Named, ...],
    index: Named | None = None,
    index_dtype: torch.dtype = torch.int64,
    *,
    one_dtype: bool = True,
) -> None:
    """Do nothing where dimensions of one letter have one size, numbers are of one dtype, and the index is of its own.

    Args: operation: by the name that users call. numbers: the floating-point tensors. one_dtype: whether theirs must be
    the same, as those of a product.

    Raises InputError elsewhere, which names the tensor.
    """
    given = numbers if index is None else (*numbers, index)
    sizes: dict[str, int] = {}
    device = numbers[0][1].device
    for name, tensor, letters in given:
        if tensor.device != device:
            raise InputError(
                f"{operation} was given {name} on {tensor.device} and {numbers[0][0]} on {device}; move them to one "
                "device."
            )
        if tensor.dim() != len(letters):
            raise _mismatch(operation, name, tensor, given)
        for letter, size in zip(letters, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise _mismatch(operation, name, tensor, given)
    dtype = numbers[0][1].dtype
    for name, tensor, _ in numbers:
        if (one_dtype and tensor.dtype != dtype) or not tensor.is_floating_point():
            raise InputError(
                f"{operation} was given {name} of {tensor.dtype} and {numbers[0][0]} of {dtype}; give one "
                "floating-point dtype for all."
            )
    if index is not None:
        check_dtype(operation, index[0], index[1], index_dtype)


def check_dtype(operation: str, name: str, tensor: torch.Tensor, dtype: torch.dtype) -> None:
    """Raise InputError where an index or bits are of another dtype."""
    if tensor.dtype != dtype:
        raise InputError(f"{operation} was given {name} of {tensor.dtype}; give {dtype}.")


def check_bits(operation: str, depth: int) -> None:
    """Raise InputError for more bits than make a leaf of 64 bits, with room for the nodes above it."""
    if depth > MOST_BITS:
        raise InputError(f"{operation} was given {depth} bits a token; give at most {MOST_BITS}.")


def check_nodes(operation: str, name: str, rows: int, levels: int) -> None:
    """Raise InputError where a table has not one row for each node of a tree of so many levels."""
    if rows != 2**levels - 1:
        raise InputError(
            f"{operation} was given {name} of {rows} rows for a path through {levels} levels; give {2**levels - 1}, "
            "one for each node of the tree."
        )


def _mismatch(operation: str, name: str, tensor: torch.Tensor, given: tuple[Named, ...]) -> InputError:
    shapes = ", ".join(f"{one} {tuple(other.shape)}" for one, other, _ in given)
    wanted = ", ".join(f"{one} ({', '.join(marks)})" for one, _, marks in given)
    return InputError(
        f"{operation} was given {name} of shape {tuple(tensor.shape)}, which does not fit the others ({shapes}); give "
        f"{wanted}, where one letter is one size."
    )
