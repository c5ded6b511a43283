"""expert_feedforward: every token through the feedforward networks of its experts, and their shares added up."""

from capratio.kernels.expert_feedforward.operation import expert_feedforward

__all__ = ["expert_feedforward"]
