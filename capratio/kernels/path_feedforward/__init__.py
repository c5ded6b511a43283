"""path_feedforward: a whole fast feedforward layer of neurons, as one call for the peer that is published so."""

from capratio.kernels.path_feedforward.operation import path_feedforward

__all__ = ["path_feedforward"]
