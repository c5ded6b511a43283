"""Executed FLOP against plain loops that do every multiply and add of a batch and count them.

The loops know nothing of the formulas: they walk random bits, add scalars, and count; their results are compared with
one another too, so that a loop that left work out would be seen.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import LayerSpec, VisitedNodes, executed_flop
from capratio.cost.spec import ORDERS

Matrix = list[list[int]]


@dataclass
class Counter:
    """Counts multiply-adds of products and lone adds of everything else."""

    multiply_adds: int = 0
    adds: int = 0

    def product(self, matrix: Matrix, vector: Sequence[int]) -> list[int]:
        self.multiply_adds += len(matrix) * len(vector)
        return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in matrix]

    def add(self, left: Sequence[int], right: Sequence[int]) -> list[int]:
        self.adds += len(left)
        return [a + b for a, b in zip(left, right, strict=True)]

    def add_matrices(self, left: Matrix, right: Matrix) -> Matrix:
        return [self.add(a, b) for a, b in zip(left, right, strict=True)]


@dataclass
class Tree:
    """A tree of small integer matrices by prefix, and a batch that walks it."""

    p: int
    q: int
    depth: int
    tokens: int
    seed: int
    nodes: dict[str, Matrix] = field(default_factory=dict)
    batch: list[tuple[list[int], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)
        for level in range(self.depth + 1):
            for number in range(2**level):
                prefix = format(number, f"0{level}b") if level else ""
                self.nodes[prefix] = [[draw.randint(-9, 9) for _ in range(self.p)] for _ in range(self.q)]
        for _ in range(self.tokens):
            bits = "".join(draw.choice("01") for _ in range(self.depth))
            self.batch.append(([draw.randint(-9, 9) for _ in range(self.p)], bits))

    @property
    def visited(self) -> VisitedNodes:
        return VisitedNodes(
            self.tokens, tuple(len({bits[:level] for _, bits in self.batch}) for level in range(self.depth + 1))
        )


def apply_nodes(tree: Tree, count: Counter) -> list[list[int]]:
    outputs = []
    for x, bits in tree.batch:
        y = count.product(tree.nodes[""], x)
        for level in range(1, tree.depth + 1):
            y = count.add(y, count.product(tree.nodes[bits[:level]], x))
        outputs.append(y)
    return outputs


def form_leaves(tree: Tree, count: Counter) -> list[list[int]]:
    formed: dict[str, Matrix] = {}
    for bits in sorted({bits for _, bits in tree.batch}):
        matrix = tree.nodes[""]
        for level in range(1, tree.depth + 1):
            matrix = count.add_matrices(matrix, tree.nodes[bits[:level]])
        formed[bits] = matrix
    return [count.product(formed[bits], x) for x, bits in tree.batch]


def form_prefixes(tree: Tree, count: Counter) -> list[list[int]]:
    formed = {"": tree.nodes[""]}
    for _, bits in tree.batch:
        for level in range(1, tree.depth + 1):
            if bits[:level] not in formed:
                formed[bits[:level]] = count.add_matrices(formed[bits[: level - 1]], tree.nodes[bits[:level]])
    return [count.product(formed[bits], x) for x, bits in tree.batch]


SIMULATIONS = {"nodes": apply_nodes, "leaves": form_leaves, "prefixes": form_prefixes}

trees = st.builds(
    Tree,
    p=st.integers(1, 4),
    q=st.integers(1, 4),
    depth=st.integers(1, 4),
    tokens=st.integers(0, 9),
    seed=st.integers(0, 2**32),
)


@pytest.mark.parametrize("order", ORDERS)
@given(tree=trees)
def test_forward_flop_of_the_shared_path_is_what_plain_loops_count(order: str, tree: Tree) -> None:
    count = Counter()
    spec = LayerSpec("tree-shared", tree.p, tree.q, tree.depth, bias=False)

    outputs = SIMULATIONS[order](tree, count)
    flop = executed_flop(spec, tree.visited, "forward", order)

    assert 2 * count.multiply_adds + count.adds == flop.total
    assert apply_nodes(tree, Counter()) == outputs


@given(tree=trees)
def test_a_count_of_one_node_too_few_is_seen(tree: Tree) -> None:
    count = Counter()
    form_prefixes(tree, count)
    levels = tree.visited.levels

    if levels[-1] > levels[-2]:
        fewer = VisitedNodes(tree.tokens, (*levels[:-1], levels[-1] - 1))
        spec = LayerSpec("tree-shared", tree.p, tree.q, tree.depth, bias=False)

        assert 2 * count.multiply_adds + count.adds != executed_flop(spec, fewer, "forward", "prefixes").total


@given(tree=trees)
def test_forward_flop_of_the_unit_path_is_what_plain_loops_count(tree: Tree) -> None:
    # Every unit walks its own tree: token and unit make the pattern, so each (token, unit) draws bits of its own.
    count, draw = Counter(), random.Random(tree.seed)
    pairs: list[set[tuple[int, str]]] = [set() for _ in range(tree.depth + 1)]
    for x, _ in tree.batch:
        y = [0] * tree.q
        for unit in range(tree.p):
            bits = "".join(draw.choice("01") for _ in range(tree.depth))
            vector = [row[unit] for row in tree.nodes[""]]
            pairs[0].add((unit, ""))
            for level in range(1, tree.depth + 1):
                pairs[level].add((unit, bits[:level]))
                vector = count.add(vector, [row[unit] for row in tree.nodes[bits[:level]]])
            count.multiply_adds += tree.q
            y = [have + x[unit] * w for have, w in zip(y, vector, strict=True)]
    spec = LayerSpec("tree-unit", tree.p, tree.q, tree.depth, bias=False)
    visited = VisitedNodes(tree.tokens, tuple(len(level) for level in pairs))

    flop = executed_flop(spec, visited, "forward")

    assert (2 * count.multiply_adds, count.adds) == (flop.product, flop.overhead)


def zeros(tree: Tree) -> Matrix:
    return [[0] * tree.p for _ in range(tree.q)]


def add_leaf_gradients_to_nodes(tree: Tree, leaf_gradients: dict[str, Matrix], count: Counter) -> dict[str, Matrix]:
    gradients: dict[str, Matrix] = {}
    for bits, gradient in leaf_gradients.items():
        for level in range(tree.depth + 1):
            gradients[bits[:level]] = count.add_matrices(gradients.get(bits[:level], zeros(tree)), gradient)
    return gradients


def add_node_gradients_to_parents(tree: Tree, leaf_gradients: dict[str, Matrix], count: Counter) -> dict[str, Matrix]:
    gradients = dict(leaf_gradients)
    for level in range(tree.depth, 0, -1):
        for prefix in sorted({bits[:level] for bits in leaf_gradients}):
            parent = gradients.get(prefix[:-1], zeros(tree))
            gradients[prefix[:-1]] = count.add_matrices(parent, gradients[prefix])
    return gradients


@pytest.mark.parametrize(
    "order, simulate", [("leaves", add_leaf_gradients_to_nodes), ("prefixes", add_node_gradients_to_parents)]
)
@given(tree=trees)
def test_weight_gradient_adds_are_what_plain_loops_count(
    order: str, simulate: Callable[[Tree, dict[str, Matrix], Counter], dict[str, Matrix]], tree: Tree
) -> None:
    count = Counter()
    leaf_gradients = {bits: tree.nodes[bits] for _, bits in tree.batch}
    spec = LayerSpec("tree-shared", tree.p, tree.q, tree.depth, bias=False)

    gradients = simulate(tree, leaf_gradients, count)
    forward = executed_flop(spec, tree.visited, "forward", order)
    train = executed_flop(spec, tree.visited, "train", order)

    # Training is the forward pass, the input gradient of equal cost, and the weight gradient.
    assert count.adds == train.overhead - 2 * forward.overhead
    assert 3 * forward.product == train.product
    assert add_leaf_gradients_to_nodes(tree, leaf_gradients, Counter()) == gradients
