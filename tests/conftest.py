"""What all tests share: one torch thread, CUDA tests that skip with their reason, a steady hypothesis."""

import gc
import os
from collections.abc import Iterable

import hypothesis
import pytest

# Subprocesses that tests start inherit these: two cores are enough for one thread each and no more.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# A loaded machine makes a right test slow, so examples have no deadline; every run draws the same examples, so that a
# red one can be seen again.
hypothesis.settings.register_profile("capratio", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("capratio")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Skip tests marked ``cuda`` where there is no CUDA device; torch is imported only if such a test was collected."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    import torch

    if torch.cuda.is_available():
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device on this machine"))


def pytest_collection_finish() -> None:
    """Leave all that is imported out of the garbage, which measurements collect before every one of their samplings."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Run torch on one thread in tests that have already imported it, so that sums have one order."""
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
