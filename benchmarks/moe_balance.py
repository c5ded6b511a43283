"""How evenly a sparsely-gated mixture uses its experts, with and without its two balance losses: a table in kind.

Shazeer et al. 2017, arXiv 1701.06538, table 6: a language model with one mixture, trained with different weights of the
importance loss CV(Importance)² and of the load loss CV(Load)². Without either a few experts take nearly all; with any
of them all are used, and the load loss evens the tokens where the importance loss evens the gates.

Here a small network predicts the next byte of the standard library's source from the 16 before it: an embedding, a
layer, a mixture beside it, a layer. Figures are of held-out text, the last tenth of the corpus, with the noise of
training, as Importance(X) and Load(X) are defined: X is one batch of 32,768 contexts. They depend on text and seeds,
and on nothing of the machine's speed. The model and its training are far smaller than the paper's: what is to be seen
again is the pattern, not the digits.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from capratio.display import text_table
from capratio.inputs.table import corpus_hash
from capratio.inputs.text import text_corpus
from capratio.layers.balance_losses import gate_sums, load
from capratio.layers.conditional_layer import Outcome
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from capratio.records.whole_file import write_whole
from capratio.units import significant

CONTEXT, EMBEDDED, WIDTH = 16, 16, 128
EXPERTS, TOP_K, HIDDEN = 64, 2, 64
STEPS, TOKENS, LEARNING_RATE = 800, 1024, 1e-3
HELD_OUT_TOKENS = 32_768
HELD_OUT_SHARE = 0.1

# (w_importance, w_load) → the paper's CV(Importance), CV(Load), max(Load) / mean(Load).
PAPER = {
    (0.0, 0.0): (3.04, 3.01, 17.8),
    (0.2, 0.0): (0.06, 0.17, 1.47),
    (0.0, 0.2): (0.22, 0.04, 1.15),
    (0.1, 0.1): (0.06, 0.05, 1.14),
    (1.0, 1.0): (0.03, 0.02, 1.07),
}


@dataclass(frozen=True, slots=True)
class Balance:
    """What one trained network does with held-out text.

    importance_variation, load_variation: CV of the gates' sums and of the smooth load over experts.
    largest_load: the largest load over the mean. In evaluation, without noise: largest_count, the same of tokens;
    unused, experts without a token; loss_nats, of the next byte.
    """

    importance_weight: float
    load_weight: float
    seed: int
    importance_variation: float
    load_variation: float
    largest_load: float
    largest_count: float
    unused: int
    loss_nats: float


class NextByte(nn.Module):
    """(N, CONTEXT) bytes -> the logits of the next one, (N, 256): h = tanh(A e), logits = B (h + mixture(h))."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, EMBEDDED)
        self.before = nn.Linear(CONTEXT * EMBEDDED, WIDTH)
        self.mixture = SparselyGatedMixture(WIDTH, WIDTH, experts=EXPERTS, top_k=TOP_K, hidden=HIDDEN)
        self.after = nn.Linear(WIDTH, 256)

    def forward(self, context: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, Outcome]:
        """The logits, and what the mixture gave. Args: generator: of its noise."""
        hidden = torch.tanh(self.before(self.embedding(context).flatten(1)))
        outcome = self.mixture.outcome(hidden, generator=generator)
        return self.after(hidden + outcome.out), outcome


def windows(tokens: int, held_out: bool, generator: torch.Generator) -> torch.Tensor:
    """CONTEXT + 1 bytes from random places of the text for training or of the one held out: int64 (N, CONTEXT + 1)."""
    data = text_corpus().data
    border = round(len(data) * (1 - HELD_OUT_SHARE))
    part = data[border:] if held_out else data[:border]
    starts = torch.randint(len(part) - CONTEXT, (tokens,), generator=generator)
    return part.unfold(0, CONTEXT + 1, 1)[starts].to(torch.int64)


