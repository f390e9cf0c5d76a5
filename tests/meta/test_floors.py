"""
Imports go down, judged from the source and from the contracts in setup.cfg.

import-linter holds the same contracts in ``make lint``, indirect imports included; this one runs with the tests, and
needs nothing but the standard library.
"""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

import pytest

from tests.meta.repository import imported, lines_of, module_name, sources, tree

FLOORS = [re.findall(r"\w+", line) for line in lines_of("importlinter:contract:floors", "layers")]
ASIDE = lines_of("importlinter:contract:floors", "exhaustive_ignores")
VALUES = lines_of("importlinter:contract:values", "source_modules")
FORBIDDEN = lines_of("importlinter:contract:values", "forbidden_modules")
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}
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


PARENT = [path for path in sources() if module_name(path).startswith("pastepool.process")]
BESIDE = ("pastepool.core.generations", "pastepool.runtime.family")
"""What decides for the parent, and what acts for it."""


def lines_of_code(path: Path) -> int:
    """How many lines have code on them: no comment alone, no docstring, no empty line."""
    module = tree(path)
    bodies = [node for node in ast.walk(module) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    strings = [each for node in bodies for each in node.body if isinstance(each, ast.Expr)]
    docstrings = {
        line
        for each in strings
        if isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
        for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
    }
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in NO_CODE]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - docstrings)


def test_parent_can_be_read_in_one_sitting() -> None:
    """Nothing may ever be wrong in the process that looks after all others. So it has less than 700 lines of code."""
    assert len(PARENT) >= 9
    assert sum(map(lines_of_code, PARENT)) < 700


@pytest.mark.parametrize(
    "path", [*PARENT, *(path for path in sources() if module_name(path).startswith(BESIDE))], ids=module_name
)
def test_modules_of_the_parent_are_small(path: Path) -> None:
    """None has 200 lines, docstrings and all."""
    assert len(path.read_text(encoding="utf-8").splitlines()) < 200


def test_lines_of_code_are_counted(tmp_path: Path) -> None:
    """A statement over two lines counts twice; what only explains does not count."""
    path = tmp_path / "module.py"
    path.write_text(
        '"""A docstring\n\nof three lines."""\n\n# a comment\nX = (1,\n    2)  # two\n"""What X is."""\n\n\n'
        'def f():\n    """Do."""\n    text = """\n\na"""\n    return text\n'
    )
    assert lines_of_code(path) == 2 + 1 + 3 + 1


ADAPTERS = {
    "cheroot": ["cheroot"],
    "flup": ["flup"],
    "twisted": ["twisted"],
    "the service and the plugin of Twisted": ["twistd"],
    "the entry points for flup": ["flup_factory"],
    "what they share": ["missing", "sockets"],
}
"""The parts of ``pastepool.adapters`` that a person reads in one sitting each, with their modules or packages."""


def of_adapters() -> dict[str, list[Path]]:
    """The modules of ``pastepool.adapters``, by the name after that."""
    found: dict[str, list[Path]] = {}
    for path in sources():
        _, _, name = module_name(path).partition("pastepool.adapters.")
        if name:
            found.setdefault(name.split(".")[0], []).append(path)
    return found


@pytest.mark.parametrize("part", ADAPTERS)
def test_adapters_are_small(part: str) -> None:
    """An adapter translates and does nothing else: all of its modules together have less than 200 lines of code."""
    counts = {path.name: lines_of_code(path) for room in ADAPTERS[part] for path in of_adapters()[room]}
    assert 0 < sum(counts.values()) < 200, counts


def test_every_module_of_adapters_is_counted() -> None:
    """No module escapes the limit because nobody has named it."""
    assert sorted(of_adapters()) == sorted(room for rooms in ADAPTERS.values() for room in rooms)
