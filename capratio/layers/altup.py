"""A feedforward network under alternating updates, as the layer that is measured."""

import torch

from capratio.cost.systems.altup import ALTERNATING, RECYCLED, SAME, SEQUENCE, AltUpSpec
from capratio.cost.systems.contract import Visits
from capratio.kernels.backends import AUTO
from capratio.layers.alternating_updates import AltUp, RecycledAltUp, SequenceAltUp
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.dense_feedforward import DenseFeedforward
from capratio.layers.input_check import as_autocast


class AltUpFeedforward(ConditionalLayer):
    """A network d -> h -> d that serves wide tokens, copies of narrow ones, or a sequence, as its ``form`` says.

    ``updates``: an ``AltUp``, ``RecycledAltUp`` or ``SequenceAltUp`` around a ``DenseFeedforward``; wrap another layer
    in one of these for a network of your own. In the sequence form all N tokens of a call are one sequence, whatever
    their leading dimensions.

    Decisions: ``computed``, bool (N,), tokens that the network computes with. Compiles and exports in one graph.

    Args: hidden h: units. form: ``alternating``, ``same``, ``recycled`` or ``sequence``. blocks K: of all forms but the
    sequence. place: number of this layer in its network, from 0, by which the block that is computed alternates.
    stride s: of the sequence. backend: nothing here has more than one.

    Raises InputError for sizes under 1, out_features other than in_features, in_features that are no multiple of the
    blocks, another form, an option that the form does not have, a negative place, or an unknown backend.

    Source: Baykal et al. 2023, arXiv 2301.13310; the sequence form is our reading.
    """

    spec: AltUpSpec

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: int = 1024,
        form: str = ALTERNATING,
        blocks: int = 2,
        place: int = 0,
        stride: int = 2,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = AltUpSpec(in_features, out_features, hidden, form, blocks, place, stride)
        super().__init__(spec, backend)
        network = DenseFeedforward(spec.width, hidden, device=device, dtype=dtype)
        self.updates = _updates(network, spec, device, dtype)

    def reset_parameters(self) -> None:
        """Draw the network, and let the updates begin as the network's own output."""
        for module in self.updates.modules():
            if isinstance(module, AltUp | SequenceAltUp | DenseFeedforward):
                module.reset_parameters()

    def visits(self, decisions: Decisions) -> Visits:
        """The tokens that the network computes with."""
        computed = decisions["computed"]
        return Visits(len(computed), {"computed": int(computed.sum())})

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        computed = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        computed[:: self.spec.stride if self.spec.form == SEQUENCE else 1] = True
        return Outcome(as_autocast(self.updates(x)), {"computed": computed})


def _updates(
    network: DenseFeedforward, spec: AltUpSpec, device: torch.device | str | None, dtype: torch.dtype | None
) -> AltUp | RecycledAltUp | SequenceAltUp:
    if spec.form == SEQUENCE:
        return SequenceAltUp(network, stride=spec.stride, device=device, dtype=dtype)
    choice = SAME if spec.form == SAME else ALTERNATING
    blocks = AltUp(network, spec.width, blocks=spec.blocks, choice=choice, place=spec.place, device=device, dtype=dtype)
    return RecycledAltUp(blocks, spec.blocks) if spec.form == RECYCLED else blocks
