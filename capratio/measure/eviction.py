"""Empties the CPU's caches of what a call would find there, by streaming a buffer four times their last level."""

import torch

from capratio.errors import InputError

# Once would do if every set of the cache were replaced in turn; replacement policies keep some lines of a first pass.
TIMES_LAST_LEVEL = 4


class CacheEvictor:
    """Evicts everything else from the caches when it is called, on as many threads as torch uses.

    Each thread streams its own share of the buffer, so that the private caches of its core are emptied too. The buffer
    is made and touched once, when the evictor is.
    """

    def __init__(self, last_level_cache_bytes: int) -> None:
        """last_level_cache_bytes: the size of the last cache level.

        Raises InputError for a size under 1.
        """
        if last_level_cache_bytes < 1:
            raise InputError(
                f"last_level_cache_bytes={last_level_cache_bytes} was given; a cache holds at least 1 byte."
            )
        self._buffer = torch.ones(-(-TIMES_LAST_LEVEL * last_level_cache_bytes // 4), dtype=torch.float32)

    @property
    def buffer_bytes(self) -> int:
        """The bytes that one call streams."""
        return self._buffer.numel() * self._buffer.element_size()

    def __call__(self) -> None:
        """Read the whole buffer."""
        self._buffer.sum()
