"""The working directory of a sweep over a user's layers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capratio.sweep import worker
from tests.sweep.user_module import NAME, SOURCE


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a sweep, with a user's module in it."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    # What a worker appends to the path is taken away again.
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(worker, "limit_memory", lambda: None)
    yield tmp_path
    sys.modules.pop(NAME, None)
