"""Tensors held against one another before a kernel reads them, since a compiled kernel reads whatever lies there."""

import torch

from capratio.errors import InputError

# A tensor's name, the tensor, and a letter for each of its dimensions.
Named = tuple[str, torch.Tensor, str]


def check_shapes(
    operation: str, numbers: tuple[Named, ...], index: Named, index_dtype: torch.dtype, *, one_dtype: bool = True
) -> None:
    """Do nothing where dimensions of one letter have one size, numbers are of one dtype, and the index is of its own.

    Args: operation: by the name that users call. numbers: the floating-point tensors. one_dtype: whether theirs must be
    the same, as those of a product.

    Raises InputError elsewhere, which names the tensor.
    """
    sizes: dict[str, int] = {}
    for name, tensor, letters in (*numbers, index):
        if tensor.dim() != len(letters):
            raise _mismatch(operation, name, tensor, letters, numbers, index)
        for letter, size in zip(letters, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise _mismatch(operation, name, tensor, letters, numbers, index)
    dtype = numbers[0][1].dtype
    for name, tensor, _ in numbers:
        if (one_dtype and tensor.dtype != dtype) or not tensor.is_floating_point():
            raise InputError(
                f"{operation} was given {name} of {tensor.dtype} and {numbers[0][0]} of {dtype}; give one "
                "floating-point dtype for all."
            )
    if index[1].dtype != index_dtype:
        raise InputError(f"{operation} was given {index[0]} of {index[1].dtype}; give {index_dtype}.")


def _mismatch(
    operation: str, name: str, tensor: torch.Tensor, letters: str, numbers: tuple[Named, ...], index: Named
) -> InputError:
    wanted = ", ".join(f"{one} ({', '.join(marks)})" for one, _, marks in (*numbers, index))
    return InputError(
        f"{operation} was given {name} of shape {tuple(tensor.shape)}, which does not fit the others; give {wanted}, "
        "where one letter is one size."
    )
