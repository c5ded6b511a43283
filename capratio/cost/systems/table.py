"""Which specification a system's layer id has."""

from capratio.cost.systems.act import ActSpec
from capratio.cost.systems.altup import AltUpSpec
from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.dynamic_gate import DynamicGateSpec
from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.cost.systems.moe_sparse import MoeSparseSpec
from capratio.cost.systems.moe_st import MoeStSpec
from capratio.cost.systems.product_key import ProductKeySpec
from capratio.cost.systems.winner_take_all import WinnerTakeAllSpec

SYSTEMS: dict[str, type[SystemSpec]] = {
    ActSpec.layer: ActSpec,
    AltUpSpec.layer: AltUpSpec,
    BlockPolicySpec.layer: BlockPolicySpec,
    DynamicGateSpec.layer: DynamicGateSpec,
    MemoryTableSpec.layer: MemoryTableSpec,
    MoeSparseSpec.layer: MoeSparseSpec,
    MoeStSpec.layer: MoeStSpec,
    ProductKeySpec.layer: ProductKeySpec,
    WinnerTakeAllSpec.layer: WinnerTakeAllSpec,
}
