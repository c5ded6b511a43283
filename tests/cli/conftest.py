"""Modules behind a command, replaced so that the command alone is tested."""

import sys
import types
from collections.abc import Callable

import pytest

Stand = Callable[..., None]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """A function that replaces the module ``name`` by one that holds the given attributes, until the test ends."""

    def replace(name: str, **attributes: object) -> None:
        module = types.ModuleType(name)
        for attribute, value in attributes.items():
            setattr(module, attribute, value)
        monkeypatch.setitem(sys.modules, name, module)

    return replace
