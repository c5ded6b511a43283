"""The goals are data: what a goal must say is asked for, and those of the package are the issue's own numbers."""

import pytest

from capratio.errors import InputError
from capratio.report.goals import parse_goals, read_goals

RIGHT = """
[usual]
device = "cpu"
cache = "warm"
[[goals]]
what = "fast"
against = "peers"
peers = ["reference"]
statistic = "worst"
ratio_at_most = 1.05
where = { layer = "tree-shared", cache = "cold", depth = [1, 4] }
"""


def test_where_is_laid_over_what_is_usual() -> None:
    (goal,) = parse_goals(RIGHT)

    assert {"device": "cpu", "cache": "cold", "layer": "tree-shared", "depth": [1, 4]} == goal.where
    assert (("reference",), 1.05, None, "") == (goal.peers, goal.ratio_at_most, goal.excess_at_most_s, goal.missed)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("[[goals]]", "[[goal]]", "have no"),
        ('against = "peers"', 'against = "peer"', "use one of limit, peers, dense, collapsed, own-bytes, layers"),
        ('statistic = "worst"', 'statistic = "median"', "use one of worst, mean"),
        ('statistic = "worst"', "", "lacks or does not know: statistic"),
        ('peers = ["reference"]', 'peer = ["reference"]', "lacks or does not know: peer"),
        ('peers = ["reference"]', "", "peers are given exactly where"),
        ("ratio_at_most = 1.05", "", "a bound is missing"),
        ("ratio_at_most = 1.05", "ratio_at_most = 0.0", "a bound is not positive"),
        ('statistic = "worst"', 'statistic = "mean"\nexcess_at_most_s = 1e-6', "one that a mean has not"),
        ("depth = [1, 4]", "depth = 4", "where has depth = 4"),
        ("depth = [1, 4]", 'dept = "4"', "where has dept = '4'"),
        ("depth = [1, 4]", "options = { experts = 4 }", "where has options = {'experts': 4}"),
        ('against = "peers"', 'against = "layers"', "peers are given exactly where"),
        ('"reference"]', '"reference"]\nbeside = [{ layer = "dense" }]', "layers are given exactly where"),
        ("[usual]", "[usual", "are not TOML"),
    ],
)
def test_a_goal_that_says_too_little_or_something_else_is_refused(right: str, wrong: str, said: str) -> None:
    with pytest.raises(InputError, match=r"goal") as caught:
        parse_goals(RIGHT.replace(right, wrong))

    assert said in str(caught.value)


LAYERS = """
[[goals]]
what = "beside"
against = "layers"
statistic = "worst"
where = { layer = "moe-sparse", options = { experts = "16" } }
beside = [{ layer = "mine.layers:Dense", options = { hidden = "4" } }, { layer = "mine.layers:Other" }]
"""


def test_a_goal_against_layers_may_have_no_bound() -> None:
    (goal,) = parse_goals(LAYERS)

    assert goal.told
    assert ("mine.layers:Dense", {"hidden": "4"}) == (goal.beside[0]["layer"], goal.beside[0]["options"])
    assert not parse_goals(LAYERS.replace("where", "ratio_at_most = 1.1\nwhere"))[0].told


@pytest.mark.parametrize("wrong", ['{ layer = "a:B", options = { hidden = 4 } }', '{ options = { hidden = "4" } }'])
def test_what_stands_beside_is_a_layer_and_its_options_are_words(wrong: str) -> None:
    with pytest.raises(InputError, match="give a layer, and options as a table of words"):
        parse_goals(LAYERS.replace('{ layer = "mine.layers:Other" }', wrong))


def test_the_goals_of_the_package_are_those_that_were_set() -> None:
    def bounds(device: str) -> list[tuple[str, str, float | None, float | None]]:
        goals = [goal for goal in read_goals() if goal.where["device"] == device]
        return [(goal.against, goal.statistic, goal.ratio_at_most, goal.excess_at_most_s) for goal in goals]

    assert [
        ("limit", "mean", 1.25, None),
        ("limit", "worst", 1.6, None),
        ("limit", "worst", None, 50e-6),
        ("peers", "worst", 1.05, 15e-6),
        ("peers", "worst", 0.5, None),
        ("dense", "worst", 1.05, 5e-6),
        ("limit", "mean", 1.5, None),
        ("dense", "worst", 1.15, None),
        ("collapsed", "worst", 1.3, None),
        ("peers", "worst", 1.05, None),
        ("peers", "worst", 0.5, None),
        ("own-bytes", "worst", 1.5, None),
        ("layers", "worst", 1.1, None),
        ("peers", "worst", 1.0, None),
        ("layers", "worst", 1.0, None),
        ("layers", "worst", None, None),
        ("layers", "worst", None, None),
        ("layers", "worst", None, None),
        ("peers", "worst", 1.0, None),
        *[("layers", "worst", 0.5, None)] * 3,
        ("peers", "worst", 0.5, None),
        ("layers", "worst", 0.5, None),
        ("layers", "worst", 0.25, None),
        ("layers", "worst", 0.5, None),
    ] == bounds("cpu")
    assert [
        ("limit", "mean", 1.4, None),
        ("peers", "worst", 1.05, None),
        ("peers", "worst", pytest.approx(1 / 1.5, rel=1e-4), None),
        ("dense", "worst", 1.25, None),
    ] == bounds("cuda")
