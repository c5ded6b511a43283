"""A layer beside a simpler one: ratios of latency and of bytes, counted by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from capratio.records.record import Limit, Record, Timing
from capratio.report.side_by_side_layers import layer_pairs

Maker = Callable[..., Record]
Make = Callable[..., list[Record]]


@pytest.fixture
def make(record_maker: Maker) -> Make:
    """Records of one layer: a process a latency, in microseconds, with the bytes that it must touch."""

    def made(layer: str, form: str, latencies_us: tuple[float, ...], size: int, **where: object) -> list[Record]:
        place = {"depth": 0 if layer == "dense" else 2, "tokens": 1, "pass_": "decode", "cache": "cold"} | where
        records = []
        for replicate, latency_us in enumerate(latencies_us):
            record = record_maker(layer, form, 8, 4, replicate=replicate, **place)
            assert record.exact is not None
            records.append(
                replace(
                    record,
                    case=record.case.replace("/reference/", "/auto/"),
                    timing=Timing((latency_us * 1e-6,), 1, 0, "count", 1.0),
                    limit=Limit(1e-6, "memory", 1e9, 1e11, 0.02),
                    exact=replace(record.exact, compulsory_bytes=size, visited_levels=(1, 2, 4)),
                )
            )
        return records

    return made


def test_a_decoded_token_of_a_collapsed_tree_is_held_against_the_dense_layer(make: Make) -> None:
    records = make("tree-shared", "collapsed", (110.0, 240.0, 90.0), 330) + make(
        "dense", "path", (100.0, 200.0, 100.0), 300
    )

    (pair,) = layer_pairs(records)

    # 1.1, 1.2 and 0.9 inside the replicates; 330 / 300 bytes.
    assert "tree-shared, collapsed / dense" == pair.name
    assert 1.1 == pytest.approx(pair.ratio.value)
    assert 1.1 == pytest.approx(pair.bytes_ratio)
    assert 1.0 == pytest.approx(pair.over_bytes)
    assert pair.overhead_over_limit is None


def test_a_path_form_is_held_against_its_collapsed_form(make: Make) -> None:
    call = {"tokens": 64, "pass_": "forward", "cache": "warm"}
    records = make("tree-shared", "path", (600.0,), 400, **call) + make(
        "tree-shared", "collapsed", (200.0,), 200, **call
    )

    (pair,) = layer_pairs(records)

    assert "tree-shared / tree-shared, collapsed" == pair.name
    assert (3.0, 2.0, 1.5) == pytest.approx((pair.ratio.value, pair.bytes_ratio, pair.over_bytes))


def test_gradients_of_touched_rows_are_held_against_those_of_touched_rows(make: Make) -> None:
    call = {"tokens": 64, "pass_": "train", "cache": "warm"}
    dense = make("tree-shared", "path", (600.0,), 400, **call) + make("tree-shared", "collapsed", (200.0,), 200, **call)
    bias = make("tree-bias", "path", (110.0,), 400, **call) + make("dense", "path", (100.0,), 400, **call)
    touched = [
        replace(
            record,
            point=replace(record.point, weight_gradient="touched"),
            timing=Timing((record.timing.latency_s / (3 if record.point.form == "path" else 2),), 1, 0, "count", 1.0),
        )
        for record in (*dense, bias[0])
        if record.timing is not None
    ]

    pairs = {(pair.name, pair.point.split(" ", 1)[1]): pair.ratio.value for pair in layer_pairs(dense + bias + touched)}

    # 600 / 200 and (600 / 3) / (200 / 2); the dense layer stands beside both modes of the tree bias.
    assert pairs == pytest.approx(
        {
            ("tree-shared / tree-shared, collapsed", "train warm"): 3.0,
            ("tree-shared / tree-shared, collapsed", "train warm touched"): 2.0,
            ("tree-bias / dense", "train warm"): 1.1,
            ("tree-bias / dense", "train warm touched"): 110 / 3 / 100,
        }
    )


def test_the_overhead_of_a_tree_bias_is_held_against_the_time_of_its_own_bytes(make: Make) -> None:
    call = {"tokens": 64, "pass_": "forward", "cache": "warm"}
    records = make("tree-bias", "path", (103.496,), 400, **call) + make("dense", "path", (100.0,), 400, **call)

    (pair,) = layer_pairs(records)

    # 64 outputs read and written and 1 + 2 + 4 rows, of 4 float32 each: 2160 bytes; 64 leaves: 512. At 1 GB/s 2.672 us,
    # and 3.496 us were taken.
    assert 3.496 / 2.672 == pytest.approx(pair.overhead_over_limit)


def test_a_layer_without_its_simpler_one_and_a_peers_time_have_no_row(make: Make) -> None:
    alone = make("tree-shared", "collapsed", (110.0,), 330)
    peers = [replace(record, case=record.case.replace("/auto/", "/reference/")) for record in alone]

    assert [] == layer_pairs(alone)
    assert [] == layer_pairs(peers + make("dense", "path", (100.0,), 300))
