"""tree_descent: from the root of a tree of hyperplanes down to a leaf, each node choosing the next."""

from capratio.kernels.tree_descent.operation import neuron_path, tree_descent

__all__ = ["neuron_path", "tree_descent"]
