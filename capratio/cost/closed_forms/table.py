"""Which closed form a layer id has."""

from capratio.cost.closed_forms.contract import ClosedForm
from capratio.cost.closed_forms.dense import DenseForm
from capratio.cost.closed_forms.fast_feedforward import FastFeedforwardForm
from capratio.cost.closed_forms.tree_bias import TreeBiasForm
from capratio.cost.closed_forms.tree_shared import TreeSharedForm
from capratio.cost.closed_forms.tree_unit import TreeUnitForm

CLOSED_FORMS: dict[str, ClosedForm] = {
    "dense": DenseForm(),
    "tree-shared": TreeSharedForm(),
    "tree-unit": TreeUnitForm(),
    "tree-bias": TreeBiasForm(),
    "fast-feedforward": FastFeedforwardForm(),
}
