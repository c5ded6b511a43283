"""A figure shows the setting in which its line is longest, and says which."""

from collections.abc import Callable
from dataclasses import replace

from capratio.records.record import Record
from capratio.records.summary import summarise
from capratio.report.figures.slices import depth_line, views, width_line, words
from capratio.report.frame import tidy


def test_the_depth_line_is_the_setting_with_the_most_depths(record_maker: Callable[..., Record]) -> None:
    made = [record_maker(depth=k) for k in range(6)] + [record_maker(p=64, q=64, depth=k) for k in range(3)]

    line = depth_line(tidy(summarise(made)))

    assert [0, 1, 2, 3, 4, 5] == sorted(line["depth"])
    assert {512} == set(line["in_features"])


def test_one_depth_is_no_line(record_maker: Callable[..., Record]) -> None:
    assert depth_line(tidy(summarise([record_maker(depth=3)]))).empty


def test_the_dense_layer_comes_with_the_line_of_its_setting(record_maker: Callable[..., Record]) -> None:
    made = [record_maker(depth=k) for k in range(4)] + [
        record_maker("dense", depth=0),
        record_maker("dense", p=64, q=64, depth=0),
    ]

    line = depth_line(tidy(summarise(made)))

    assert 1 == (line["series"] == "dense").sum()


def test_of_two_orders_at_one_depth_the_longer_line_is_kept(record_maker: Callable[..., Record]) -> None:
    made = [record_maker(depth=k) for k in range(1, 6)]
    other = record_maker(depth=2)
    made.append(replace(other, case=other.case + "nodes", point=replace(other.point, order="nodes")))

    line = depth_line(tidy(summarise(made)))

    assert {"prefixes"} == set(line["order"])
    assert 5 == len(line)


def test_calls_of_one_token_a_batch_and_training_are_kept_apart(records: list[Record]) -> None:
    found = views(tidy(summarise(records)))

    assert [
        "one token, cold",
        "one token, warm",
        "a batch, N = 1024, warm",
        "training, N = 1024, warm",
    ] == [view.name for view in found]
    assert all(1 == view.rows["tokens"].nunique() for view in found)


def test_the_width_line_holds_square_layers_of_the_same_setting(records: list[Record]) -> None:
    frame = tidy(summarise(records))
    cold = views(frame)[0].rows

    line = width_line(frame[frame["layer"] == "dense"], cold)

    assert {128, 256, 512, 1024} == set(line["in_features"])
    assert {"cold"} == set(line["cache"])


def test_a_caption_says_what_is_fixed(record_maker: Callable[..., Record]) -> None:
    line = depth_line(tidy(summarise([record_maker(depth=k) for k in range(4)])))

    assert "p = q = 512, N = 1, decode, cold caches, float32, text input, 2 threads" == words(line)
