"""The names by which a person may call a layer."""

from difflib import get_close_matches

from capratio.cost.spec import LAYERS
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError

LAYER_ALIASES = {"tree": "tree-shared"}
# Every id: the trees with the dense layer that they generalise, then the other systems.
LAYER_IDS = (*LAYERS, *SYSTEMS)


def layer_id(name: str) -> str:
    """The id of a layer that was named by its id or an alias.

    Raises InputError for another name, with the nearest right one.
    """
    known = LAYER_ALIASES.get(name, name)
    if known in LAYER_IDS:
        return known
    names = (*LAYER_IDS, *LAYER_ALIASES)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}."
    raise InputError(f"the layer {name!r} is not known; {hint}")
