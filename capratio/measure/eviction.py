"""Cold caches: a buffer larger than the last level is read, so that what stood there has left."""

import torch

from capratio.errors import InputError

# Caches don't replace the least recently used line exactly, and the last level may be shared out in slices: one pass
# over its size leaves lines behind, four passes' worth of distinct lines leave practically none.
BUFFER_OVER_CACHE = 4


class CacheEvictor:
    """Calling it reads a buffer of 4 times the last cache level, allocated once.

    Args: last_level_cache_bytes: size of the largest cache that a core reaches.

    Raises InputError for a size under one element of the buffer.
    """

    def __init__(self, last_level_cache_bytes: int) -> None:
        if last_level_cache_bytes < 8:
            raise InputError(
                f"last_level_cache_bytes={last_level_cache_bytes} was given; give the size of the last cache level in "
                "bytes, at least 8."
            )
        # Ones and not zeros: pages that were never written all map to one page of zeros, which fits any cache.
        self._buffer = torch.ones(BUFFER_OVER_CACHE * last_level_cache_bytes // 8, dtype=torch.int64)

    @property
    def buffer_bytes(self) -> int:
        """What is read by a call."""
        return self._buffer.numel() * self._buffer.element_size()

    def __call__(self) -> None:
        """Read the whole buffer."""
        # A sum reads every line once and writes none, so that nothing is left to write back during the sample.
        self._buffer.sum()
