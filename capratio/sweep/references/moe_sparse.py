"""The answer of a sparsely-gated mixture in float64: one token through its experts, one by one."""

from collections.abc import Iterator

import torch
from torch.nn.functional import softplus

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.moe_sparse import MoeSparseSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference

# A sum of n products is off by some sqrt(n) roundings of its largest partial sum, which the product of norms bounds.
SAFETY = 8.0


class MoeSparseReference(Reference):
    """y = Σ_i G(x)_i W_out,i relu(W_in,i x) over the experts that the layer chose.

    Source: Shazeer et al. 2017, arXiv 1701.06538, section 2, appendices B and F.
    """

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output. Args: as the contract."""
        assert isinstance(spec, MoeSparseSpec)
        row = x[token]
        # A token without experts is a function of x too, the constant zero.
        out = row.new_zeros(spec.out_features) + 0 * row.sum()
        for expert, share in _shares(spec, parameters, row, token, decisions):
            hidden = torch.relu(parameters.row("weight_in", expert) @ row)
            out = out + share * (parameters.row("weight_out", expert) @ hidden)
        return out

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A token or an expert that the scores do not choose. Args: as the contract."""
        assert isinstance(spec, MoeSparseSpec)
        if spec.gating == "balanced":
            return _wrong_balance(spec, parameters, x, decisions, eps)
        if spec.gating == "hierarchical":
            return _wrong_hierarchy(spec, parameters, x, decisions, eps)
        matrices = parameters["gate.weight"], parameters["gate.noise_weight"]
        scores, doubt = _noisy_scores(*matrices, x, decisions.get("noise"), eps)
        return _not_highest(scores, doubt, decisions["expert"], spec.top_k, "expert")


def _shares(
    spec: MoeSparseSpec, parameters: Parameters, row: torch.Tensor, token: int, decisions: Decisions
) -> Iterator[tuple[int, torch.Tensor]]:
    """The experts of a token, each with its G(x)_i."""
    experts = [int(expert) for expert in decisions["expert"][token] if expert >= 0]
    if spec.gating == "balanced":
        scores = torch.softmax(parameters["gate.weight"] @ row, 0)
        total = sum(scores[expert] for expert in experts)
        yield from ((expert, scores[expert] / total) for expert in experts)
        return
    noise = decisions["noise"][token].double() if "noise" in decisions else None
    if spec.gating == "noisy":
        entries = [_noisy(parameters, "gate.", (expert,), row, _entry(noise, expert)) for expert in experts]
        yield from zip(experts, torch.softmax(torch.stack(entries), 0), strict=True)
        return
    groups = decisions["group"][token].tolist()
    group_noise = decisions["group_noise"][token].double() if "group_noise" in decisions else None
    entries = [_noisy(parameters, "gate.first.", (group,), row, _entry(group_noise, group)) for group in groups]
    for place, (group, of_group) in enumerate(zip(groups, torch.softmax(torch.stack(entries), 0), strict=True)):
        members = spec.experts // spec.groups
        own = experts[place * spec.top_k : (place + 1) * spec.top_k]
        within = [expert - group * members for expert in own]
        entries = [_noisy(parameters, "gate.", (group, member), row, _entry(noise, place, member)) for member in within]
        shares = torch.softmax(torch.stack(entries), 0)
        yield from ((expert, of_group * share) for expert, share in zip(own, shares, strict=True))


def _entry(noise: torch.Tensor | None, *place: int) -> torch.Tensor | None:
    return None if noise is None else noise[place]


def _noisy(
    parameters: Parameters, gate: str, place: tuple[int, ...], row: torch.Tensor, noise: torch.Tensor | None
) -> torch.Tensor:
    """H_i = (x W_g)_i + noise · softplus((x W_noise)_i), or without noise the first term."""
    logit = parameters.row(f"{gate}weight", *place) @ row
    return logit if noise is None else logit + noise * softplus(parameters.row(f"{gate}noise_weight", *place) @ row)


