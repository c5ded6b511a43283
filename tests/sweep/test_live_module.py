"""The record of a live module."""

import pytest
import torch
from torch import nn

from capratio.errors import InputError
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.sweep import measure_module
from capratio.sweep.case import Sampling
from capratio.sweep.verify import WrongAnswerError

QUICK = Sampling(min_samples=3, max_samples=4, time_limit_s=0.05)


def test_a_linear_module_is_counted_and_timed() -> None:
    record = measure_module(nn.Linear(6, 4), torch.randn(2, 5, 6), QUICK)

    assert record.exact is not None
    assert record.timing is not None
    # 10 tokens: 2·10·6·4 for the product, 10·4 for the bias.
    assert {"product": 480, "overhead": 0, "gating": 0, "bias": 40, "padded": 0} == record.exact.flop
    assert 28 == record.exact.parameters
    assert 3 <= len(record.timing.samples_s) <= 4
    assert (10, 6, 4) == (record.point.tokens, record.point.in_features, record.point.out_features)
    assert record.point.layer.endswith(":Linear")


def test_a_layer_of_ours_is_counted_by_its_own_formulas() -> None:
    record = measure_module(TreeGatedLinear(6, 4, 2, bias=False, order="leaves"), torch.randn(1, 6), QUICK)

    assert record.exact is not None
    # 2·6·4 for the product and 2 additions of a 6·4 matrix.
    assert (48, 48) == (record.exact.flop["product"], record.exact.flop["overhead"])
    assert not record.exact.flop_is_lower_bound


def test_an_operation_without_a_rule_makes_flop_a_lower_bound() -> None:
    class Inverse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inverse: torch.Tensor = torch.linalg.inv(x)
            return inverse

    record = measure_module(Inverse(), torch.eye(3), QUICK)

    assert record.exact is not None
    assert record.exact.flop_is_lower_bound
    assert any("inv" in name for name in record.exact.unknown_operations)


def test_a_module_whose_output_changes_has_no_time() -> None:
    with pytest.raises(WrongAnswerError, match=r"bit-equal.*call module.eval\(\) first"):
        measure_module(nn.Dropout(0.5), torch.randn(4, 64), QUICK)

    assert measure_module(nn.Dropout(0.5).eval(), torch.randn(4, 64), QUICK).measured


def test_an_output_that_is_no_number_is_named() -> None:
    with pytest.raises(WrongAnswerError, match="NaN"):
        measure_module(nn.Linear(3, 2), torch.full((1, 3), torch.nan), QUICK)


def test_an_input_that_the_module_does_not_take_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match=r"Linear does not take an input of shape \(2, 7\), torch.float32 on cpu: "):
        measure_module(nn.Linear(6, 4), torch.randn(2, 7), QUICK)


def test_what_is_no_tensor_is_refused() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    class Total(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum()

    with pytest.raises(InputError, match="the module returned tuple; one tensor"):
        measure_module(Pair(), torch.randn(2, 3), QUICK)
    with pytest.raises(InputError, match="the module returned a tensor without a dimension"):
        measure_module(Total(), torch.randn(2, 3), QUICK)
    with pytest.raises(InputError, match="the input is list"):
        measure_module(nn.Identity(), [1.0], QUICK)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no dimension"):
        measure_module(nn.Identity(), torch.tensor(1.0), QUICK)
    with pytest.raises(InputError, match="latency can be read on the CPU and on CUDA"):
        measure_module(nn.Identity(), torch.empty(2, 3, device="meta"), QUICK)


def test_a_module_that_changes_its_input_is_refused() -> None:
    class Greedy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.add_(1)

    with pytest.raises(WrongAnswerError, match="changes its own input"):
        measure_module(Greedy(), torch.randn(2, 3), QUICK)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(InputError, match=r"the module is function; give an nn\.Module"):
        measure_module(lambda x: x, torch.randn(2, 3), QUICK)  # type: ignore[arg-type]
