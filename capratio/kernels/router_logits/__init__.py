"""router_logits: a router's score of each expert, or of each expert of a chosen group, for each token."""

from capratio.kernels.router_logits.operation import (
    group_router_logits,
    group_router_logits_weight_gradient,
    router_logits,
)

__all__ = ["group_router_logits", "group_router_logits_weight_gradient", "router_logits"]
