"""Memory tables execute what is promised, have the habits of nn.Linear, and refuse ids that do not fit."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
import torch

from capratio.cost.operation import OperationCost
from capratio.cost.spec import PASSES
from capratio.cost.systems.memory_table import CONSUMPTIONS, LOOKUPS
from capratio.errors import InputError
from capratio.layers.memory_table import MemoryTable
from capratio.measure.flop_counter import count_operations
from tests.layers.memory_tables import KINDS, P, built, drawn, ids_for


@pytest.mark.parametrize("tables", [1, 2])
@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_a_table_executes_what_is_promised(lookup: str, consumption: str, pass_: str, tables: int) -> None:
    modes = ("dense", "touched") if pass_ == "train" and consumption != "expert" else ("dense",)
    for mode, tokens in product(modes, (1,) if pass_ == "decode" else (0, 1, 2, 7)):
        own = {"softmax": {"top_k": 3}, "euclidean-lsh": {"projections": 3}}.get(lookup, {})
        layer = built(lookup, consumption, torch.float32, tables=tables, weight_gradient=mode, **own)
        x, ids = drawn(tokens, P, dtype=torch.float32), ids_for(layer, tokens)
        promised = layer.spec.executed(layer.visits(layer.outcome(x, ids=ids).decisions), pass_)

        counted = count_operations(call_of(layer, pass_, x, ids), strict=True).cost

        assert promised.flop == counted.flop
        assert promised.routing_operations == counted.routing_operations


def call_of(layer: MemoryTable, pass_: str, x: torch.Tensor, ids: torch.Tensor | None) -> Callable[[], object]:
    layer.train(pass_ == "train")

    def train() -> None:
        layer(x.requires_grad_(), ids=ids).backward(torch.ones(len(x), layer.out_features))

    def record() -> object:
        return layer(x.requires_grad_(), ids=ids)

    def infer() -> object:
        with torch.inference_mode():
            return layer(x, ids=ids)

    return {"train": train, "forward-grad": record}.get(pass_, infer)


def test_a_table_that_looks_up_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built("sign-lsh", "add", torch.float32), drawn(7, P, dtype=torch.float32)
    look_up = type(layer.lookup).forward
    monkeypatch.setattr(
        type(layer.lookup), "forward", lambda self, *given: (look_up(self, *given), look_up(self, *given))[0]
    )

    counted: OperationCost = count_operations(lambda: layer(x), strict=True).cost

    promised = layer.spec.executed(layer.visits(layer.outcome(x).decisions), "forward")
    assert 2 * promised.flop.gating == counted.flop.gating
    assert promised.flop.overhead == counted.flop.overhead


@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_parameters_and_what_is_touched_are_counted(lookup: str, consumption: str) -> None:
    layer, x = built(lookup, consumption, tables=2), drawn(3, P)
    ids = ids_for(layer, 3)
    visits = layer.visits(layer.outcome(x, ids=ids).decisions)
    before = layer(x, ids=ids)
    layer(x, ids=ids).square().sum().backward()

    read = 0
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None
            # A hidden unit that is off has no gradient; its expert is read.
            rows = parameter.grad.flatten(1).abs().sum(1) > 0
            if "consumption" in name:
                rows[layer.outcome(x, ids=ids).decisions["rows"].flatten()] = True
                parameter[~rows] = torch.nan
            read += int(rows.sum()) * parameter[0].numel()

    assert torch.equal(before, layer(x, ids=ids))
    assert sum(parameter.numel() for parameter in layer.parameters()) == layer.spec.parameters
    assert read == layer.spec.touched_parameters(visits)


@pytest.mark.parametrize("lookup, consumption", KINDS)
@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (3, 0)])
def test_any_leading_shape_is_kept(lookup: str, consumption: str, leading: tuple[int, ...]) -> None:
    layer, x = built(lookup, consumption), drawn(*leading, P)
    flat = ids_for(layer, x.shape[:-1].numel())
    ids = None if flat is None else flat.view(leading)

    out = layer(x, ids=ids)

    assert (*leading, layer.out_features) == tuple(out.shape)
    assert torch.equal(layer(x.reshape(-1, P), ids=flat), out.reshape(-1, layer.out_features))


@pytest.mark.parametrize("lookup, consumption", KINDS)
def test_a_table_is_saved_copied_moved_and_cast_like_any_module(lookup: str, consumption: str) -> None:
    layer, x = built(lookup, consumption, tables=2), drawn(6, P)
    ids = ids_for(layer, 6)
    # Another seed has other planes until the state is loaded.
    other_seed: dict[str, Any] = {"seed": 5} if lookup.endswith("lsh") else {}
    other = built(lookup, consumption, tables=2, **other_seed)
    meta = built(lookup, consumption, tables=2, device="meta")
    other.load_state_dict(layer.state_dict())
    meta.to_empty(device="cpu").load_state_dict(layer.state_dict())

    for same in (other, meta, deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(layer(x, ids=ids), same(x, ids=ids))
    assert torch.float32 == layer.float()(x.float(), ids=ids).dtype


def test_a_table_off_the_meta_device_draws_what_is_fixed_anew() -> None:
    for lookup in ("sign-lsh", "euclidean-lsh"):
        layer = built(lookup, "add", seed=3)
        meta = built(lookup, "add", seed=3, device="meta")
        meta.to_empty(device="cpu").reset_parameters()

        for name, fixed in layer.lookup.named_buffers():
            assert torch.equal(fixed, meta.lookup.get_buffer(name))


@pytest.mark.parametrize(
    "lookup, consumption", [*product(LOOKUPS, ["add"]), ("ids", "concat"), ("softmax", "concat"), ("softmax", "expert")]
)
def test_a_table_compiles_and_exports_in_one_graph(lookup: str, consumption: str) -> None:
    layer, x = built(lookup, consumption, torch.float32, tables=2).eval(), drawn(6, P, dtype=torch.float32)
    ids = ids_for(layer, 6)
    with torch.no_grad():
        wanted, compiled = layer(x, ids=ids), torch.compile(layer, fullgraph=True, backend="aot_eager")(x, ids=ids)
    tokens = torch.export.Dim("tokens", min=2, max=1024)
    shapes = {"x": {0: tokens}, "generator": None, "ids": None if ids is None else {0: tokens}}

    program = torch.export.export(layer, (x,), {"generator": None, "ids": ids}, dynamic_shapes=shapes)

    torch.compiler.reset()
    assert torch.allclose(wanted, compiled, atol=1e-6)
    more, more_ids = drawn(11, P, dtype=torch.float32), ids_for(layer, 11)
    assert torch.allclose(layer(more, ids=more_ids), program.module()(more, generator=None, ids=more_ids), atol=1e-6)


def test_repr_names_the_options() -> None:
    shown = repr(built("softmax", "add", top_k=3))

    # What was given and what was not.
    assert "in_features=9, out_features=9, lookup=softmax, consumption=add, entries=8, tables=1, top_k=3" in shown
    assert shown.count("backend=auto") == 1


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (None, r"no ids were given.*call layer\(x, ids=\.\.\.\) with one for each token, from 0 to 7"),
        (torch.zeros(3, dtype=torch.int64), r"shape \(3,\) were given for x of shape \(2, 9\).*shape \(2,\)"),
        (torch.zeros(2, 1, dtype=torch.int64), r"shape \(2, 1\) were given"),
        (torch.zeros(2, dtype=torch.int32), r"ids of torch\.int32.*give torch\.int64"),
        (torch.tensor([0, 8]), "the id 8 was given to a memory table of 8 entries; give ids from 0 to 7"),
        (torch.tensor([-1, 0]), "the id -1 was given"),
    ],
)
@pytest.mark.parametrize("consumption", CONSUMPTIONS)
def test_ids_that_do_not_fit_are_refused(consumption: str, ids: torch.Tensor | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        built("ids", consumption, tables=2)(drawn(2, P), ids=ids)


def test_ids_are_refused_where_nothing_looks_them_up() -> None:
    with pytest.raises(InputError, match=r"ids were given to a memory table with lookup='sign-lsh'.*leave them out"):
        built("sign-lsh", "add")(drawn(2, P), ids=torch.zeros(2, dtype=torch.int64))
