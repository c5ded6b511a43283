"""Which backends a case may name: those of every layer, and the peers that the layer's own operation has."""

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.errors import InputError
from capratio.records.record import Point

# An operation that has but a reference runs it, whichever of these is named.
OF_EVERY_LAYER = ("auto", "reference", "cpu", "cuda")
_LEAVES = ("grouped-mm", "gather-bmm")
_ROWS = ("embedding-bag",)
_EXPERTS = ("grouped-mm", "hf-eager", "hf-batched-mm", "hf-grouped-mm")
# Layer and the option that decides on its operation, "" where none does → peers; a layer that is not here has none.
# They are those of capratio.kernels, which imports torch; a test holds the two equal.
PEERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("tree-shared", "form=collapsed"): _LEAVES,
    ("tree-unit", "form=path"): _ROWS,
    ("tree-unit", "form=collapsed"): _ROWS,
    ("fast-feedforward", "form=leaf"): (*_LEAVES, "fastfeedforward"),
    ("fast-feedforward", "form=path"): (*_ROWS, "ultrafastbert"),
    ("block-policy", ""): ("dense-masked", "bsr"),
    ("memory-table", "consumption=add"): _ROWS,
    ("memory-table", "consumption=concat"): _ROWS,
    ("memory-table", "consumption=expert"): _EXPERTS,
    ("moe-sparse", ""): _EXPERTS,
    ("moe-st", ""): _EXPERTS,
    ("product-key", ""): _ROWS,
    ("winner-take-all", ""): _ROWS,
}

# Packages' own layers, which they evaluate and do not train.
WITHOUT_GRADIENTS = ("fastfeedforward", "ultrafastbert")
RECORDED = ("train", "forward-grad")


def check_backend(point: Point, spec: SystemSpec | None) -> None:
    """Raise InputError for a peer that the operation of a point's layer does not have, or that cannot run the case.

    Args: spec: of a system; None of a tree or the dense layer.
    """
    option = f"form={point.form}" if spec is None else ""
    if isinstance(spec, MemoryTableSpec):
        option = f"consumption={spec.consumption}"
    known = (*OF_EVERY_LAYER, *PEERS.get((point.layer, option), ()))
    if point.backend not in known:
        said = f" and {option}" if option else ""
        raise InputError(
            f"backend = {point.backend!r} with layer = {point.layer!r}{said}, whose operation has none of that name; "
            f"use one of {', '.join(known)}."
        )
    if point.backend in WITHOUT_GRADIENTS and point.pass_ in RECORDED:
        raise InputError(
            f"backend = {point.backend!r} with pass = {point.pass_!r}, and it gives no gradients; use "
            "pass = 'forward' or 'decode'."
        )
