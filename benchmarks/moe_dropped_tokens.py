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

from dataclasses import asdict, dataclass
from itertools import product

import torch

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
from capratio.inputs.table import corpus_hash, make_input
from capratio.kernels.router_logits import router_logits
from capratio.layers.moe_st import StableMixture
from capratio.layers.router_losses import balance_loss

FACTORS = (0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
ROUTERS = ("fresh", "trained")
FEATURES, EXPERTS, TOKENS = 256, 16, 4096
# The experts' outputs are not looked at.
HIDDEN = 4
STEPS, STEP_TOKENS, LEARNING_RATE = 200, 1024, 1e-3
# Percent of tokens dropped by training capacity factor: Zoph et al. 2022, arXiv 2202.08906, table 5, which has 4.0 too.
PAPER = {"trained": {0.75: 10.6, 1.25: 0.3, 2.0: 0.0}, "fresh": {0.75: 15.6, 1.25: 2.9, 2.0: 0.4}}


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
        tokens=layer.dropped_tokens(outcome.decisions) / TOKENS,
        choices=int(lost.sum()) / int((asked >= 0).sum()),
        share=float((shares * lost).sum(1).mean()),
    )


def measure(seeds: int) -> list[Dropped]:
    """Every router, number of choices, seed, factor and order."""
    rows, routers = [], list(product(ROUTERS, (1, 2), range(seeds)))
    progress = Progress(len(routers))
    for kind, top_k, seed in routers:
        router = router_of(kind, top_k, seed)
        for factor, prioritised in product(FACTORS, (False, True)):
            rows.append(dropped(kind, router, top_k, seed, factor, prioritised))
        progress.step(f"{kind} router, top-{top_k}, seed {seed}")
    return rows


def table(content: Content) -> str:
    """The medians over seeds of every layer, with the smallest and the largest."""
    lines = []
    for kind, top_k, prioritised, factor in product(ROUTERS, (1, 2), (False, True), FACTORS):
        found = _of(content, kind, top_k, prioritised, factor)
        shares = [spread([row[name] for row in found], percent) for name in ("tokens", "choices", "share")]
        lines.append([kind, str(top_k), "by priority" if prioritised else "in order", str(factor), *shares])
    return markdown_table(["router", "top k", "slots", "factor", "tokens %", "choices %", "share %"], lines)


def summary(content: Content) -> str:
    """Top-2 with slots by priority, beside what the paper finds at the factors that it trains with."""
    lines = []
    for kind, factor in product(ROUTERS, FACTORS):
        found, published = _of(content, kind, 2, True, factor), PAPER[kind].get(factor)
        dropped_shares = [spread([row[name] for row in found], percent) for name in ("tokens", "choices")]
        lines.append([kind, str(factor), "" if published is None else str(published), *dropped_shares])
    headings = ["router", "capacity factor", "published: tokens %", "ours: tokens %", "ours: choices %"]
    return markdown_table(headings, lines)


def _of(content: Content, *key: object) -> list[Row]:
    names = ("router", "top_k", "prioritised", "factor")
    return [row for row in content["rows"] if tuple(row[name] for name in names) == key]


def conditions(content: Content) -> str:
    """What was routed, and by what."""
    found = content["conditions"]
    seeds = len({row["seed"] for row in content["rows"]})
    return (
        f"{median_over(f'{seeds} routers of each kind')}; {found['experts']} experts, one batch of "
        f"{found['tokens']} windows of text, {found['features']} bytes each; a trained router took "
        f"{found['training_steps']} steps of {found['training_tokens_per_step']} windows. {on_machine(found)}."
    )


FIGURE = Figure(
    name="moe_dropped_tokens",
    title="Dropped tokens over the capacity factor",
    takes="about a minute",
    summary=summary,
    table=table,
    conditions=conditions,
)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write every row."""
    line = parser(FIGURE, __doc__)
    line.add_argument("--seeds", type=count, default=5, help="routers of each kind (default: 5)")
    options = line.parse_args(arguments)
    # Sums in one order, so that the same choices are made on every machine.
    torch.set_num_threads(1)
    measured = {
        "features": FEATURES,
        "experts": EXPERTS,
        "tokens": TOKENS,
        "training_steps": STEPS,
        "training_tokens_per_step": STEP_TOKENS,
        "learning_rate": LEARNING_RATE,
        "second": "random",
        "text_sha256": corpus_hash("text"),
        **machine_conditions(),
    }
    write_figure(FIGURE, options.out, measured, map(asdict, measure(options.seeds)))


if __name__ == "__main__":
    main()
