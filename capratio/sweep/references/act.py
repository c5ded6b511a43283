"""The answer of adaptive computation time, step by step, and whether a token halted where its sum says."""

from collections.abc import Iterator

import torch

from capratio.cost.systems.act import ActSpec
from capratio.cost.systems.contract import SystemSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error, summed_eps

# Tokens, and for each of them a sum and its slack.
Sums = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class ActReference(Reference):
    """y = V Σ_n π_n s_n + c over as many steps as the layer took."""

    rounds_hidden = True

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output: its last step has what the halting probabilities before it leave of 1."""
        state = torch.zeros_like(parameters["bias_state"])
        mean, left = torch.zeros_like(state), torch.ones((), dtype=torch.float64)
        last = int(decisions["steps"][token])
        for step in range(1, last + 1):
            state = parameters.rounded(_next_state(parameters, state, x[token]))
            share = left if step == last else _halting(parameters, state)
            mean = mean + share * state
            left = left - share
        return parameters["weight_out"] @ mean + parameters["bias_out"]

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A token that halts before its sum reaches 1 - ε, or goes on after that, by more than rounding.

        eps is of the layer's dtype, to which a state is rounded.
        """
        assert isinstance(spec, ActSpec)
        taken = decisions["steps"]
        outside = ((taken < 1) | (taken > spec.max_steps)).nonzero().flatten().tolist()
        if outside:
            return f"token {outside[0]} takes {int(taken[outside[0]])} steps of 1 to {spec.max_steps}"
        threshold = 1 - spec.epsilon
        for step, (tokens, total, slack) in enumerate(_sums(parameters, x, taken, eps), start=1):
            halts, distance = taken[tokens] == step, total - threshold
            wrong = (halts != (distance >= 0)) & (distance.abs() > slack)
            # At the last step a token halts whatever its sum.
            wrong &= ~halts | (step < spec.max_steps)
            for place in wrong.nonzero().flatten().tolist():
                does = "halts" if halts[place] else "goes on"
                return (
                    f"token {int(tokens[place])} {does} at step {step}, where its sum is {float(total[place]):.6f} and "
                    f"the threshold {threshold}"
                )
        return None


def _next_state(parameters: Parameters, state: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    driven = x @ parameters["weight_in"].t() + parameters["bias_state"]
    return torch.tanh(state @ parameters["weight_state"].t() + driven)


def _halting(parameters: Parameters, state: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(state @ parameters["halting_weight"][0] + parameters["halting_bias"][0])


def _sums(parameters: Parameters, x: torch.Tensor, taken: torch.Tensor, eps: float) -> Iterator[Sums]:
    """Of each step the tokens that take it, the sums of their halting probabilities, and how far these may be off."""
    tokens = torch.arange(len(x), device=x.device)
    state = x.new_zeros(len(x), len(parameters["bias_state"]))
    error, total, slack = torch.zeros_like(state), state.new_zeros(len(x)), state.new_zeros(len(x))
    # tanh is nowhere steeper than 1, and a sigmoid than 1/4; both are rounded themselves. Halting is in float32.
    driven = linear_error(parameters["weight_in"], parameters["bias_state"], x, torch.zeros_like(x), eps)
    no_bias = torch.zeros_like(parameters["bias_state"])
    for step in range(1, int(taken.max()) + 1 if len(taken) else 1):
        on = taken[tokens] >= step
        tokens, x, state, error, driven, total, slack = (
            rows[on] for rows in (tokens, x, state, error, driven, total, slack)
        )
        of_state = linear_error(parameters["weight_state"], no_bias, state, error, eps)
        state, error = _next_state(parameters, state, x), (of_state.square() + driven.square()).sqrt() + eps
        unit = parameters["halting_weight"], parameters["halting_bias"]
        of_score = linear_error(*unit, state, error, summed_eps(eps)).squeeze(1)
        total, slack = total + _halting(parameters, state), slack + of_score / 4 + summed_eps(eps)
        yield tokens, total, slack
