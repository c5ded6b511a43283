"""Every layer on a GPU: answers and gradients held against float64, counted FLOP against the closed form."""

from dataclasses import replace

import pytest

from capratio.records.record import Point
from capratio.sweep import worker
from tests.sweep.points import POINT
from tests.sweep.user_module import measured

# torch says so where the first product of a process is one of a backward pass.
pytestmark = [pytest.mark.cuda, pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS")]

HERE = replace(POINT, in_features=32, out_features=32, depth=0, device="cuda", input="text", backend="auto")
SMALL: dict[str, dict[str, str]] = {
    "act": {"hidden": "16"},
    "altup": {"hidden": "16", "blocks": "2"},
    "block-policy": {"hidden": "64", "blocks": "4", "rate": "0.5"},
    "dynamic-gate": {"hidden": "16"},
    "memory-table": {"entries": "8"},
    "moe-sparse": {"experts": "4", "hidden": "16"},
    "moe-st": {"experts": "4", "hidden": "16"},
    "product-key": {"keys": "16", "top_k": "4", "key_features": "8"},
    "winner-take-all": {"hashes": "3", "tables": "2"},
}
LAYERS = {name: replace(HERE, layer=name, options=options) for name, options in SMALL.items()} | {
    "fast-feedforward": replace(
        HERE, layer="fast-feedforward", form="leaf", depth=2, gate="descent", options={"hidden": "8"}
    )
}
FORMS: dict[str, Point] = LAYERS | {
    "block-policy, two hidden layers": replace(
        LAYERS["block-policy"], options=SMALL["block-policy"] | {"hidden_layers": "2"}
    ),
    "moe-sparse, hierarchical": replace(
        LAYERS["moe-sparse"], options=SMALL["moe-sparse"] | {"gating": "hierarchical", "groups": "2"}
    ),
    **{
        f"{layer}, collapsed": replace(HERE, layer=layer, form="collapsed", depth=2)
        for layer in ("tree-shared", "tree-unit", "tree-bias")
    },
    **{
        f"memory-table, {lookup}, {consumption}": replace(
            LAYERS["memory-table"],
            options={"entries": "8", "lookup": lookup, "consumption": consumption},
            out_features=48 if consumption == "concat" else 32,
        )
        for lookup in ("ids", "sign-lsh", "euclidean-lsh", "softmax")
        for consumption in ("add", "concat", "expert")
    },
}


@pytest.fixture(autouse=True)
def _free_memory_of_the_test_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "limit_memory", lambda: None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("pass_", ["forward", "decode", "train"])
@pytest.mark.parametrize("name", FORMS)
def test_a_layer_is_right_on_a_gpu_and_costs_what_it_promises(name: str, pass_: str, dtype: str) -> None:
    tokens = 1 if pass_ == "decode" else 65

    (record,) = measured(replace(FORMS[name], pass_=pass_, dtype=dtype, tokens=tokens))

    assert ("measured", None) == (record.status, record.reason)
    assert record.exact is not None
    assert record.exact.flop == record.exact.promised_flop
    assert record.timing is not None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_large_batch_gives_the_same_gradients_to_the_bit(name: str, dtype: str) -> None:
    (record,) = measured(replace(LAYERS[name], pass_="train", dtype=dtype, tokens=4096, depth=0))

    assert ("measured", None) == (record.status, record.reason)
