"""tree_route: from the values of gating bits to leaves, and tokens sorted by leaf."""

from capratio.kernels.tree_route.operation import Route, tree_route

__all__ = ["Route", "tree_route"]
