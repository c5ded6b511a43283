"""Whether the threads of compiled kernels and those of torch's products slow one another down.

Both keep their threads spinning for a while after a parallel piece of work. If the pools fought for the processors,
alternating calls would take longer than the two kinds of calls take apart.
"""

import statistics
import time
from collections.abc import Callable

import torch

from capratio.kernels.leaf_linear import leaf_linear

ROUNDS = 30


def seconds(calls: list[Callable[[], object]]) -> float:
    """The median time of a round of calls, each once."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for call in calls:
            call()
        rounds.append(time.perf_counter() - start)
    return statistics.median(rounds[2:])


def main() -> None:
    """Print the two kinds of calls apart, alternating, and the ratio."""
    threads = torch.get_num_threads()
    weight, x = torch.randn(64, 512, 512), torch.randn(128, 512)
    node, square = torch.randint(0, 64, (128,)), torch.randn(768, 768)

    def compiled() -> torch.Tensor:
        return leaf_linear(x, weight, node, "cpu")

    def product() -> torch.Tensor:
        return square @ square

    with torch.inference_mode():
        compiled()
        ratios = []
        for _ in range(7):
            apart = seconds([compiled]) + seconds([product])
            together = seconds([compiled, product])
            ratios.append(together / apart)
            print(f"{threads} threads: apart {apart * 1e3:.2f} ms, alternating {together * 1e3:.2f} ms")
    print(f"alternating / apart: median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
