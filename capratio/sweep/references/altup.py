"""The answer of the alternating updates: what the scalars predict, corrected by what the network gives."""

import torch

from capratio.cost.systems.altup import RECYCLED, SAME, SEQUENCE, AltUpSpec
from capratio.cost.systems.contract import SystemSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference


class AltUpReference(Reference):
    """x'_i = x̂_i + g_i (network(x_j*) − x̂_j*) block by block, or y_i = ŷ_i + b (network(x_a) − ŷ_a) in a sequence."""

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output; in a sequence it reads its anchor too."""
        assert isinstance(spec, AltUpSpec)
        if spec.form == SEQUENCE:
            return _in_sequence(parameters, x[token], x[token - token % spec.stride])
        if spec.form == RECYCLED:
            blocks = _updated(spec, parameters, [x[token]] * spec.blocks, "updates.updates.")
            return torch.stack(blocks).sum(0)
        return torch.cat(_updated(spec, parameters, list(x[token].view(-1, spec.width)), "updates."))

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A token that is computed and is no anchor, or the other way round; all are where there is no sequence."""
        assert isinstance(spec, AltUpSpec)
        stride = spec.stride if spec.form == SEQUENCE else 1
        for token, computed in enumerate(decisions["computed"].tolist()):
            if computed != (token % stride == 0):
                return f"token {token} is {'computed' if computed else 'not computed'} with a stride of {stride}"
        return None


def _updated(spec: AltUpSpec, parameters: Parameters, blocks: list[torch.Tensor], where: str) -> list[torch.Tensor]:
    shares, gains = parameters[where + "prediction"], parameters[where + "correction"]
    numbers = range(spec.blocks)
    predicted = [sum((shares[i, j] * blocks[j] for j in numbers), torch.zeros(())) for i in numbers]
    computed = spec.place % spec.blocks if spec.form != SAME else 0
    given = _network(parameters, blocks[computed], where + "wrapped.")
    return [predicted[i] + gains[i] * (given - predicted[computed]) for i in numbers]


def _in_sequence(parameters: Parameters, x: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
    own, of_anchor = parameters["updates.prediction"][0], parameters["updates.prediction"][1]
    given = _network(parameters, anchor, "updates.wrapped.")
    return own * x + of_anchor * anchor + parameters["updates.correction"] * (given - (own + of_anchor) * anchor)


def _network(parameters: Parameters, x: torch.Tensor, where: str) -> torch.Tensor:
    units = parameters[where + "weight_in"] @ x + parameters[where + "bias_in"]
    return parameters[where + "weight_out"] @ units.clamp(min=0) + parameters[where + "bias_out"]
