"""One gate at a time in a repository."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.gate.work_lock import alone_in


def test_a_second_gate_in_a_repository_is_told_to_wait_and_may_run_later(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(InputError, match="another gate runs in"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass
