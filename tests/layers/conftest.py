"""Oracles of the layers: loops over tokens, units and levels, written from the layers' formulas, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from capratio.cost.spec import LayerSpec
from capratio.layers.gate import Gate
from capratio.layers.hyperplane_gate import HyperplaneGate
from capratio.layers.sign_gate import SignGate
from capratio.layers.unit_threshold_gate import UnitThresholdGate

Oracle = Callable[..., torch.Tensor]

# Every layer with each of its gates, by name.
SPECS = {
    "shared": LayerSpec("tree-shared", 9, 5, 3),
    "shared-hyperplanes": LayerSpec("tree-shared", 9, 5, 3, gate="hyperplanes"),
    "shared-without-bias": LayerSpec("tree-shared", 9, 5, 3, bias=False),
    "shared-collapsed": LayerSpec("tree-shared", 9, 5, 3, "collapsed"),
    "shared-collapsed-hyperplanes": LayerSpec("tree-shared", 9, 5, 3, "collapsed", gate="hyperplanes"),
    "unit": LayerSpec("tree-unit", 9, 5, 3),
    "unit-thresholds": LayerSpec("tree-unit", 9, 5, 3, gate="thresholds"),
    "unit-collapsed": LayerSpec("tree-unit", 9, 5, 3, "collapsed"),
    "unit-collapsed-thresholds": LayerSpec("tree-unit", 9, 5, 3, "collapsed", gate="thresholds"),
    "bias": LayerSpec("tree-bias", 9, 5, 3),
    "bias-hyperplanes": LayerSpec("tree-bias", 9, 5, 3, gate="hyperplanes"),
    "bias-collapsed": LayerSpec("tree-bias", 9, 5, 3, "collapsed"),
}


@pytest.fixture(params=list(SPECS.values()), ids=list(SPECS))
def spec(request: pytest.FixtureRequest) -> LayerSpec:
    """Each tree layer, form and gate in turn."""
    found: LayerSpec = request.param
    return found


def patterns(gate: nn.Module, h: torch.Tensor) -> list[list[bool]]:
    """The bits of one token: one pattern, or one for each unit."""
    if isinstance(gate, HyperplaneGate):
        return [[bool(h @ normal.double() > 0) for normal in gate.weight]]
    if isinstance(gate, SignGate):
        return [[bool(h[feature] > 0) for feature in gate.chosen.tolist()]]
    assert isinstance(gate, Gate)
    thresholds = gate.threshold.double() if isinstance(gate, UnitThresholdGate) else torch.zeros(gate.units or 0, 99)
    chosen = gate.get_buffer("chosen").tolist()
    return [
        [bool(h[feature] > thresholds[unit, bit]) for bit, feature in enumerate(row)] for unit, row in enumerate(chosen)
    ]


def nodes_of(pattern: list[bool], form: str) -> list[int]:
    """Rows in level order of a path's nodes, (2^l - 1) + int(b_1..b_l); or the leaf alone, when collapsed."""
    numbers = [0]
    for bit in pattern:
        numbers.append(2 * numbers[-1] + bit)
    return numbers[-1:] if form == "collapsed" else [2**level - 1 + number for level, number in enumerate(numbers)]


def one_token(layer: nn.Module, spec: LayerSpec, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    state = {name: value.detach().double() for name, value in layer.named_parameters()}
    weight, paths = state["weight"], [nodes_of(bits, spec.form) for bits in patterns(layer.get_submodule("gate"), h)]
    out = state.get("bias", torch.zeros(spec.out_features, dtype=torch.float64)).clone()
    if spec.layer == "tree-shared":
        for node in paths[0]:
            out += weight[node] @ x
    elif spec.layer == "tree-unit":
        for unit, path in enumerate(paths):
            for node in path:
                out += x[unit] * weight[unit, node]
    else:
        out += weight @ x
        for node in paths[0]:
            out += state["table"][node]
    return out


@pytest.fixture
def oracle() -> Oracle:
    """What a layer computes for (N, p) rows, in float64."""

    def run(layer: nn.Module, spec: LayerSpec, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> torch.Tensor:
        read = (x if gate_input is None else gate_input).double()
        rows = [one_token(layer, spec, x[n].double(), read[n]) for n in range(len(x))]
        return torch.stack(rows) if rows else torch.empty(0, spec.out_features, dtype=torch.float64)

    return run
