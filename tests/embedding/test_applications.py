"""What is looked up before a server serves."""

from __future__ import annotations

from typing import Any

import pytest

from pastepool.embedding.applications import function_named
from pastepool.errors import SettingsError
from pastepool.settings import read

CALLS: list[str] = []


def note() -> None:
    """A function that an INI file may name."""
    CALLS.append("called")


def named(name: str) -> Any:
    """The function of settings that name it."""
    return function_named(read({"after_fork": name} if name else {}, {}))


def test_function_of_after_fork_is_found() -> None:
    """By its module and name; without the option nothing is called."""
    named("")()
    assert CALLS == []
    named(f"{__name__}:note")()
    assert CALLS == ["called"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:start", "after_fork = no_such_module:start is not there: No module named"),
        ("os.path:no_such", "after_fork = os.path:no_such is not there: .*no_such"),
        ("os.path:sep", "after_fork = os.path:sep cannot be called; name a function"),
    ],
)
def test_function_that_is_not_there_is_named(name: str, why: str) -> None:
    """In one sentence, before anything serves."""
    with pytest.raises(SettingsError, match=why):
        named(name)
