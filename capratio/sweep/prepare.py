"""A case's layer built and made ready to run, by what the layer is: a tree, another system or a user's own."""

from copy import copy
from pathlib import Path

from torch import nn

from capratio.cost.systems.contract import SystemSpec
from capratio.kernels.backends import known_backend
from capratio.layers.conditional_layer import ConditionalLayer
from capratio.layers.table import Layer
from capratio.records.record import Point
from capratio.sweep.case import Case, is_user_layer, spec_of
from capratio.sweep.case_point import USER_BACKEND
from capratio.sweep.system_trial import build_system, prepare_system_trial
from capratio.sweep.tree_trial import build_tree, prepare_tree_trial
from capratio.sweep.trial import Trial
from capratio.sweep.user_trial import build_user_point, prepare_user_point

BUILT_WITH_BACKEND = (ConditionalLayer, Layer)


def build_layer(point: Point, seed: int, inside: list[Path] | None = None) -> nn.Module:
    """The layer of a point with every weight drawn at random.

    Args: inside: folders of which one must hold a user's layer, where it matters whose it is.

    Raises InputError as the layer's constructor does, and for a user's layer that cannot be imported or built, or lies
    elsewhere.
    """
    if is_user_layer(point.layer):
        return build_user_point(point, seed, inside)
    if isinstance(spec_of(point), SystemSpec):
        return build_system(point, seed)
    return build_tree(point, seed)


def with_backend(layer: nn.Module, backend: str) -> nn.Module:
    """The same layer with the same parameters, not copies of them, whose products run by another backend.

    A user's layer, also one of ours that a user built, stays as it is.
    """
    if not isinstance(layer, BUILT_WITH_BACKEND) or backend in (USER_BACKEND, getattr(layer, "backend", backend)):
        return layer
    sibling = copy(layer)
    sibling.backend = known_backend(backend)
    return sibling


def prepare_trial(layer: nn.Module, case: Case, seed: int) -> Trial:
    """Make the inputs of a case, verify the layer on them, and give what is to be measured.

    Raises WrongAnswerError where an output differs from the float64 reference, or of a user's layer from call to call;
    InputError where the routing cannot be imposed on the layer, or a user's layer does not take the case.
    """
    if is_user_layer(case.point.layer):
        return prepare_user_point(layer, case, seed)
    if isinstance(layer, ConditionalLayer):
        return prepare_system_trial(layer, case, seed)
    assert isinstance(layer, Layer)
    return prepare_tree_trial(layer, case, seed)
