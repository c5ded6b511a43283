"""The law of each layer: hand counts, published ratios, equalities at depth 0, and broken laws that are seen."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import Cost, LayerSpec, closed_form, executed_flop, executed_routing
from capratio.cost.closed_forms.table import CLOSED_FORMS
from capratio.cost.closed_forms.tree_bias import TreeBiasForm
from capratio.cost.closed_forms.tree_shared import TreeSharedForm
from capratio.cost.flop import Flop
from capratio.cost.parameters import touched_weight_parameters
from capratio.cost.spec import FORMS_OF, LAYERS, ORDERS, one_token
from capratio.errors import InputError

TREES = [layer for layer in LAYERS if layer.startswith("tree-")]
FORMS = FORMS_OF["tree-shared"]


def law_is_executed(spec: LayerSpec, order: str) -> bool:
    """Whether one token executes exactly the FLOP that the law states."""
    return closed_form(spec, order).flop == executed_flop(spec, one_token(spec), "forward", order)


# p = 3, q = 2, k = 2: seven nodes or four leaves. Sign gates have no parameters, and the bias adds 2 parameters and 2
# FLOP.
@pytest.mark.parametrize(
    "layer, form, weights, touched_weights, overhead, per_unit",
    [
        ("tree-shared", "path", 7 * 6, 3 * 6, 2 * 6, 2 * 2),
        ("tree-shared", "collapsed", 4 * 6, 6, 0, 0),
        ("tree-unit", "path", 3 * 7 * 2, 3 * 3 * 2, 3 * 2 * 2, 2 * 2),
        ("tree-unit", "collapsed", 3 * 4 * 2, 3 * 2, 0, 0),
        ("tree-bias", "path", 6 + 7 * 2, 6 + 3 * 2, 3 * 2, 3 * 2),
        ("tree-bias", "collapsed", 6 + 4 * 2, 6 + 2, 2, 2),
    ],
)
def test_tiny_tree_by_hand(
    layer: str, form: str, weights: int, touched_weights: int, overhead: int, per_unit: int
) -> None:
    spec = LayerSpec(layer, 3, 2, 2, form)
    cost, touched = closed_form(spec), touched_weight_parameters(spec, one_token(spec))

    assert (weights, weights + 2) == (cost.weight_parameters, cost.parameters)
    assert (touched_weights, touched_weights + 2) == (touched, cost.touched_parameters)
    assert Flop(product=12, overhead=overhead, bias=2) == cost.flop
    assert per_unit == cost.overhead_flop_per_unit
    assert Fraction(weights * 12, (12 + overhead) * 6) == cost.capacity_fraction


def test_dense_by_hand() -> None:
    cost = closed_form(LayerSpec("dense", 3, 2))

    assert Flop(product=12, bias=2) == cost.flop
    assert (6, 8, 8) == (cost.weight_parameters, cost.parameters, cost.touched_parameters)
    assert (0, 0) == (cost.routing_operations, cost.overhead_flop_per_unit)
    assert 1 == cost.capacity_fraction == cost.capacity_fraction_all


def test_applied_nodes_by_hand() -> None:
    # p = 3, q = 2, k = 2: two more products of 12 FLOP and two adds of 2 outputs; a unit's column: 2 * 2 multiply-adds.
    cost = closed_form(LayerSpec("tree-shared", 3, 2, 2), order="nodes")

    assert Flop(product=12, overhead=2 * 12 + 2 * 2, bias=2) == cost.flop
    assert 2 * 2 * 2 == cost.overhead_flop_per_unit
    assert "nodes" == cost.order


# The published table: own figures of the systems' summary, independent of this code.
@pytest.mark.parametrize("depth, published", [(4, "10.3"), (8, "102.2"), (12, "1170"), (16, "14563")])
@pytest.mark.parametrize("layer", ["tree-shared", "tree-unit"])
def test_formed_paths_have_the_published_capacity_ratio(layer: str, depth: int, published: str) -> None:
    cost = closed_form(LayerSpec(layer, 512, 512, depth))

    assert published == f"{cost.capacity_ratio:.{len(published.partition('.')[2])}f}"


@pytest.mark.parametrize("depth, published", [(4, "6.2"), (8, "56.8"), (12, "630"), (16, "7710")])
def test_applied_nodes_have_the_published_capacity_ratio(depth: int, published: str) -> None:
    # The published figure leaves out the k q adds of outputs, whose share goes as 1 / p.
    cost = closed_form(LayerSpec("tree-shared", 10**9, 512, depth), order="nodes")

    assert published == f"{cost.capacity_ratio:.{len(published.partition('.')[2])}f}"


@pytest.mark.parametrize("layer", ["tree-shared", "tree-unit"])
@pytest.mark.parametrize("depth", [0, 1, 4, 8, 12, 16, 62])
def test_collapsed_trees_have_a_capacity_ratio_of_the_leaves(layer: str, depth: int) -> None:
    assert 2**depth == closed_form(LayerSpec(layer, 512, 512, depth, "collapsed")).capacity_fraction


@pytest.mark.parametrize("depth", [1, 4, 8, 12])
def test_tree_bias_has_its_published_capacity_ratio(depth: int) -> None:
    p = 96

    cost = closed_form(LayerSpec("tree-bias", p, 40, depth))

    assert (1 + Fraction(2 ** (depth + 1) - 1, p)) / (1 + Fraction(depth + 1, 2 * p)) == cost.capacity_fraction


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", ["tree-shared", "tree-unit"])
@pytest.mark.parametrize("order", ORDERS)
def test_depth_zero_costs_what_dense_costs(layer: str, form: str, order: str) -> None:
    dense = closed_form(LayerSpec("dense", 5, 3))

    tree = closed_form(LayerSpec(layer, 5, 3, 0, form), order)

    assert {**dense.as_row(), "layer": layer, "form": form} == tree.as_row()


@pytest.mark.parametrize("form", FORMS)
def test_depth_zero_of_a_tree_bias_is_dense_and_its_root(form: str) -> None:
    dense = closed_form(LayerSpec("dense", 5, 3))

    tree = closed_form(LayerSpec("tree-bias", 5, 3, 0, form))

    assert dense.flop + Flop(overhead=3) == tree.flop
    assert dense.parameters + 3 == tree.parameters == tree.touched_parameters


@pytest.mark.parametrize("layer", ["tree-shared", "tree-bias"])
def test_hyperplanes_add_their_parameters_and_gating_flop(layer: str) -> None:
    # Two hyperplanes of 3 features: 6 parameters, 12 FLOP; each gives one bit by one compare, as a sign does.
    signs = closed_form(LayerSpec(layer, 3, 2, 2))

    hyperplanes = closed_form(LayerSpec(layer, 3, 2, 2, gate="hyperplanes"))

    assert signs.parameters + 6 == hyperplanes.parameters
    assert signs.weight_parameters == hyperplanes.weight_parameters
    assert signs.touched_parameters + 6 == hyperplanes.touched_parameters
    assert signs.flop + Flop(gating=12) == hyperplanes.flop
    assert signs.routing_operations == hyperplanes.routing_operations
    assert signs.capacity_fraction == hyperplanes.capacity_fraction


def test_thresholds_add_parameters_and_no_flop() -> None:
    signs = closed_form(LayerSpec("tree-unit", 3, 2, 2))

    thresholds = closed_form(LayerSpec("tree-unit", 3, 2, 2, gate="thresholds"))

    assert signs.parameters + 6 == thresholds.parameters
    assert signs.flop == thresholds.flop


def test_capacity_ratio_all_counts_everything_once() -> None:
    # p = 3, q = 2, k = 2 with hyperplanes: 42 + 2 + 6 parameters; 12 + 12 + 12 + 2 FLOP and 2 compares + 3 index steps.
    # Dense: 8 parameters, 14 FLOP.
    cost = closed_form(LayerSpec("tree-shared", 3, 2, 2, gate="hyperplanes"))

    assert Fraction(50, 38 + 5) / Fraction(8, 14) == cost.capacity_fraction_all
    assert float(cost.capacity_fraction_all) == cost.capacity_ratio_all


def test_without_a_bias_neither_its_parameters_nor_its_flop_are_there() -> None:
    cost = closed_form(LayerSpec("tree-shared", 3, 2, 2, bias=False))

    assert 42 == cost.parameters == cost.weight_parameters
    assert 0 == cost.flop.bias


def test_as_row_has_the_keys_of_the_command() -> None:
    row = closed_form(LayerSpec("tree-shared", 3, 2, 2)).as_row()

    keys = (
        "layer form depth parameters weight_parameters touched_parameters product_flop overhead_flop gating_flop "
        "bias_flop routing_operations overhead_flop_per_unit capacity_ratio capacity_ratio_all"
    )
    assert keys.split() == list(row)
    assert ("tree-shared", 2, 44, 12, 3.5) == tuple(
        row[key] for key in ("layer", "depth", "parameters", "overhead_flop", "capacity_ratio")
    )


def test_an_unknown_accounting_is_refused() -> None:
    with pytest.raises(InputError, match="order='paths' is not known"):
        closed_form(LayerSpec("dense", 3, 2), order="paths")


def tree_specs() -> st.SearchStrategy[LayerSpec]:
    return st.builds(
        LayerSpec,
        layer=st.sampled_from(TREES),
        in_features=st.integers(1, 40),
        out_features=st.integers(1, 40),
        depth=st.integers(0, 12),
        form=st.sampled_from(FORMS),
        bias=st.booleans(),
    )


@given(spec=tree_specs(), order=st.sampled_from(ORDERS))
def test_one_token_executes_the_law(spec: LayerSpec, order: str) -> None:
    cost = closed_form(spec, order)

    assert law_is_executed(spec, order)
    assert executed_routing(spec, 1, "decode") == cost.routing_operations


@given(spec=tree_specs())
def test_overhead_a_unit_times_units_is_the_whole_overhead(spec: LayerSpec) -> None:
    cost = closed_form(spec)

    units = 1 if spec.layer == "tree-bias" else spec.in_features

    assert cost.overhead_flop_per_unit is not None
    assert units * cost.overhead_flop_per_unit == cost.flop.overhead


@given(spec=tree_specs())
def test_a_token_touches_no_more_than_the_layer_holds(spec: LayerSpec) -> None:
    cost = closed_form(spec)

    assert cost.touched_parameters <= cost.parameters
    assert touched_weight_parameters(spec, one_token(spec)) <= cost.weight_parameters


class OneNodeTooManyForm(TreeSharedForm):
    """Claims k + 1 adds of a matrix where k are executed."""

    def law(self, spec: LayerSpec, order: str) -> Flop:
        return Flop(
            product=2 * spec.in_features * spec.out_features,
            overhead=(spec.depth + 1) * spec.in_features * spec.out_features,
        )


class RootlessBiasForm(TreeBiasForm):
    """Forgets that the root is added too: k q where (k + 1) q is executed."""

    def law(self, spec: LayerSpec, order: str) -> Flop:
        return Flop(product=2 * spec.in_features * spec.out_features, overhead=spec.depth * spec.out_features)


@pytest.mark.parametrize("layer, broken", [("tree-shared", OneNodeTooManyForm()), ("tree-bias", RootlessBiasForm())])
def test_a_broken_law_is_seen(layer: str, broken: TreeSharedForm, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LayerSpec(layer, 3, 2, 2)
    assert law_is_executed(spec, "leaves")

    monkeypatch.setitem(CLOSED_FORMS, layer, broken)

    assert not law_is_executed(spec, "leaves")


def test_a_node_table_without_its_root_misses_the_published_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    class RootlessForm(TreeSharedForm):
        def weight_parameters(self, spec: LayerSpec) -> int:
            return (spec.nodes - 1) * spec.in_features * spec.out_features

    monkeypatch.setitem(CLOSED_FORMS, "tree-shared", RootlessForm())

    cost: Cost = closed_form(LayerSpec("tree-shared", 512, 512, 4))

    assert f"{cost.capacity_ratio:.1f}" != "10.3"
