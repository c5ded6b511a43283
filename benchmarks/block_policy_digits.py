"""Whether a block policy learns digits with few of its blocks, and what becomes of its blocks without L_b and L_e.

In kind what the paper reports of MNIST: 16 blocks of 16 units, target rate 1/16, beside a dense network of all 256
units and one of as many multiply-adds. The digits are scikit-learn's, 8 x 8 pixels, 1797 of them, and no MNIST: errors
are not to be held against the published ones. Each seed splits the digits anew into training and test. The learning
rate and the weights of the losses were chosen on two of the seeds, by the same test errors.

Coins are flipped ten times for each test digit. An error is the share of flips that miss; a block is dead if it lives
in less than 0.5 % of them, and saturated in more than 99.5 %.
"""

from dataclasses import asdict, dataclass
from importlib.metadata import version

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.figure import (
    Content,
    Figure,
    Progress,
    Row,
    count,
    machine_conditions,
    median_over,
    on_machine,
    parser,
    percent,
    spread,
    write_figure,
)
from capratio.display import markdown_table
from capratio.layers.block_policy import BlockPolicyNetwork, policy_surrogate, update_baseline
from capratio.layers.reinforce import VarianceOptimalBaseline

FEATURES, CLASSES, TRAINED = 64, 10, 1297
HIDDEN, BLOCKS, RATE = 256, 16, 1 / 16
# As in the paper: a block of 16 units, and 16 rows of the policy.
EQUAL_HIDDEN = 32
EPOCHS, BATCH, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 100, 64, 0.1, 0.9, 1e-4
FLIPS, RARE = 10, 0.005
# Test errors of MNIST in percent: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297, section 4.2.
PUBLISHED = {"policy": "2.3", "dense, 256": "1.9", "dense, 32": "2.8"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a policy is trained: λ_s weighs L_b + L_e, λ_v weighs L_v; with a baseline of least variance or with none."""

    name: str
    rate_weight: float
    variance_weight: float
    baseline: bool = False


RECIPES = (
    Recipe("policy", 2.0, 2.0),
    Recipe("policy, baseline", 2.0, 2.0, baseline=True),
    Recipe("policy, no L_b, L_e", 0.0, 2.0),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one network of one seed did on the test digits.

    test_error: of all. lived_error: of flips in which a block lived. blockless: share of flips in which none did. rate:
    share of blocks that lived. dead, saturated: shares of blocks, None of a dense network. multiply_adds: of a digit,
    the policy's included.
    """

    name: str
    seed: int
    test_error: float
    lived_error: float
    blockless: float
    rate: float
    dead: float | None
    saturated: float | None
    multiply_adds: float


@dataclass(frozen=True, slots=True)
class Digits:
    """One split: pixels from 0 to 1, (N, 64), and labels, (N,)."""

    x: torch.Tensor
    label: torch.Tensor
    test_x: torch.Tensor
    test_label: torch.Tensor


def split(seed: int) -> Digits:
    """All digits in an order of this seed: the first ``TRAINED`` for training, the others for the test."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))
    x = torch.tensor(digits.data / 16, dtype=torch.float32)[order]
    label = torch.tensor(digits.target)[order]
    return Digits(x[:TRAINED], label[:TRAINED], x[TRAINED:], label[TRAINED:])


def batches(generator: torch.Generator) -> list[torch.Tensor]:
    """The places of the training digits of every batch, epoch after epoch."""
    orders = [torch.randperm(TRAINED, generator=generator) for _ in range(EPOCHS)]
    return [batch for order in orders for batch in torch.split(order, BATCH)]


def optimizer_of(network: nn.Module) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, alike for all networks and for the policy."""
    return torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def trained_policy(recipe: Recipe, digits: Digits, seed: int) -> BlockPolicyNetwork:
    """A network whose policy learns from the cost by REINFORCE, and from the paper's losses."""
    torch.manual_seed(seed)
    network = BlockPolicyNetwork(FEATURES, CLASSES, hidden=HIDDEN, blocks=BLOCKS, rate=RATE)
    optimizer, generator = optimizer_of(network), torch.Generator().manual_seed(seed)
    baseline = VarianceOptimalBaseline() if recipe.baseline else None
    for batch in batches(generator):
        outcome = network.outcome(digits.x[batch], generator=generator)
        cost = cross_entropy(outcome.out, digits.label[batch], reduction="none")
        losses = network.losses(outcome)
        rates = recipe.rate_weight * (losses["batch_rate"] + losses["example_rate"])
        loss = cost.mean() + rates + recipe.variance_weight * losses["negative_variance"]
        optimizer.zero_grad()
        torch.autograd.backward(loss + policy_surrogate(outcome, cost, baseline))
        if baseline is not None:
            update_baseline(baseline, outcome, cost)
        optimizer.step()
    return network


@torch.no_grad()
def policy_result(name: str, network: BlockPolicyNetwork, digits: Digits, seed: int) -> Result:
    """The test, with ``FLIPS`` sets of coins for each digit."""
    x, label = digits.test_x.repeat(FLIPS, 1), digits.test_label.repeat(FLIPS)
    outcome = network.eval().outcome(x, generator=torch.Generator().manual_seed(seed))
    live = outcome.decisions["live"][:, 0]
    missed, lived, of_block = outcome.out.argmax(1) != label, live.any(1), live.double().mean(0)
    flop = network.spec.executed(network.visits(outcome.decisions), "forward").flop
    return Result(
        name,
        seed,
        test_error=_share(missed),
        lived_error=_share(missed[lived]),
        blockless=_share(~lived),
        rate=_share(live),
        dead=_share(of_block < RARE),
        saturated=_share(of_block > 1 - RARE),
        multiply_adds=(flop.product + flop.gating) / 2 / len(x),
    )


def dense_result(hidden: int, digits: Digits, seed: int) -> Result:
    """A dense network of so many hidden units, trained on the same batches and tested."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))
    optimizer = optimizer_of(network)
    for batch in batches(torch.Generator().manual_seed(seed)):
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(network(digits.x[batch]), digits.label[batch]))
        optimizer.step()
    with torch.no_grad():
        error = _share(network(digits.test_x).argmax(1) != digits.test_label)
    return Result(f"dense, {hidden}", seed, error, error, 0.0, 1.0, None, None, hidden * (FEATURES + CLASSES))


def measure(seeds: int) -> list[Result]:
    """Every network on every seed."""
    results, progress = [], Progress(seeds)
    for seed in range(seeds):
        digits = split(seed)
        for recipe in RECIPES:
            results.append(policy_result(recipe.name, trained_policy(recipe, digits, seed), digits, seed))
        results += [dense_result(hidden, digits, seed) for hidden in (HIDDEN, EQUAL_HIDDEN)]
        progress.step(f"{len(RECIPES) + 2} networks, seed {seed}")
    return results


COLUMNS = {
    "lived_error": "error where a block lives %",
    "blockless": "no block %",
    "rate": "rate %",
    "dead": "dead blocks %",
    "saturated": "saturated %",
}


def table(content: Content) -> str:
    """Medians over seeds, with the smallest and the largest."""
    lines = []
    for name, found in _networks(content).items():
        shares = [_percents([row[measured] for row in found]) for measured in ("test_error", *COLUMNS)]
        lines.append([name, *shares, spread([row["multiply_adds"] for row in found], "{:,.0f}".format)])
    return markdown_table(["network", "test error %", *COLUMNS.values(), "multiply-adds"], lines)


def summary(content: Content) -> str:
    """Test errors beside the paper's, and what becomes of blocks."""
    lines = []
    for name, found in _networks(content).items():
        shares = [_percents([row[measured] for row in found]) for measured in ("test_error", "dead", "saturated")]
        adds = spread([row["multiply_adds"] for row in found], "{:,.0f}".format)
        lines.append([name, PUBLISHED.get(name, ""), *shares, adds])
    headings = ["network", "published of MNIST: test error %", "ours of digits: test error %"]
    return markdown_table([*headings, "dead blocks %", "saturated blocks %", "multiply-adds"], lines)


def _networks(content: Content) -> dict[str, list[Row]]:
    names = dict.fromkeys(row["name"] for row in content["rows"])
    return {name: [row for row in content["rows"] if row["name"] == name] for name in names}


def _share(happened: torch.Tensor) -> float:
    return float(happened.double().mean())


def _percents(shares: list[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return spread(known, percent) if known else ""


def conditions(content: Content) -> str:
    """What was trained, how long and how often."""
    found = content["conditions"]
    seeds = len({row["seed"] for row in content["rows"]})
    return (
        f"{median_over(f'{seeds} splits and networks')}. {found['hidden']} hidden units in "
        f"{found['blocks']} blocks, target rate 1/{1 / found['target_rate']:.0f}; {found['epochs']} epochs of "
        f"{found['training_digits']} digits of 8 x 8 pixels, {found['flips']} sets of coins for each of the others. "
        f"{on_machine(found)}."
    )


FIGURE = Figure(
    name="block_policy_digits",
    title="A block policy beside dense networks",
    takes="a few minutes",
    summary=summary,
    table=table,
    conditions=conditions,
)


def main(arguments: list[str] | None = None) -> None:
    """Train and test, and write every result."""
    line = parser(FIGURE, __doc__)
    line.add_argument("--seeds", type=count, default=5, help="splits and networks of each kind (default: 5)")
    options = line.parse_args(arguments)
    torch.set_num_threads(1)
    measured = {
        "hidden": HIDDEN,
        "blocks": BLOCKS,
        "target_rate": RATE,
        "recipes": [asdict(recipe) for recipe in RECIPES],
        "epochs": EPOCHS,
        "batch": BATCH,
        "learning_rate": LEARNING_RATE,
        "momentum": MOMENTUM,
        "weight_decay": WEIGHT_DECAY,
        "training_digits": TRAINED,
        "flips": FLIPS,
        "scikit-learn": version("scikit-learn"),
        **machine_conditions(),
    }
    write_figure(FIGURE, options.out, measured, map(asdict, measure(options.seeds)))


if __name__ == "__main__":
    main()
