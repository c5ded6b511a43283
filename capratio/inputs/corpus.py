"""A corpus is a line of bytes, with its mean, its spread and its hash; rows are windows cut out of it."""

import hashlib
from dataclasses import dataclass

import torch

from capratio.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Real data as one line of bytes, and what centres and scales it.

    name: as users write it. data: uint8 (length,). levels: float64 (256,), the value (byte - mean) / std of each byte.
    sha256: of the bytes, in hexadecimal.
    """

    name: str
    data: torch.Tensor
    levels: torch.Tensor
    sha256: str

    def windows(self, starts: torch.Tensor, features: int) -> torch.Tensor:
        """The ``features`` centred and scaled bytes from each start on, float64 (len(starts), features).

        starts: int64 (tokens,), each at most length - features.
        """
        return self.levels[self.data.unfold(0, features, 1)[starts].to(torch.int64)]

    def random_windows(self, tokens: int, features: int, generator: torch.Generator) -> torch.Tensor:
        """Windows at places drawn uniformly, float64 (tokens, features). Raises InputError as ``random_starts``."""
        return self.windows(self.random_starts(tokens, features, generator), features)

    def random_starts(self, tokens: int, features: int, generator: torch.Generator) -> torch.Tensor:
        """Where windows of so many bytes begin, drawn uniformly: int64 (tokens,).

        Raises InputError where the corpus is shorter than a window.
        """
        if features > len(self.data):
            raise InputError(
                f"in_features = {features} is more than the {len(self.data)} bytes of the input {self.name!r}; "
                f"use at most {len(self.data)} features, or input = 'gaussian'."
            )
        return torch.randint(len(self.data) - features + 1, (tokens,), generator=generator)


def corpus_of(name: str, content: bytes | bytearray) -> Corpus:
    """The corpus of some bytes, scaled by the mean and the (population) standard deviation of all of them.

    Raises InputError where the bytes are all alike (or none), because then nothing scales them.
    """
    if len(set(content)) < 2:
        raise InputError(
            f"the input {name!r} has {len(content)} bytes with fewer than two distinct values, so it cannot be scaled; "
            f"use another Python installation, or input = 'gaussian'."
        )
    # torch warns of buffers that cannot be written; nothing writes here.
    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    # From the histogram: a float64 copy of the corpus would take eight times its bytes.
    share = torch.bincount(data, minlength=256).to(torch.float64) / len(data)
    values = torch.arange(256, dtype=torch.float64)
    mean = (share * values).sum()
    std = (share * (values - mean).square()).sum().sqrt()
    return Corpus(name, data, (values - mean) / std, hashlib.sha256(content).hexdigest())
