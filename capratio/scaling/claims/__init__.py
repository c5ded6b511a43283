"""The written table of claims: id → class, one small class a claim, whose docstring is the report's text."""

from capratio.scaling.claims.capacity_ratio import CapacityRatio
from capratio.scaling.claims.claim import Claim
from capratio.scaling.claims.collapsed_latency_flat_over_depth import CollapsedLatencyFlatOverDepth
from capratio.scaling.claims.dense_flop import DenseFlop
from capratio.scaling.claims.executed_flop import ExecutedFlop
from capratio.scaling.claims.fast_feedforward_counts import FastFeedforwardCounts
from capratio.scaling.claims.memory_over_parameters import MemoryOverParameters
from capratio.scaling.claims.overhead_flop_per_unit import OverheadFlopPerUnit
from capratio.scaling.claims.parameters import Parameters
from capratio.scaling.claims.path_latency_over_depth import PathLatencyOverDepth
from capratio.scaling.claims.path_latency_over_in_features import PathLatencyOverInFeatures
from capratio.scaling.claims.path_latency_over_out_features import PathLatencyOverOutFeatures
from capratio.scaling.claims.path_latency_over_overhead_flop import PathLatencyOverOverheadFlop
from capratio.scaling.claims.system_counts import SystemCounts
from capratio.scaling.claims.total_overhead_flop import TotalOverheadFlop
from capratio.scaling.claims.touched_parameters import TouchedParameters
from capratio.scaling.claims.tree_bias_overhead_flop import TreeBiasOverheadFlop
from capratio.scaling.claims.warm_latency_over_depth import WarmLatencyOverDepth

CLAIMS: dict[str, type[Claim]] = {
    "parameters": Parameters,
    "capacity-ratio": CapacityRatio,
    "overhead-flop-per-unit": OverheadFlopPerUnit,
    "total-overhead-flop": TotalOverheadFlop,
    "dense-flop": DenseFlop,
    "tree-bias-overhead-flop": TreeBiasOverheadFlop,
    "executed-flop": ExecutedFlop,
    "touched-parameters": TouchedParameters,
    "system-counts": SystemCounts,
    "fast-feedforward-counts": FastFeedforwardCounts,
    "path-latency-over-depth": PathLatencyOverDepth,
    "path-latency-over-in-features": PathLatencyOverInFeatures,
    "path-latency-over-out-features": PathLatencyOverOutFeatures,
    "path-latency-over-overhead-flop": PathLatencyOverOverheadFlop,
    "collapsed-latency-flat-over-depth": CollapsedLatencyFlatOverDepth,
    "warm-latency-over-depth": WarmLatencyOverDepth,
    "memory-over-parameters": MemoryOverParameters,
}
