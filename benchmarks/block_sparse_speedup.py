"""How much faster block_linear is than torch's dense and block-sparse products where few blocks are live.

Two parts. ``paper``: the hidden layers of Bengio, Bacon, Pineau & Precup 2015 (arXiv 1511.06297), whose policies leave
18 % of the blocks of each side alive, on one thread, against the dense product. ``tenth``: 1024 x 1024 with a tenth of
the pairs of blocks alive, masks of each token's own against the dense product between masks, and one mask for all
against torch's BSR tensor, which is built before and not timed.

Every replicate is a fresh process with masks of its own. In it outputs are compared with float64 first, then contenders
take turns; a time is the median of a contender's turns, and a ratio is of times of one replicate.
"""

import os
import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context

import torch
from torch.nn.functional import linear

from benchmarks.block_sparse_table import conditions, summary, table
from benchmarks.figure import Figure, Progress, Row, count, kept_rows, parser, save_rows, write_figure
from capratio.kernels.block_linear import block_linear, live_blocks
from capratio.kernels.block_linear.bsr import live_weight
from capratio.measure.machine import describe_machine

# The share of blocks that the paper's policies leave alive, and that of a tenth of the pairs.
PAPER_RATE, TENTH_RATE = 0.18, 0.316
# Blocks of inputs and their size, blocks of outputs and theirs: the paper's two-layer nets for CIFAR-10, and the layer
# for MNIST, whose 784 inputs are all alive.
PAPER_LAYERS = ((24, 64, 24, 64), (16, 16, 32, 16), (10, 64, 10, 64), (1, 784, 16, 16))
PAPER_TOKENS = (1, 4, 16, 64, 256, 1024)
TENTH_FEATURES, TENTH_BLOCKS, TENTH_TOKENS, TENTH_THREADS = 1024, (64, 32, 16), (256, 1024), (1, 2)
# A turn is as many calls as take so long together, and no contender has more turns or fewer.
TURN_S, TURNS = 2e-3, 11
# Of the largest output. Seen of float32 sums of up to 1536 products is 1e-6; a wrong block is off by tenths.
TOLERANCE = 1e-4

Contender = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Case:
    """One product: its blocks, tokens, threads, and how many blocks of each side are alive.

    shared: whether all tokens have one mask, which has that share of the blocks rounded to whole ones.
    """

    part: str
    in_blocks: int
    in_size: int
    out_blocks: int
    out_size: int
    tokens: int
    threads: int
    rate: float
    shared: bool


