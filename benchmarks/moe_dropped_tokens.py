"""How many tokens of real text an ST-MoE layer drops over its capacity factor, fresh and after balance training.

The paper: dropping 10 to 15 % of tokens does no harm in fine-tuning. A token is dropped where no expert has a slot for
it. Beside it stand the choices without a slot among those that asked for one, and the share that was lost with them: a
token's share of a dropped choice, in the mean over tokens. The order of tokens changes whom an expert drops, not how
many choices it drops, so batch-prioritised routing shows in the share.

A router is trained on the balance loss and on nothing else: where no task asks for logits, the z-loss shrinks them
until their order is noise. One that learns a task beside it will be less even. Rows are windows of 256 bytes of the
standard library's source; training and measuring draw other ones. Figures depend on the text, which is recorded by its
hash, and on nothing of the machine's speed.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import mean

import torch

from capratio.display import text_table
from capratio.inputs.table import corpus_hash, make_input
from capratio.kernels.router_logits import router_logits
from capratio.layers.moe_st import StableMixture
from capratio.layers.router_losses import balance_loss
from capratio.records.whole_file import write_whole
from capratio.units import significant

FACTORS = (0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
ROUTERS = ("fresh", "trained")
FEATURES, EXPERTS, TOKENS = 256, 16, 4096
# The experts' outputs are not looked at.
HIDDEN = 4
STEPS, STEP_TOKENS, LEARNING_RATE = 200, 1024, 1e-3
HARMLESS = "the paper: 10 to 15 % of tokens dropped do no harm in fine-tuning."


@dataclass(frozen=True, slots=True)
class Dropped:
    """What one layer dropped of one batch.

    tokens, choices: shares, from 0 to 1, of all tokens and of the choices that asked for a slot. share: the mean over
    tokens of the shares of their dropped choices.
    """

    router: str
    top_k: int
    seed: int
    factor: float
    prioritised: bool
    tokens: float
    choices: float
    share: float


def router_of(kind: str, top_k: int, seed: int) -> torch.Tensor:
    """The router of a layer as it is drawn, or after ``STEPS`` steps of Adam on its balance loss: (E, p)."""
    torch.manual_seed(seed)
    router = StableMixture(FEATURES, FEATURES, experts=EXPERTS, top_k=top_k, hidden=HIDDEN).router
    optimizer = torch.optim.Adam([router], lr=LEARNING_RATE)
    for step in range(STEPS if kind == "trained" else 0):
        logits = router_logits(make_input("text", STEP_TOKENS, FEATURES, seed * STEPS + step).float(), router)
        optimizer.zero_grad()
        balance_loss(logits, logits.argmax(1)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return router.detach()


def dropped(kind: str, router: torch.Tensor, top_k: int, seed: int, factor: float, prioritised: bool) -> Dropped:
    """What a layer with this router drops of a batch that no router was trained on."""
    layer = StableMixture(
        FEATURES,
        FEATURES,
        experts=EXPERTS,
        top_k=top_k,
        hidden=HIDDEN,
        capacity_eval=factor,
        prioritised=prioritised,
    ).eval()
    # Training draws its text with seeds from 0 on.
    x = make_input("text", TOKENS, FEATURES, -1 - seed).float()
    with torch.no_grad():
        layer.router.copy_(router)
        outcome = layer.outcome(x, generator=torch.Generator().manual_seed(seed))
        asked, expert = outcome.decisions["asked"], outcome.decisions["expert"]
        shares = outcome.kept["logits"].softmax(1).gather(1, outcome.decisions["chosen"])
        if top_k == 2:
            shares = shares / shares.sum(1, keepdim=True)
    lost = (asked >= 0) & (expert < 0)
    return Dropped(
        kind,
        top_k,
        seed,
        factor,
        prioritised,
        tokens=float((expert < 0).all(1).double().mean()),
        choices=int(lost.sum()) / int((asked >= 0).sum()),
        share=float((shares * lost).sum(1).mean()),
    )


def measure(seeds: int) -> list[Dropped]:
    """Every router, number of choices, seed, factor and order."""
    rows = []
    for kind, top_k, seed in product(ROUTERS, (1, 2), range(seeds)):
        router = router_of(kind, top_k, seed)
        for factor, prioritised in product(FACTORS, (False, True)):
            rows.append(dropped(kind, router, top_k, seed, factor, prioritised))
    return rows


def table(rows: list[Dropped]) -> str:
    """The rows' means over seeds, and of the dropped tokens the smallest and the largest too."""
    lines = []
    for kind, top_k, prioritised, factor in product(ROUTERS, (1, 2), (False, True), FACTORS):
        key = kind, top_k, prioritised, factor
        found = [row for row in rows if (row.router, row.top_k, row.prioritised, row.factor) == key]
        tokens = [row.tokens for row in found]
        lines.append(
            (
                kind,
                top_k,
                "by priority" if prioritised else "in order",
                factor,
                _percent(mean(tokens)),
                f"{_percent(min(tokens))} to {_percent(max(tokens))}",
                _percent(mean(row.choices for row in found)),
                _percent(mean(row.share for row in found)),
            )
        )
    headers = ["router", "top k", "slots", "factor", "tokens %", "over seeds", "choices %", "share %"]
    return text_table(headers, lines, left=["router", "slots", "over seeds"])


def _percent(share: float) -> str:
    return significant(100 * share)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the means, and write every row to a file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.moe_dropped_tokens", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file that is written")
    parser.add_argument("--seeds", type=int, default=5, help="routers of each kind (default: 5)")
    options = parser.parse_args(arguments)
    # Sums in one order, so that the same choices are made on every machine.
    torch.set_num_threads(1)
    rows = measure(options.seeds)
    conditions = {
        "paper": HARMLESS,
        "features": FEATURES,
        "experts": EXPERTS,
        "tokens": TOKENS,
        "training_steps": STEPS,
        "training_tokens_per_step": STEP_TOKENS,
        "learning_rate": LEARNING_RATE,
        "second": "random",
        "text_sha256": corpus_hash("text"),
        "torch": version("torch"),
    }
    content = {"conditions": conditions, "rows": [asdict(row) for row in rows]}
    write_whole(options.out, (json.dumps(content, indent=1) + "\n").encode())
    print(table(rows))
    print(HARMLESS)


if __name__ == "__main__":
    main()
