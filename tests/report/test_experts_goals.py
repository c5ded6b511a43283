"""What experts, memory tables and block products are to reach stands in the goals, over cases of the sizes set for it.

In a run of simulated times ours is at a bound beside one rival, and far ahead of the others: just beyond the bound a
goal is missed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest

from capratio.cost.systems.moe_sparse import MoeSparseSpec
from capratio.records.record import Record, Timing
from capratio.report.goal_answers import answer_goals
from capratio.report.goals import read_goals
from capratio.sweep.case import Case, spec_of
from capratio.sweep.case_file import bundled_case_files, read_case_files

CASES = read_case_files([bundled_case_files()["experts"]])
# Seconds of one call: of ours elsewhere, of the rival, and of the others; small, so that a bound in seconds would show.
QUICK_S, RIVAL_S, SLOW_S = 1e-9, 1e-6, 1.0
OWN, MODULE = "auto", "module"


@dataclass(frozen=True)
class Side:
    """One case of the file, by its layer, call, backend and some options; an option that is None is not given."""

    layer: str
    tokens: int
    options: Mapping[str, str | None]
    backend: str = MODULE
    pass_: str = "forward"

    @property
    def case(self) -> Case:
        """The only such case."""
        (found,) = (case for case in CASES if self._is(case))
        return found

    def _is(self, case: Case) -> bool:
        point, options = case.point, case.point.options or {}
        return (self.layer, self.tokens, self.backend, self.pass_) == (
            point.layer,
            point.tokens,
            point.backend,
            point.pass_,
        ) and all(options.get(name) == value for name, value in self.options.items())


def experts(tokens: int, backend: str = OWN) -> Side:
    """Two of 16 experts, forward."""
    return Side("moe-sparse", tokens, {}, backend)


def memory(gradient: str | None, backend: str = OWN) -> Side:
    """A memory table, forward and backward."""
    return Side("memory-table", 256, {"weight_gradient": gradient}, backend, "train")


def gradient(backend: str, form: str) -> Side:
    """A memory table's gradient alone."""
    return Side("benchmarks.table_gradients:TableGradient", 256, {"backend": backend, "gradient": form})


def blocks(backend: str, masks: str) -> Side:
    """A product of live blocks."""
    return Side("benchmarks.block_products:BlockProduct", 256, {"backend": backend, "masks": masks})


DENSE = Side("benchmarks.peer_layers:DenseFeedforward", 1024, {})
UNSUMMED = Side("benchmarks.peer_layers:EmbeddingBagTable", 256, {"sparse": "true"}, MODULE, "train")
KEPT = Side("benchmarks.block_products:KeptBlockSparse", 256, {})
PEERS = ("reference", "grouped-mm", "hf-eager", "hf-grouped-mm")
DROPPING = ("benchmarks.peer_layers:DroppingMixture", "benchmarks.peer_layers:StableDroppingMixture")
# Ours, a rival, and the largest ratio of their times.
BOUNDS = [
    (experts(1024), DENSE, 1.1),
    *((experts(tokens), experts(tokens, peer), 1.0) for tokens in (1, 64, 1024) for peer in PEERS),
    *((experts(tokens), experts(tokens, "hf-batched-mm"), 1.0) for tokens in (1, 64)),
    *((experts(tokens), Side(layer, tokens, {}), 1.0) for tokens in (1, 64, 1024) for layer in DROPPING),
    *((memory(gradient), memory(gradient, "embedding-bag"), 0.5) for gradient in (None, "touched")),
    (memory("touched"), UNSUMMED, 0.5),
    *((gradient("auto", form), gradient("embedding-bag", form), 0.5) for form in ("dense", "touched")),
    (gradient("auto", "touched"), gradient("embedding-bag", "unsummed"), 0.5),
    (blocks("auto", "own"), blocks("dense-masked", "own"), 0.25),
    (blocks("auto", "shared"), blocks("bsr", "shared"), 0.5),
    (blocks("auto", "shared"), KEPT, 0.5),
]


@pytest.fixture
def missed(record_maker: Callable[..., Record]) -> Callable[[Side, Side, float], list[str]]:
    """The goals that are missed where ours takes so many times as long as one rival."""

    def found(ours: Side, rival: Side, ratio: float) -> list[str]:
        times_s = {case.id: QUICK_S if is_ours(case) else SLOW_S for case in CASES}
        times_s |= {rival.case.id: RIVAL_S, ours.case.id: ratio * RIVAL_S}
        exact = record_maker().exact
        records = [
            replace(
                record_maker(),
                case=case.id,
                point=case.point,
                exact=exact,
                timing=Timing((times_s[case.id],), 1, 0, "count", 1.0),
            )
            for case in CASES
        ]
        return [answer.goal.what for answer in answer_goals(read_goals(), records) if answer.status == "missed"]

    return found


def is_ours(case: Case) -> bool:
    """Whether a case is of ours, which user's layers of live blocks are by an option."""
    return case.point.backend == OWN or (case.point.options or {}).get("backend") == OWN


@pytest.mark.parametrize(("ours", "rival", "bound"), BOUNDS, ids=lambda side: getattr(side, "layer", side))
def test_a_bound_that_was_set_is_a_goals(
    ours: Side, rival: Side, bound: float, missed: Callable[[Side, Side, float], list[str]]
) -> None:
    assert [] == missed(ours, rival, 0.999 * bound)
    assert missed(ours, rival, 1.001 * bound)


def test_experts_and_the_dense_layer_of_their_active_size_have_the_sizes_that_were_set() -> None:
    sides = [ours for ours, _, _ in BOUNDS if ours.layer == "moe-sparse"]

    for point in (side.case.point for side in sides):
        spec = spec_of(point)
        assert isinstance(spec, MoeSparseSpec)
        assert (256, 256, 1024, 16, 2) == (
            spec.in_features,
            spec.out_features,
            spec.hidden,
            spec.experts,
            spec.top_k,
        )
    # Two experts of 1024 hidden units.
    assert {"features": "256", "hidden": "2048"} == DENSE.case.point.options


def test_the_memory_table_looks_up_128_of_65536_rows_and_its_goal_says_that_it_is_a_whole_step() -> None:
    table, bag = memory(None).case.point, UNSUMMED.case.point

    # 128 tables of 512 rows.
    assert (256, {"lookup": "ids", "entries": "512", "tables": "128"}) == (table.in_features, table.options)
    assert {"features": "256", "rows": "65536", "lookups": "128", "sparse": "true"} == bag.options
    for side in (gradient("auto", "dense"), gradient("embedding-bag", "unsummed")):
        options = side.case.point.options or {}
        assert ("256", "65536", "128") == (options["features"], options["rows"], options["lookups"])
    (what,) = (goal.what for goal in read_goals() if goal.where["layer"] == "memory-table" and goal.against == "peers")
    assert "forward and backward" in what


def test_a_tenth_of_the_blocks_are_alive() -> None:
    sides = [side for ours, rival, _ in BOUNDS for side in (ours, rival) if "block_products" in side.layer]

    assert 6 == len(sides)
    for options in (side.case.point.options or {} for side in sides):
        assert ("1024", "16", "5") == (options["features"], options["blocks"], options["live"])
        assert (int(options["live"]) / int(options["blocks"])) ** 2 <= 0.1


def test_all_of_it_is_float32_from_a_warm_cache_by_two_threads() -> None:
    points = [side.case.point for ours, rival, _ in BOUNDS for side in (ours, rival)]

    assert {("float32", "warm", "cpu", 2)} == {(p.dtype, p.cache, p.device, p.threads) for p in points}
