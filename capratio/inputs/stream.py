"""One seed, many independent random streams: each use of a seed names its purpose."""

import hashlib

import torch


def random_stream(purpose: str, seed: int) -> torch.Generator:
    """A CPU generator that depends on the seed and on what it is for.

    An input and the routing imposed on it share a case's seed; from the same numbers, magnitudes would tell leaves.

    purpose: a fixed name. seed: any integer.
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    # 63 bits: what every torch generator takes as a seed.
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
