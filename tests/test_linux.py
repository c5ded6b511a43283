"""Measuring is for Linux, and says so elsewhere."""

import sys

import pytest

from capratio.errors import InputError
from capratio.linux import require_linux


def test_linux_may_measure() -> None:
    assert require_linux("linux") is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_another_system_is_refused_by_its_name(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)

    with pytest.raises(InputError, match=f"this system is '{system}'.*measure on Linux"):
        require_linux()