def trained(importance_weight: float, load_weight: float, seed: int) -> NextByte:
    """A network after ``STEPS`` steps of Adam."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = NextByte()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(STEPS):
        text = windows(TOKENS, False, generator)
        logits, outcome = network(text[:, :-1], generator)
        balance = network.mixture.losses(outcome)
        loss = cross_entropy(logits, text[:, -1])
        loss = loss + importance_weight * balance["importance"] + load_weight * balance["load"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


@torch.no_grad()
def balance_of(network: NextByte, importance_weight: float, load_weight: float, seed: int) -> Balance:
    """What a network does with held-out text."""
    generator = torch.Generator().manual_seed(seed)
    text = windows(HELD_OUT_TOKENS, True, generator)
    _, noisy = network.train()(text[:, :-1], generator)
    logits, plain = network.eval()(text[:, :-1], generator)
    kept = noisy.kept
    importance = gate_sums(noisy.decisions["expert"], kept["share"], EXPERTS)
    smooth = load(kept["logits"], kept["noisy"], kept["scale"], TOP_K)
    counts = torch.bincount(plain.decisions["expert"].flatten(), minlength=EXPERTS).double()
    return Balance(
        importance_weight,
        load_weight,
        seed,
        importance_variation=_variation(importance),
        load_variation=_variation(smooth),
        largest_load=float(smooth.max() / smooth.mean()),
        largest_count=float(counts.max() / counts.mean()),
        unused=int((counts == 0).sum()),
        loss_nats=float(cross_entropy(logits, text[:, -1])),
    )


def _variation(values: torch.Tensor) -> float:
    return float(values.std(correction=0) / values.mean())


def measure(seeds: int) -> list[Balance]:
    """Every pair of weights of the table with every seed."""
    rows = []
    for weights in PAPER:
        for seed in range(seeds):
            rows.append(balance_of(trained(*weights, seed), *weights, seed))
            print(f"{len(rows)} of {len(PAPER) * seeds} trained", flush=True)
    return rows


HEADERS = (
    "w importance",
    "w load",
    "CV(importance)",
    "paper",
    "CV(load)",
    "paper",
    "max / mean load",
    "paper",
    "max / mean tokens, no noise",
    "unused experts",
    "loss, nats",
)


def lines(rows: list[Balance]) -> list[tuple[str, ...]]:
    """A line for each pair of weights: means over seeds, with the smallest and the largest, beside the paper's."""
    found = []
    for weights, paper in PAPER.items():
        own = [row for row in rows if (row.importance_weight, row.load_weight) == weights]
        columns = ("importance_variation", "load_variation", "largest_load")
        beside = [(_over_seeds(own, name), str(figure)) for name, figure in zip(columns, paper, strict=True)]
        rest = [_over_seeds(own, name) for name in ("largest_count", "unused", "loss_nats")]
        found.append((*map(str, weights), *(text for pair in beside for text in pair), *rest))
    return found


def _over_seeds(rows: list[Balance], name: str) -> str:
    values = [float(getattr(row, name)) for row in rows]
    return f"{significant(mean(values))} ({significant(min(values))} to {significant(max(values))})"


def markdown(rows: list[Balance], seeds: int) -> str:
    """The table with what it is, for a page."""
    table = [HEADERS, ("---:",) * len(HEADERS), *lines(rows)]
    return "\n".join(
        [
            "# Balance losses of a sparsely-gated mixture, after table 6 of Shazeer et al. 2017",
            "",
            f"{EXPERTS} experts of {HIDDEN} units, top-{TOP_K}, in a network that predicts the next byte of the Python "
            f"standard library's source; {STEPS} steps of {TOKENS} tokens, {seeds} seeds (mean, smallest to largest), "
            f"{HELD_OUT_TOKENS} held-out tokens, with the noise of training unless a column says otherwise. One expert "
            f"can have at most {EXPERTS // TOP_K} times the mean load. Made by `python -m benchmarks.moe_balance`; the "
            "JSON file of the same name has every network.",
            "",
            *("| " + " | ".join(line) + " |" for line in table),
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table, and write every row to a file and the table beside it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.moe_balance", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the JSON file that is written, and beside it FILE.md"
    )
    parser.add_argument("--seeds", type=int, default=3, help="networks of each pair of weights (default: 3)")
    options = parser.parse_args(arguments)
    # Matrices this small are multiplied no faster by several threads.
    torch.set_num_threads(1)
    rows = measure(options.seeds)
    conditions = {
        "paper": [[*weights, *figures] for weights, figures in PAPER.items()],
        "context": CONTEXT,
        "width": WIDTH,
        "experts": EXPERTS,
        "top_k": TOP_K,
        "hidden": HIDDEN,
        "training_steps": STEPS,
        "training_tokens_per_step": TOKENS,
        "learning_rate": LEARNING_RATE,
        "held_out_tokens": HELD_OUT_TOKENS,
        "text_sha256": corpus_hash("text"),
        "torch": version("torch"),
    }
    content = {"conditions": conditions, "rows": [asdict(row) for row in rows]}
    write_whole(options.out, (json.dumps(content, indent=1) + "\n").encode())
    write_whole(options.out.with_suffix(".md"), markdown(rows, options.seeds).encode())
    print(text_table(HEADERS, lines(rows)))


if __name__ == "__main__":
    main()
