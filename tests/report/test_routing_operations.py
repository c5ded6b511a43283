"""What a report counts as routing: gating and routing operations, without the compares of relu."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from capratio.records.record import Record
from capratio.report.routing_operations import routing_of


@pytest.mark.parametrize(
    ("layer", "form", "options", "visits", "compares"),
    [
        # 3 tokens through leaves of 5 units, and as many again in the gradient.
        ("fast-feedforward", "leaf", {"hidden": "5"}, None, {"forward": 15, "train": 30}),
        # Its neurons have no relu.
        ("fast-feedforward", "path", None, None, {"forward": 0, "train": 0}),
        # 6 assignments to experts of 4 units; the gradients compare twice.
        ("moe-sparse", "path", {"hidden": "4"}, {"assignments": 6}, {"forward": 24, "train": 72}),
        ("tree-shared", "path", None, None, {"forward": 0, "train": 0}),
        ("mine.layers:Mine", "path", {"hidden": "4"}, None, {"forward": 0, "train": 0}),
    ],
)
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_relus_compares_are_no_routing(
    layer: str,
    form: str,
    options: dict[str, str] | None,
    visits: dict[str, int] | None,
    compares: dict[str, int],
    pass_: str,
    record_maker: Callable[..., Record],
) -> None:
    record = record_maker()
    assert record.exact is not None
    exact = replace(record.exact, flop={"product": 9000, "gating": 100}, routing_operations=1000, visits=visits)
    point = replace(record.point, layer=layer, form=form, options=options, tokens=3, pass_=pass_)

    assert 1100 - compares[pass_] == routing_of(point, exact)
