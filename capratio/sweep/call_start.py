"""What every call of a user's layer starts from, so that calls repeat: random numbers, and the state of buffers."""

from collections.abc import Iterable

import torch
from torch import nn


class CallStart:
    """The state of a module's buffers as it is now, and a seed for torch's random numbers.

    Running statistics of a batch norm, moving averages and what dropout draws differ from call to call in training; a
    call that starts from the same of them does the same work and gives the same output. Attributes that are no buffers,
    and other generators than torch's own, are out of reach.

    The copies stay in the process: a layer's buffers count twice in its ``resident_peak_bytes``, and once in its
    ``state_bytes``.

    Args: module: whose buffers are copied, once. seed: any integer that torch takes.
    """

    def __init__(self, module: nn.Module, seed: int) -> None:
        self._seed = seed
        # A buffer may have several owners, and several names in one, who share what is put back.
        owners: dict[int, tuple[torch.Tensor, list[tuple[nn.Module, str]]]] = {}
        for owner in module.modules():
            for name, buffer in owner.named_buffers(recurse=False, remove_duplicate=False):
                # Sparse ones cannot be compared, and no layer is known to write to them.
                if buffer.layout == torch.strided:
                    owners.setdefault(id(buffer), (buffer, []))[1].append((owner, name))
        self._kept = [(named, buffer.clone()) for buffer, named in owners.values()]
        # Places in the list above.
        self._changing: set[int] = set()

    def note_changes(self) -> None:
        """See which buffers a call has changed: these alone are put back before each further one.

        Values are compared, since what torch counts leaves out the statistics that a batch norm writes.
        """
        self._changing |= {
            place
            for place, (named, value) in enumerate(self._kept)
            if not all(_same(getattr(owner, name, None), value) for owner, name in named)
        }

    def again(self) -> None:
        """Seed, and put back what a call of the same pass changes."""
        torch.manual_seed(self._seed)
        self._put_back(self._changing)

    def again_after_others(self) -> None:
        """Seed, and put back all buffers: another pass of the module was run in between."""
        torch.manual_seed(self._seed)
        self._put_back(range(len(self._kept)))

    def _put_back(self, places: Iterable[int]) -> None:
        for place in places:
            named, value = self._kept[place]
            # A new tensor: one that was made under inference mode must not be written to outside of it.
            again = value.clone()
            for owner, name in named:
                setattr(owner, name, again)


def _same(found: torch.Tensor | None, value: torch.Tensor) -> bool:
    return found is not None and found.shape == value.shape and torch.equal(found, value)
