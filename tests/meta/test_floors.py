"""
Imports go down, judged from the source and from the contracts in setup.cfg.

import-linter holds the same contracts in ``make lint``, indirect imports included; this one runs with the tests, and
needs nothing but the standard library.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.repository import imported, lines_of, module_name, sources

FLOORS = [re.findall(r"\w+", line) for line in lines_of("importlinter:contract:floors", "layers")]
ASIDE = lines_of("importlinter:contract:floors", "exhaustive_ignores")
VALUES = lines_of("importlinter:contract:values", "source_modules")
FORBIDDEN = lines_of("importlinter:contract:values", "forbidden_modules")
PUBLIC = {"CallableWork": "pooling", "ServerThread": "embedding", "Work": "pooling", "WorkerPool": "embedding"}
"""The rooms of the names that the package itself has."""


def floor_of(name: str) -> int | None:
    """0 for the ground floor; None for what stands beside the house."""
    top = name.split(".")[1] if "." in name else ""
    top = PUBLIC.get(top, top)
    return next((number for number, rooms in enumerate(reversed(FLOORS)) if top in rooms), None)


@pytest.mark.parametrize(
    "path", [path for path in sources() if floor_of(module_name(path)) is not None], ids=module_name
)
def test_imports_go_down(path: Path) -> None:
    """A module imports from floors below its own, or from its own room."""
    own = module_name(path)
    own_floor = floor_of(own)
    assert own_floor is not None
    for name in imported(path):
        if name.startswith("pastepool."):
            same_room = name.split(".")[1] == own.split(".")[1]
            floor = floor_of(name)
            assert same_room or name == "pastepool.__version__" or (floor is not None and floor < own_floor), name


def test_every_module_has_a_floor() -> None:
    """No part of the package stands outside the contract unless setup.cfg says so."""
    rooms = {module_name(path).split(".")[1] for path in sources() if "." in module_name(path)}
    assert rooms <= {room for floor in FLOORS for room in floor} | set(ASIDE)


def test_decisions_know_no_machine() -> None:
    """core, http1 and wsgi import no thread, socket, clock, log or file descriptor."""
    judged = [path for path in sources() if module_name(path).startswith(tuple(VALUES))]
    assert len(judged) >= 15
    for path in judged:
        assert not {name.split(".")[0] for name in imported(path)} & set(FORBIDDEN), path


@pytest.mark.parametrize("path", [path for path in sources() if ".adapters." in module_name(path)], ids=module_name)
def test_modules_of_adapters_are_small(path: Path) -> None:
    """An adapter translates and does nothing else: no module of one has 200 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) < 200
