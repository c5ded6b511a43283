"""leaf_feedforward: a whole fast feedforward layer with leaf networks, as one call for the peers that offer no less."""

from capratio.kernels.leaf_feedforward.operation import leaf_feedforward

__all__ = ["leaf_feedforward"]
