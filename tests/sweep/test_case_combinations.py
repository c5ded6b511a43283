"""Keys of a case file that are right alone and wrong together, and keys that make no difference together."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.records.record import Point
from capratio.sweep.case_file import read_case_files


def points(tmp_path: Path, group: str) -> list[Point]:
    """The points of a file with one group of four features."""
    path = tmp_path / "mine.toml"
    path.write_text(f"[[cases]]\nin_features = 4\n{group}")
    return [case.point for case in read_case_files([path])]


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        (
            'layer = "tree-unit"\ngate = "thresholds"\ndepth = 5',
            "each bit of gate thresholds takes a feature of its own",
        ),
        ('layer = "tree-unit"\ngate = "signs"\ndepth = 5', "each bit of gate signs takes a feature of its own"),
        ('layer = "tree-bias"\ndepth = [1, 5]', "depth = 5 with in_features = 4"),
        ('layer = "tree"\ngate = "hyperplanes"\nrouting = "zipf"', "routing = 'zipf' with gate = 'hyperplanes'"),
        ('layer = "tree-unit"\ngate = "thresholds"\nrouting = "single"', "use gate = 'signs' or routing = 'measured'"),
        ('layer = "tree"\ngate = "thresholds"', "its gate must be one of signs, hyperplanes"),
        ('layer = "dense"\ndepth = -1', "depth = -1; give a number of gating bits from 0 to 62"),
        ('layer = "dense"\ndepth = 63', "depth = 63; give a number of gating bits from 0 to 62"),
        ('layer = "act"\nrouting = "uniform"', "layer = 'act', whose choices no direction of the input imposes"),
        (
            'layer = "product-key"\nrouting = ["measured", "zipf"]',
            "routing = 'zipf' with layer = 'product-key' and heads=4",
        ),
        (
            'layer = "moe-sparse"\nrouting = "single"\noptions = { gating = "hierarchical" }',
            "and gating=hierarchical, whose choices no direction of the input imposes; use another gating, or ",
        ),
        (
            'layer = "fast-feedforward"\nrouting = "uniform"',
            "with gate = 'descent'; a routing is imposed through the signs that a gate reads, use routing = 'measured'",
        ),
        (
            'layer = "memory-table"\ninput = ["text", "gaussian"]\noptions = { lookup = "ids" }',
            "input = 'gaussian' with layer = 'memory-table' and lookup=ids has no token ids to look up by; use input = "
            "'text', or routing = 'uniform', 'zipf' or 'single'.",
        ),
        (
            'layer = "moe-sparse"\nbackend = "bsr"',
            "backend = 'bsr' with layer = 'moe-sparse', whose operation has none of that name; use one of auto, "
            "reference, cpu, cuda, grouped-mm, hf-eager, hf-batched-mm, hf-grouped-mm.",
        ),
        ('layer = "block-policy"\nbackend = ["auto", "grouped-mm"]', "use one of auto, reference, cpu, cuda, dense-"),
        (
            'layer = "memory-table"\nbackend = "embedding-bag"\noptions = { consumption = ["add", "expert"] }',
            "with layer = 'memory-table' and consumption=expert, whose operation has none of that name",
        ),
        (
            'layer = "tree"\nbackend = "grouped-mm"\nform = ["collapsed", "path"]\ndepth = 1',
            "backend = 'grouped-mm' with layer = 'tree-shared' and form=path, whose operation has none of that name; "
            "use one of auto, reference, cpu, cuda.",
        ),
        ('layer = "altup"\nbackend = "grouped-mm"', "backend = 'grouped-mm' with layer = 'altup', whose operation"),
        (f'layer = "dense"\ntokens = {2**31}', "tokens = 2147483648; it must be at most 2147483647"),
        (f'layer = "mine:A"\nout_features = 1{"0" * 400}', "0; it must be at most 2147483647"),
        ('layer = "tree"\ntokens = -1', "tokens = -1 and threads = 1"),
        ('layer = "tree"\nthreads = 0', "tokens = 1 and threads = 0"),
    ],
)
def test_what_no_process_could_measure_is_refused_when_the_file_is_read(
    tmp_path: Path, group: str, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        points(tmp_path, group)

    assert "mine.toml: cases[1]: " in str(caught.value)
    assert sentence in str(caught.value)


def test_hyperplanes_may_be_deeper_than_there_are_features(tmp_path: Path) -> None:
    (point,) = points(tmp_path, 'layer = "tree"\ngate = "hyperplanes"\ndepth = 5')

    assert ("hyperplanes", 5) == (point.gate, point.depth)


@pytest.mark.parametrize(
    "layer",
    [
        'layer = "dense"',
        'layer = "tree-unit"\ndepth = 2',
        'layer = "tree-bias"\ndepth = 2',
        'layer = "tree-shared"\nform = "collapsed"\ndepth = 2',
        # A single node has nothing to order.
        'layer = "tree-shared"\ndepth = 0',
    ],
)
def test_every_order_of_a_layer_without_orders_is_one_case(tmp_path: Path, layer: str) -> None:
    found = points(tmp_path, f'{layer}\norder = ["auto", "leaves", "prefixes", "nodes"]')

    assert ["auto"] == [point.order for point in found]


def test_orders_of_the_shared_path_are_cases_of_their_own(tmp_path: Path) -> None:
    found = points(tmp_path, 'layer = "tree-shared"\ndepth = 2\norder = ["auto", "leaves", "prefixes", "nodes"]')

    assert ["auto", "leaves", "prefixes", "nodes"] == [point.order for point in found]


def test_a_list_of_booleans_sweeps_the_bias(tmp_path: Path) -> None:
    both = 'layer = "tree"\ndepth = 2\nbias = [true, false]\n'
    # 7 nodes of 4·4 weights, and 4 biases where there is a bias.
    expected = "[[cases.expected]]\nbias = true\nparameters = 116\n[[cases.expected]]\nbias = false\nparameters = 112\n"

    assert [True, False] == [point.bias for point in points(tmp_path, both + expected)]


def test_an_answer_may_be_selected_by_the_gate(tmp_path: Path) -> None:
    # 7 nodes of 4·4 weights and 4 biases; two hyperplanes of 4.
    expected = '[[cases.expected]]\ngate = "hyperplanes"\nparameters = 124\n'

    found = points(tmp_path, 'layer = "tree"\ndepth = 2\ngate = ["signs", "hyperplanes"]\n' + expected)

    assert ["signs", "hyperplanes"] == [point.gate for point in found]


@pytest.mark.parametrize("routing", ["uniform", "zipf", "single"])
def test_ids_come_of_a_routing_where_the_input_has_none(tmp_path: Path, routing: str) -> None:
    group = f'layer = "memory-table"\noptions = {{ lookup = "ids" }}\ninput = "gaussian"\nrouting = "{routing}"'

    (point,) = points(tmp_path, group)

    assert ("gaussian", routing) == (point.input, point.routing)
