"""Measuring is for Linux, and says so elsewhere."""

import pytest

from capratio.cli.linux import require_linux
from capratio.errors import InputError


def test_linux_may_measure() -> None:
    refused = False

    try:
        require_linux("linux")
    except InputError:
        refused = True

    assert not refused


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_another_system_is_refused_by_its_name(system: str) -> None:
    with pytest.raises(InputError, match=f"this system is '{system}'.*measure on Linux"):
        require_linux(system)
