"""How evenly a sparsely-gated mixture uses its experts, with and without its two balance losses: a table in kind.

Shazeer et al. 2017, arXiv 1701.06538, table 6: a language model with one mixture, trained with different weights of the
importance loss CV(Importance)² and of the load loss CV(Load)². Without either a few experts take nearly all; with any
of them all are used.

Here a small network predicts the next byte of the standard library's source from the 16 before it: an embedding, a
layer, a mixture beside it, a layer. Figures are of held-out text, the last tenth of the corpus, with the noise of
training, as Importance(X) and Load(X) are defined: X is one batch of 32,768 contexts. They depend on text and seeds,
and on nothing of the machine's speed. The model and its training are far smaller than the paper's: what is to be seen
again is the pattern, not the digits.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.figure import (
    Content,
    Figure,
    Progress,
    Row,
    count,
    kept_rows,
    machine_conditions,
    median_over,
    on_machine,
    parser,
    save_rows,
    spread,
    write_figure,
)
from capratio.display import markdown_table
from capratio.inputs.table import corpus_hash
from capratio.inputs.text import text_corpus
from capratio.layers.balance_losses import gate_sums, load
from capratio.layers.conditional_layer import Outcome
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture

CONTEXT, EMBEDDED, WIDTH = 16, 16, 128
EXPERTS, TOP_K, HIDDEN = 64, 2, 64
STEPS, TOKENS, LEARNING_RATE = 800, 1024, 1e-3
HELD_OUT_TOKENS = 32_768
HELD_OUT_SHARE = 0.1

# (w_importance, w_load) → the paper's CV(Importance), CV(Load), max(Load) / mean(Load), perplexity.
PAPER = {
    (0.0, 0.0): (3.04, 3.01, 17.8, 39.8),
    (0.2, 0.0): (0.06, 0.17, 1.47, 35.6),
    (0.0, 0.2): (0.22, 0.04, 1.15, 35.7),
    (0.1, 0.1): (0.06, 0.05, 1.14, 35.6),
    (0.01, 0.01): (0.48, 0.11, 1.37, 35.7),
    (1.0, 1.0): (0.03, 0.02, 1.07, 35.7),
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


def missing(rows: list[Row], seeds: int) -> list[tuple[float, float, int]]:
    """The weights and seeds of the table that no row has, seed after seed."""
    there = {(row["importance_weight"], row["load_weight"], row["seed"]) for row in rows}
    return [(*weights, seed) for seed in range(seeds) for weights in PAPER if (*weights, seed) not in there]


WEIGHTS = ("w importance", "w load")
COLUMNS = ("importance_variation", "load_variation", "largest_load")
NAMES = ("CV(importance)", "CV(load)", "max / mean load")


def table(content: Content) -> str:
    """A line for each pair of weights: medians over seeds, with the smallest and the largest."""
    rest = ("largest_count", "unused", "loss_nats")
    headings = [*WEIGHTS, *NAMES, "max / mean tokens, no noise", "unused experts, no noise", "loss, nats, no noise"]
    lines = [
        [*map(str, weights), *(spread([row[name] for row in _of(content, weights)]) for name in (*COLUMNS, *rest))]
        for weights in PAPER
    ]
    return markdown_table(headings, lines)


def summary(content: Content) -> str:
    """The same beside the paper's, and how much lower the loss is than that of the same seed without balance losses."""
    lines = []
    for weights, (*paper, _) in PAPER.items():
        found = _of(content, weights)
        beside = [
            (str(figure), spread([row[name] for row in found])) for figure, name in zip(paper, COLUMNS, strict=True)
        ]
        ours = spread(loss_differences(content, weights), "{:+.2f}".format)
        beside.append((f"{_paper_difference(weights):+.2f}", ours) if any(weights) else ("", ""))
        lines.append([*map(str, weights), *(text for pair in beside for text in pair)])
    names = (*NAMES, "loss less that without them, nats")
    return markdown_table([*WEIGHTS, *(f"{whose}: {name}" for name in names for whose in ("published", "ours"))], lines)


def loss_differences(content: Content, weights: Sequence[float]) -> list[float]:
    """The loss with these weights less the loss without balance losses, in nats, seed by seed."""
    without = {row["seed"]: row["loss_nats"] for row in _of(content, (0.0, 0.0))}
    return [row["loss_nats"] - without[row["seed"]] for row in _of(content, weights)]


def _paper_difference(weights: tuple[float, float]) -> float:
    return math.log(PAPER[weights][3] / PAPER[0.0, 0.0][3])


def _of(content: Content, weights: Sequence[float]) -> list[Row]:
    return [row for row in content["rows"] if (row["importance_weight"], row["load_weight"]) == tuple(weights)]


def conditions(content: Content) -> str:
    """What was trained, how long and how often."""
    found = content["conditions"]
    seeds = len({row["seed"] for row in content["rows"]})
    return (
        f"{median_over(f'{seeds} trainings')}. {found['experts']} experts of {found['hidden']} units, "
        f"top-{found['top_k']}, in a network of width {found['width']} that predicts the next byte of the Python "
        f"standard library's source from {found['context']}; {found['training_steps']} steps of Adam at "
        f"{found['learning_rate']} on {found['training_tokens_per_step']} tokens each, then {found['held_out_tokens']} "
        f"held-out tokens, with the noise of training unless a column says otherwise. {on_machine(found)}."
    )


FIGURE = Figure(
    name="moe_balance",
    title="Balance losses of a sparsely-gated mixture, off and on",
    takes="10 minutes on a quiet core and an hour on a busy one; a run that was stopped goes on",
    summary=summary,
    table=table,
    conditions=conditions,
)


def main(arguments: list[str] | None = None) -> None:
    """Train what is missing, keep each network's row as it comes, and write the table."""
    line = parser(FIGURE, __doc__)
    line.add_argument("--seeds", type=count, default=5, help="networks of each pair of weights (default: 5)")
    options = line.parse_args(arguments)
    # Matrices this small are multiplied no faster by several threads.
    torch.set_num_threads(1)
    measured = {
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
        **machine_conditions(),
    }
    try:
        rows = kept_rows(options.out, measured)
    except ValueError as error:
        line.error(str(error))
    todo = missing(rows, options.seeds)
    progress = Progress(len(todo))
    for importance_weight, load_weight, seed in todo:
        network = trained(importance_weight, load_weight, seed)
        rows.append(asdict(balance_of(network, importance_weight, load_weight, seed)))
        save_rows(options.out, measured, rows)
        progress.step(f"weights {importance_weight} and {load_weight}, seed {seed}")
    write_figure(FIGURE, options.out, measured, rows)


if __name__ == "__main__":
    main()
