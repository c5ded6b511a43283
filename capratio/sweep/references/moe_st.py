"""The answer of ST-MoE, expert by expert, and whether its router chose, asked, queued and gave slots as it must."""

from fractions import Fraction
from itertools import pairwise
from math import ceil, sqrt

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.moe_st import MoeStSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import SAFETY, projected


class MoeStReference(Reference):
    """Σ over experts e that gave a slot of p_e / (p_1 + p_2) FFN_e(x), or p_e FFN_e(x) of one; p = softmax(W_r x)."""

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output, its experts as decided; shares are computed from its logits."""
        assert isinstance(spec, MoeStSpec)
        row = x[token]
        probability = torch.softmax(parameters["router"] @ row, 0)
        chosen = decisions["chosen"][token].tolist()
        total = sum(probability[expert] for expert in chosen) if spec.top_k == 2 else 1.0
        # A token without a slot depends on nothing; so it still has gradients, zeros.
        out = row.new_zeros(spec.out_features) + 0 * probability.sum()
        for expert in decisions["expert"][token].tolist():
            if expert < 0:
                continue
            hidden = _geglu(parameters.row("weight_in", expert), row)
            if spec.multiplicative_bias:
                hidden = hidden * parameters.row("hidden_scale", expert)
            out = out + probability[expert] / total * (parameters.row("weight_out", expert) @ hidden)
        if spec.dense_beside:
            out = out + parameters["dense_out"] @ _geglu(parameters["dense_in"], row)
        return out

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """The first wrong expert, second choice, turn, capacity or slot, in this order.

        Whether the layer was in training is not known here: either of the two capacities is taken.
        """
        assert isinstance(spec, MoeStSpec)
        logits, rounding = projected(parameters["router"].detach(), x.detach(), eps)
        return (
            _wrong_expert(logits, rounding, decisions)
            or _wrong_second(spec, logits, rounding, decisions, eps)
            or _wrong_turn(spec, logits, rounding, decisions, eps)
            or _wrong_slot(spec, decisions)
        )


def _geglu(weight: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    hidden = len(weight) // 2
    gate, value = weight[:hidden] @ row, weight[hidden:] @ row
    return gate * (1 + torch.erf(gate / sqrt(2))) / 2 * value


def _wrong_expert(logits: torch.Tensor, rounding: torch.Tensor, decisions: Decisions) -> str | None:
    for token, chosen in enumerate(decisions["chosen"].tolist()):
        own, slack = logits[token].tolist(), rounding[token].tolist()
        left = set(range(len(own)))
        for choice, expert in enumerate(chosen, start=1):
            if expert not in left:
                return f"choice {choice} of token {token} is expert {expert}, which is no expert that is left to choose"
            best = max(left, key=own.__getitem__)
            if own[best] - own[expert] > slack[best] + slack[expert]:
                return (
                    f"choice {choice} of token {token} is expert {expert} with logit {own[expert]:.6g}, but expert "
                    f"{best} has {own[best]:.6g}"
                )
            left.remove(expert)
    return None


def _wrong_second(
    spec: MoeStSpec, logits: torch.Tensor, rounding: torch.Tensor, decisions: Decisions, eps: float
) -> str | None:
    """A first expert that is not asked, or a second one against its rule: g_2 > 0.2 u, g_2 > 0.2, or always."""
    for token, (chosen, asked) in enumerate(
        zip(decisions["chosen"].tolist(), decisions["asked"].tolist(), strict=True)
    ):
        if asked[0] != chosen[0]:
            return f"the first expert of token {token} is {chosen[0]}, but {asked[0]} is asked"
        if spec.top_k == 1:
            continue
        if asked[1] not in (chosen[1], -1):
            return f"the second expert of token {token} is {chosen[1]}, but {asked[1]} is asked"
        share = float(torch.softmax(logits[token, chosen], 0)[1])
        bounds = {"random": 0.2 * float(decisions["draw"][token]) if "draw" in decisions else 0.0, "threshold": 0.2}
        bound = bounds.get(spec.second, -1.0)
        # A share g is nowhere steeper in a logit than 1/4, and is rounded as is what it is held against.
        slack = float(rounding[token, chosen].sum()) / 4 + SAFETY * eps
        if (asked[1] >= 0) != (share > bound) and abs(share - bound) > slack:
            state = "is asked" if asked[1] >= 0 else "is not asked"
            return f"the second expert of token {token} {state}, but its share is {share:.6g} and the bound {bound:.6g}"
    return None


def _wrong_turn(
    spec: MoeStSpec, logits: torch.Tensor, rounding: torch.Tensor, decisions: Decisions, eps: float
) -> str | None:
    if "turn" not in decisions:
        scarce = bool((decisions["capacity"] < len(logits)).any())
        return "no token has a turn, though slots are scarce" if spec.prioritised and scarce else None
    turn = decisions["turn"].tolist()
    if not spec.prioritised or sorted(turn) != list(range(len(turn))):
        return "the turns are not those of prioritised tokens, each of which has one of its own"
    probability = torch.softmax(logits, 1).amax(1).tolist()
    slack = (rounding.amax(1) * 2 + SAFETY * eps).tolist()
    queue = sorted(range(len(turn)), key=turn.__getitem__)
    for before, after in pairwise(queue):
        if probability[after] - probability[before] > slack[after] + slack[before]:
            return (
                f"token {after} with probability {probability[after]:.6g} comes after token {before} with "
                f"{probability[before]:.6g}"
            )
    return None


def _wrong_slot(spec: MoeStSpec, decisions: Decisions) -> str | None:
    """Choices take slots one after the other: all first ones, then all second ones, in the order of turns."""
    asked, expert = decisions["asked"].tolist(), decisions["expert"].tolist()
    if not asked:
        return None
    capacity = int(decisions["capacity"][0])
    factors = spec.capacity_train, spec.capacity_eval
    known = {ceil(Fraction(str(factor)) * len(asked) / spec.experts) for factor in factors}
    if capacity not in known:
        return f"an expert had {capacity} slots for {len(asked)} tokens, but neither factor gives that"
    turn = decisions["turn"].tolist() if "turn" in decisions else list(range(len(asked)))
    queue = sorted(range(len(asked)), key=turn.__getitem__)
    taken = [0] * spec.experts
    for choice in range(spec.top_k):
        for token in queue:
            wanted = asked[token][choice]
            slot = wanted >= 0 and taken[wanted] < capacity
            if expert[token][choice] != (wanted if slot else -1):
                return (
                    f"choice {choice + 1} of token {token} asked expert {wanted}, which had given {taken[wanted]} of "
                    f"{capacity} slots, and went to {expert[token][choice]}"
                )
            taken[wanted] += slot
    return None
