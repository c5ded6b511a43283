"""What row_lookup refuses, what it promises to cost, and how torch's tools find it."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationFormula
from capratio.errors import InputError
from capratio.kernels.row_lookup import (
    reference,
    row_lookup,
    row_lookup_share_gradient,
    row_lookup_table_gradient,
    row_lookup_touched_gradient,
)

ROWS = 11
Share = torch.Tensor | None


def bag(
    tokens: int, lookups: int, features: int, shared: bool, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Share]:
    """A gradient of the output, a table, rows and shares."""
    generator = torch.Generator().manual_seed(0)
    grad, table, share = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in ((tokens, features), (ROWS, features), (tokens, lookups))
    )
    return grad, table, torch.randint(0, ROWS, (tokens, lookups), generator=generator), share if shared else None


def promised(name: str, *arguments: Any) -> Flop:
    formula = flop_registry[getattr(torch.ops.capratio, name)]
    assert isinstance(formula, OperationFormula)
    return formula.cost(*arguments, "reference", out_val=None).flop


def test_the_cost_of_two_bags_by_hand() -> None:
    # 2 tokens, 3 rows of 5 features each: 6 rows, 30 elements.
    grad, table, row, share = bag(2, 3, 5, True)

    # To scale and to add each element; without shares two adds for three rows.
    assert Flop(product=60) == promised("row_lookup", table, row, share)
    assert Flop(overhead=20) == promised("row_lookup", table, row, None)
    assert Flop(product=60) == promised("row_lookup_share_gradient", grad, table, row)
    assert Flop(product=60) == promised("row_lookup_table_gradient", grad, row, share, ROWS)
    # Each of six rows is added to a gradient that begins at zero.
    assert Flop(overhead=30) == promised("row_lookup_table_gradient", grad, row, None, ROWS)
    assert Flop(overhead=30) == promised("row_lookup_touched_gradient", grad, row, None, ROWS)


def test_the_bytes_and_steps_of_two_bags_by_hand() -> None:
    grad, table, row, share = bag(2, 3, 5, True, torch.float32)
    lookup, touched = (
        flop_registry[getattr(torch.ops.capratio, f"row_lookup{end}")] for end in ("", "_touched_gradient")
    )

    forward = lookup.cost(table, row, share, "cpu", out_val=None)
    backward = touched.cost(grad, row, share, ROWS, "cpu", out_val=None)

    # Six rows of 20 bytes with an index and a share each are read, two outputs written.
    assert (6 * (20 + 8 + 4), 2 * 20, 6) == (forward.read_bytes, forward.written_bytes, forward.rows_gathered)
    # Six look-ups are sorted: 6 x 3 steps. They and their places are written, then 6 sums and 6 rows of zeros.
    assert 18 == backward.routing_operations
    assert 6 * 8 + 6 * (20 + 20 + 8 + 4) == backward.read_bytes
    assert 2 * 6 * 8 + 6 * 20 + 6 * 20 == backward.written_bytes


@pytest.mark.parametrize("tokens, lookups", [(0, 3), (1, 1), (4, 0), (5, 3)])
@pytest.mark.parametrize("shared", [False, True])
def test_formulas_equal_what_the_reference_runs(aten_count: Any, tokens: int, lookups: int, shared: bool) -> None:
    grad, table, row, share = bag(tokens, lookups, 6, shared)
    cases: dict[str, tuple[Any, ...]] = {
        "row_lookup": (table, row, share),
        "row_lookup_table_gradient": (grad, row, share, ROWS),
        "row_lookup_touched_gradient": (grad, row, share, ROWS),
        "row_lookup_share_gradient": (grad, table, row),
    }

    for name, arguments in cases.items():
        with torch.no_grad(), aten_count() as count:
            getattr(reference, name)(*arguments)
        if lookups or shared or name != "row_lookup":
            assert promised(name, *arguments).total == count.product + count.other, name


def test_the_counter_of_torch_reads_the_formulas() -> None:
    grad, table, row, share = bag(2, 3, 5, True)
    assert share is not None

    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(row_lookup(table.requires_grad_(), row, share.requires_grad_()), grad)

    assert 3 * 60 == counter.get_total_flops()


@pytest.mark.parametrize("index", [-1, ROWS])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("features", [5, 130])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_outside_of_the_table_is_refused(dtype: torch.dtype, features: int, backend: str, index: int) -> None:
    grad, table, row, share = bag(2, 3, features, True, dtype)
    row[1, 2] = index
    sentence = f"the index {index} was given into a table of 11 rows; give indices from 0 to 10"

    for call in (
        lambda: row_lookup(table, row, share, backend),
        lambda: row_lookup(table, row, None, backend),
        lambda: row_lookup(table[:, :0], row, None, backend),
        lambda: row_lookup_share_gradient(grad, table, row, backend),
        lambda: row_lookup_table_gradient(grad, row, share, ROWS, backend),
        lambda: row_lookup_touched_gradient(grad, row, None, ROWS, backend),
    ):
        with pytest.raises(InputError, match=sentence):
            call()


def test_tensors_that_do_not_fit_are_refused() -> None:
    _, table, row, share = bag(2, 3, 5, True)
    assert share is not None

    with pytest.raises(
        InputError, match=r"row_lookup was given row of shape \(6,\).*give table \(R, d\), share \(N, m\)"
    ):
        row_lookup(table, row.flatten(), share)
    with pytest.raises(InputError, match=r"row_lookup was given row of shape \(2, 3\), which does not fit"):
        row_lookup(table, row, share[:, :2])
    with pytest.raises(InputError, match=r"share of torch.float32 and table of torch.float64"):
        row_lookup(table, row, share.float())
    with pytest.raises(InputError, match=r"row_lookup was given row of torch.int32; give torch.int64"):
        row_lookup(table, row.int(), share)
    with pytest.raises(InputError, match="backend='fast' is not known"):
        row_lookup(table, row, share, "fast")
    with pytest.raises(InputError, match="weight_gradient='sparse' is not known"):
        row_lookup(table, row, share, weight_gradient="sparse")


def test_a_touched_gradient_is_neither_compiled_nor_derived_twice() -> None:
    _, table, row, share = bag(2, 3, 5, True)
    table.requires_grad_()
    out = row_lookup(table, row, share, weight_gradient="touched")

    with pytest.raises(InputError, match="create_graph=True"):
        torch.autograd.grad(out.sum(), table, create_graph=True)
    compiled = torch.compile(row_lookup, fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="torch compiles no sparse gradient"):
        compiled(table, row, share, weight_gradient="touched")


@pytest.mark.parametrize("shared", [False, True])
def test_torch_finds_schema_fake_kernel_and_autograd_consistent(shared: bool) -> None:
    grad, table, row, share = bag(4, 3, 5, shared)
    numbers = [one if one is None else one.requires_grad_() for one in (grad, table, share)]

    for name, given in (
        ("row_lookup", (numbers[1], row, numbers[2])),
        ("row_lookup_share_gradient", (numbers[0], numbers[1], row)),
        ("row_lookup_table_gradient", (numbers[0], row, numbers[2], ROWS)),
        ("row_lookup_touched_gradient", (grad.detach(), row, share if share is None else share.detach(), ROWS)),
    ):
        tests = ("test_schema", "test_autograd_registration", "test_faketensor")
        overload = getattr(torch.ops.capratio, name).default
        torch.library.opcheck(overload, (*given, "auto"), test_utils=tests[::2] if "touched" in name else tests)


@pytest.mark.parametrize("shared", [False, True])
def test_a_bag_compiles_and_exports_in_one_graph(shared: bool) -> None:
    class Bags(torch.nn.Module):
        def forward(self, table: torch.Tensor, row: torch.Tensor, share: Share) -> torch.Tensor:
            return row_lookup(table, row, share)

    _, table, row, share = bag(4, 3, 5, shared)
    expected = row_lookup(table, row, share)

    assert torch.equal(expected, torch.compile(Bags(), fullgraph=True, backend="aot_eager")(table, row, share))
    assert torch.equal(expected, torch.export.export(Bags(), (table, row, share)).module()(table, row, share))
