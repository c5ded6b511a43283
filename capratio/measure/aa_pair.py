"""An A/A pair: the same work under two names; whatever differs between the two is this machine's noise."""

from dataclasses import dataclass
from statistics import median

import torch

from capratio.measure.clock import Clock
from capratio.measure.latency import SamplePolicy, measure_latency
from capratio.measure.noise import median_interval

# A product of about a millisecond: long against the clock, short against a time slice.
ROWS, WIDTH = 256, 512


@dataclass(frozen=True, slots=True)
class AaPair:
    """ratio: median of the second series over that of the first; 1 on a machine without noise.

    noise: half the 95 % interval of the first series' median over it. tail: the sample of rank 90 % over the median.
    slowdown: the median over the fastest sample of both; two series that are disturbed alike agree, and show it only
    here.
    """

    ratio: float
    noise: float
    tail: float
    slowdown: float


def measure_aa_pair(clock: Clock, samples: int = 200) -> AaPair:
    """Time the same matrix product in two interleaved series, on as many threads as torch uses.

    Args: samples: of each series, at least 6.
    """
    left, right = torch.randn(ROWS, WIDTH), torch.randn(WIDTH, WIDTH)
    with torch.inference_mode():
        timed = measure_latency(
            lambda x: torch.mm(x, right),
            prepare=lambda _: left,
            check=lambda _, __: None,
            clock=clock,
            # The noise of an interleaved pair is wanted, not a median that is known well.
            policy=SamplePolicy(2 * samples, 2 * samples, time_limit_s=5.0, relative_noise=0.0),
        )
    return pair_of(timed.samples_s[::2], timed.samples_s[1::2])


def pair_of(first: tuple[float, ...], second: tuple[float, ...]) -> AaPair:
    """The pair of two series of samples, each of at least 6."""
    middle = median(first)
    low, high = median_interval(first)
    return AaPair(
        ratio=median(second) / middle,
        noise=(high - low) / 2 / middle,
        tail=sorted(first)[int(0.9 * len(first))] / middle,
        slowdown=middle / min(*first, *second),
    )
