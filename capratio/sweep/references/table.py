"""Which reference a system's layer id has."""

from capratio.sweep.references.act import ActReference
from capratio.sweep.references.altup import AltUpReference
from capratio.sweep.references.block_policy import BlockPolicyReference
from capratio.sweep.references.contract import Reference
from capratio.sweep.references.dynamic_gate import DynamicGateReference
from capratio.sweep.references.memory_table import MemoryTableReference
from capratio.sweep.references.moe_sparse import MoeSparseReference
from capratio.sweep.references.moe_st import MoeStReference
from capratio.sweep.references.product_key import ProductKeyReference
from capratio.sweep.references.winner_take_all import WinnerTakeAllReference

REFERENCES: dict[str, Reference] = {
    "act": ActReference(),
    "altup": AltUpReference(),
    "block-policy": BlockPolicyReference(),
    "dynamic-gate": DynamicGateReference(),
    "memory-table": MemoryTableReference(),
    "moe-sparse": MoeSparseReference(),
    "moe-st": MoeStReference(),
    "product-key": ProductKeyReference(),
    "winner-take-all": WinnerTakeAllReference(),
}
