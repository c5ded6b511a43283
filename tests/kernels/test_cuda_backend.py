"""When the backend ``cuda`` is taken, and what is said where it cannot be."""

import sys

import pytest
import torch

from capratio.errors import InputError
from capratio.kernels import backends

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FOLDERS = [folder for folder, found in backends.BACKENDS.items() if "cuda" in found]


def test_every_operation_but_projections_that_decide_and_whole_layers_of_peers_has_cuda_kernels() -> None:
    without = {"hyperplane_bits", "router_logits", "leaf_feedforward", "path_feedforward"}

    assert set(FOLDERS) == set(backends.BACKENDS) - without


@pytest.mark.parametrize("folder", FOLDERS)
def test_auto_takes_cuda_on_a_cuda_device_alone(folder: str) -> None:
    assert "cuda" == backends.resolve_backend(folder, "auto", GPU, torch.bfloat16)
    assert "cuda" != backends.resolve_backend(folder, "auto", CPU, torch.bfloat16)


def test_float64_goes_to_the_reference_by_auto_and_is_refused_by_name() -> None:
    assert "reference" == backends.resolve_backend("leaf_linear", "auto", GPU, torch.float64)
    with pytest.raises(InputError, match="backend='cuda' was given for float64, which its kernels do not take"):
        backends.resolve_backend("leaf_linear", "cuda", GPU, torch.float64)


def test_cuda_for_tensors_of_the_cpu_is_refused_unless_triton_interprets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(InputError, match="backend='cuda' was given for tensors on cpu"):
        backends.resolve_backend("leaf_linear", "cuda", CPU)

    monkeypatch.setenv("TRITON_INTERPRET", "1")

    assert "cuda" == backends.resolve_backend("leaf_linear", "cuda", CPU)


def test_a_missing_triton_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("capratio.kernels.")]:
        if ".cuda" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)

    with pytest.raises(
        InputError, match=r"^the cuda kernels of leaf_linear cannot be loaded \(.*triton.*\); install triton"
    ):
        backends.implementation.__wrapped__("leaf_linear", "leaf_linear", "cuda", "cuda")
