"""Which gate a layer gets: one that it is given, or one of these by name."""

import torch

from capratio.cost.spec import GATES_OF
from capratio.errors import InputError
from capratio.layers.gate import Gate
from capratio.layers.hyperplane_gate import HyperplaneGate
from capratio.layers.sign_gate import SignGate
from capratio.layers.unit_sign_gate import UnitSignGate
from capratio.layers.unit_threshold_gate import UnitThresholdGate

SHARED_GATES = GATES_OF["tree-shared"]
UNIT_GATES = GATES_OF["tree-unit"]


def shared_gate(
    gate: str | Gate,
    in_features: int,
    depth: int,
    seed: int,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> Gate:
    """The gate of a layer whose bits all units share; by name it reads the layer's own input.

    Raises InputError for a name not in ``SHARED_GATES``, or a gate of another depth or with bits of its own.
    """
    if isinstance(gate, Gate):
        return _fitting(gate, depth, None)
    if gate == "signs":
        return SignGate(in_features, depth, seed=seed, device=device)
    if gate == "hyperplanes":
        return HyperplaneGate(in_features, depth, device=device, dtype=dtype)
    raise _unknown(gate, SHARED_GATES)


def unit_gate(
    gate: str | Gate,
    in_features: int,
    depth: int,
    seed: int,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> Gate:
    """The gate of a layer whose input units have bits of their own; by name it reads the layer's own input.

    Raises InputError for a name not in ``UNIT_GATES``, or a gate of another depth or other units.
    """
    if isinstance(gate, Gate):
        return _fitting(gate, depth, in_features)
    if gate == "signs":
        return UnitSignGate(in_features, depth, in_features, seed=seed, device=device)
    if gate == "thresholds":
        return UnitThresholdGate(in_features, depth, in_features, seed=seed, device=device, dtype=dtype)
    raise _unknown(gate, UNIT_GATES)


def _fitting(gate: Gate, depth: int, units: int | None) -> Gate:
    if (gate.depth, gate.units) != (depth, units):
        expected = "bits shared by all units" if units is None else f"bits of their own for {units} units"
        raise InputError(
            f"a gate with depth={gate.depth} and units={gate.units} was given; this layer needs depth={depth} and "
            f"{expected}."
        )
    return gate


def _unknown(gate: str, names: tuple[str, ...]) -> InputError:
    return InputError(f"gate={gate!r} is not known; give a gate module or one of {', '.join(names)}.")