def cases() -> list[Case]:
    """All cases, the paper's first."""
    paper = [
        Case("paper", *layer, tokens, 1, PAPER_RATE, shared=False) for layer in PAPER_LAYERS for tokens in PAPER_TOKENS
    ]
    tenth = [
        Case("tenth", *(2 * (TENTH_FEATURES // size, size)), tokens, threads, TENTH_RATE, shared)
        for shared in (False, True)
        for threads in TENTH_THREADS
        for size in TENTH_BLOCKS
        for tokens in TENTH_TOKENS
    ]
    return paper + tenth


def drawn_mask(tokens: int, blocks: int, case: Case, generator: torch.Generator) -> torch.Tensor:
    """A mask (tokens, blocks); a single block is alive."""
    if blocks == 1:
        return torch.ones(tokens, 1, dtype=torch.bool)
    if not case.shared:
        return torch.rand(tokens, blocks, generator=generator) < case.rate
    alive = torch.randperm(blocks, generator=generator)[: round(blocks * case.rate)]
    return torch.zeros(blocks, dtype=torch.bool).index_fill_(0, alive, True).expand(tokens, blocks).contiguous()


def contenders(
    x: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, shared: bool
) -> dict[str, Contender]:
    """What is timed; masks are spread over features, and a BSR tensor is built, before."""
    mask_in, mask_out = over_features(live_in, x), over_features(live_out, weight.t())
    found: dict[str, Contender] = {
        "block_linear": lambda: block_linear(x, weight, None, live_in, live_out),
        "dense": lambda: linear(x, weight),
        "dense-masked": lambda: linear(x * mask_in, weight) * mask_out,
    }
    if shared:
        blocks = live_weight(weight, live_in[0], live_out[0])
        found["bsr"] = lambda: torch.mm(blocks, x.t()).t()
        found["bsr-linear"] = lambda: linear(x, blocks)
    return found


def over_features(live: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A mask of blocks, (N, B), spread over the columns of ``like``, (_, features) -> (N, features) of its dtype."""
    return live.repeat_interleave(like.shape[1] // live.shape[1], 1).to(like.dtype)


def check(found: dict[str, Contender], expected: torch.Tensor) -> None:
    """Raise ValueError where a contender's output is not the masked product; the plain dense one computes another."""
    scale = expected.abs().max().clamp_min(1e-3)
    for name, call in found.items():
        if name != "dense" and not bool(((call() - expected).abs() <= TOLERANCE * scale).all()):
            raise ValueError(f"{name} differs from the product in float64.")


def take_turns(found: dict[str, Contender]) -> dict[str, float]:
    """The median seconds of a call of each, calls of all taken by turns."""
    calls = {}
    for name, call in found.items():
        start_s = time.perf_counter()
        call()
        calls[name] = max(1, round(TURN_S / (time.perf_counter() - start_s)))
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(TURNS):
        for name, call in found.items():
            start_s = time.perf_counter()
            for _ in range(calls[name]):
                call()
            taken[name].append((time.perf_counter() - start_s) / calls[name])
    return {name: statistics.median(times_s) for name, times_s in taken.items()}


def measure(case: Case, seed: int) -> Row:
    """One replicate of a case: what was drawn, and the seconds of each contender."""
    torch.set_num_threads(case.threads)
    generator = torch.Generator().manual_seed(seed)
    p, q = case.in_blocks * case.in_size, case.out_blocks * case.out_size
    x, weight = torch.randn(case.tokens, p, generator=generator), torch.randn(q, p, generator=generator)
    live_in, live_out = (drawn_mask(case.tokens, n, case, generator) for n in (case.in_blocks, case.out_blocks))
    with torch.no_grad():
        found = contenders(x, weight, live_in, live_out, case.shared)
        exact_x, exact_weight = x.double(), weight.double()
        masked = linear(exact_x * over_features(live_in, exact_x), exact_weight)
        check(found, masked * over_features(live_out, exact_weight.t()))
        times_s = take_turns(found)
    pairs = live_blocks(live_in, live_out).pairs
    return {
        "replicate": seed,
        "load_average": os.getloadavg()[0],
        "case": asdict(case),
        "live_in": live_in.float().mean().item(),
        "live_out": live_out.float().mean().item(),
        "density": pairs / (case.tokens * case.in_blocks * case.out_blocks),
        "times_s": times_s,
    }


def replicate(seed: int, part: str | None) -> list[Row]:
    """All cases of a part."""
    warnings.filterwarnings("ignore", "Sparse BSR tensor support")
    return [measure(case, seed) for case in cases() if part in (None, case.part)]


FIGURE = Figure(
    name="block_sparse_speedup",
    title="Block-sparse products at 18 % of the blocks on each side",
    takes="5 minutes on quiet cores; a run that was stopped goes on",
    summary=summary,
    table=table,
    conditions=conditions,
)


def main(arguments: list[str] | None = None) -> None:
    """Measure replicates in processes of their own, and write all times and a table of ratios."""
    line = parser(FIGURE, __doc__)
    line.add_argument("--replicates", type=count, default=5, help="fresh processes (default: 5)")
    line.add_argument("--only", choices=("paper", "tenth"), help="one part")
    options = line.parse_args(arguments)
    measured = {"only": options.only, "machine": describe_machine()}
    try:
        rows = kept_rows(options.out, measured)
    except ValueError as error:
        line.error(str(error))
    todo = sorted(set(range(options.replicates)) - {row["replicate"] for row in rows})
    progress = Progress(len(todo))
    for seed in todo:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            rows += fresh.submit(replicate, seed, options.only).result()
        save_rows(options.out, measured, rows)
        progress.step(f"replicate {seed}")
    write_figure(FIGURE, options.out, measured, rows)


if __name__ == "__main__":
    main()