def _noisy_scores(
    weight: torch.Tensor, noise_weight: torch.Tensor, x: torch.Tensor, noise: torch.Tensor | None, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """H of (n, p) rows and by how much rounding may change it, (n, E) each.

    Args: weight, noise_weight: (E, p). noise: (n, E), None in evaluation.
    """
    scores, doubt = x @ weight.T, _doubt(x, weight, eps)
    if noise is None:
        return scores, doubt
    drawn, scale = noise.double(), softplus(x @ noise_weight.T)
    return scores + drawn * scale, doubt + drawn.abs() * (_doubt(x, noise_weight, eps) + SAFETY * eps * scale)


def _doubt(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    bound: torch.Tensor = SAFETY * eps * x.norm(dim=1, keepdim=True) * weight.norm(dim=1)
    return bound


def _not_highest(
    scores: torch.Tensor,
    doubt: torch.Tensor,
    chosen: torch.Tensor,
    kept: int,
    what: str,
    names: torch.Tensor | None = None,
) -> str | None:
    """The first row whose chosen entries are not distinct, not in range, or lower than another one beyond doubt.

    Args: scores, doubt: (n, E). chosen: (n, k). kept: k. what, names: of what the entries are, and the rows' tokens.
    """
    rows, entries = scores.shape
    tokens = torch.arange(rows) if names is None else names
    if chosen.shape != (rows, kept):
        return f"{tuple(chosen.shape)} {what}s were chosen for {rows} tokens that keep {kept}"
    if not rows:
        return None
    chosen = chosen.to(scores.device)
    outside = (chosen < 0) | (chosen >= entries)
    if bool(outside.any()):
        row, place = outside.nonzero()[0].tolist()
        return f"token {tokens[row]} goes to {what} {int(chosen[row, place])}, of {entries}"
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter(1, chosen, True)
    repeated = mask.sum(1) < kept
    if bool(repeated.any()):
        return f"token {tokens[int(repeated.nonzero()[0])]} goes to one {what} twice"
    best_left = (scores - doubt).masked_fill(mask, -torch.inf).amax(1, keepdim=True)
    low = mask & (scores + doubt < best_left)
    if bool(low.any()):
        row, entry = low.nonzero()[0].tolist()
        return f"token {tokens[row]} goes to {what} {entry}, whose score is not among the {kept} highest"
    return None


def _wrong_hierarchy(
    spec: MoeSparseSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
) -> str | None:
    kept, members, group, top_k = spec.kept_groups, spec.experts // spec.groups, decisions["group"], spec.top_k
    matrices = parameters["gate.first.weight"], parameters["gate.first.noise_weight"]
    scores, doubt = _noisy_scores(*matrices, x, decisions.get("group_noise"), eps)
    wrong = _not_highest(scores, doubt, group, kept, "group")
    if wrong is not None or not len(x):
        return wrong
    within = decisions["expert"].view(-1, kept, top_k) - group.unsqueeze(2) * members
    for number in range(spec.groups):
        tokens, places = (group == number).nonzero(as_tuple=True)
        matrices = parameters.row("gate.weight", number), parameters.row("gate.noise_weight", number)
        noise = decisions["noise"][tokens, places] if "noise" in decisions else None
        scores, doubt = _noisy_scores(*matrices, x[tokens], noise, eps)
        wrong = _not_highest(scores, doubt, within[tokens, places], top_k, f"expert of group {number}", tokens)
        if wrong is not None:
            return wrong
    return None


def _wrong_balance(
    spec: MoeSparseSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
) -> str | None:
    """Of a training batch each expert's m tokens are its best, of evaluation those above its threshold."""
    weight = parameters["gate.weight"]
    scores = torch.softmax(x @ weight.T, 1)
    mask = torch.zeros_like(scores, dtype=torch.bool)
    for token, own in enumerate(decisions["expert"].tolist()):
        kept = [number for number in own if number != -1]
        if len(set(kept)) < len(kept) or not all(0 <= number < spec.experts for number in kept):
            return f"token {token} goes to experts {kept}, which are not distinct ones of {spec.experts}"
        mask[token, kept] = True
    if not len(x):
        return None
    doubt = scores * (2 * _doubt(x, weight, eps).amax(1, keepdim=True) + SAFETY * eps)
    if "batchwise" in decisions:
        return _not_best_of_batch(scores, doubt, mask, -(-spec.top_k * len(x) // spec.experts))
    above = scores - parameters["gate.threshold"]
    wrong = torch.where(mask, above < -doubt, above > doubt)
    return _misplaced(wrong, mask, "those above its threshold")


def _not_best_of_batch(scores: torch.Tensor, doubt: torch.Tensor, mask: torch.Tensor, wanted: int) -> str | None:
    """An expert, a column, that does not keep as many tokens as wanted, or lower ones than others beyond doubt."""
    for number, count in enumerate(mask.sum(0).tolist()):
        if count != wanted:
            return f"expert {number} keeps {count} tokens of {len(mask)}; it must keep {wanted}"
    best_left = (scores - doubt).masked_fill(mask, -torch.inf).amax(0)
    return _misplaced(mask & (scores + doubt < best_left), mask, f"the {wanted} best of the batch")


def _misplaced(wrong: torch.Tensor, mask: torch.Tensor, wanted: str) -> str | None:
    if not bool(wrong.any()):
        return None
    token, number = wrong.nonzero()[0].tolist()
    verb = "goes" if bool(mask[token, number]) else "does not go"
    return f"token {token} {verb} to expert {number}, and its score says otherwise: an expert keeps {wanted}"
