"""
What ``core`` decides is what runs: no public function or class there is used by tests alone.

A rule that is tested but not the one that runs tells nothing about the server. Judged by names: a definition is used
where code outside ``core`` imports it, and where a definition that is used names it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.meta.repository import PACKAGE, module_name, sources, tree

CORE = PACKAGE / "core"
HELPERS = PACKAGE / "testing"
"""What tests are written with is no user either."""

Name = tuple[str, str]
"""A module, and a name at its top level."""

Definition = ast.FunctionDef | ast.ClassDef


def core_modules() -> list[Path]:
    """The modules whose definitions are judged."""
    return [path for path in sources() if CORE in path.parents]


def users() -> list[Path]:
    """The modules that run: the package without ``core`` and without what is for tests."""
    return [path for path in sources() if CORE not in path.parents and HELPERS not in path.parents]


def names_taken(path: Path) -> dict[str, Name]:
    """What each name that a file imports from a module stands for."""
    return {
        alias.asname or alias.name: (str(node.module), alias.name)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def names_in(node: ast.AST, taken: dict[str, Name], module: str) -> Iterator[Name]:
    """Every top-level name that a piece of code uses: imported, of its own module, or of a module it has imported."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield taken.get(part.id, (module, part.id))
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in taken:
            of, name = taken[part.value.id]
            yield f"{of}.{name}", part.attr


def definitions() -> dict[Name, Definition]:
    """Every function and class of ``core``, by module and name."""
    return {
        (module_name(path), node.name): node
        for path in core_modules()
        for node in tree(path).body
        if isinstance(node, Definition)
    }


def used_from_outside() -> set[Name]:
    """What is used where nobody asks who uses it: outside of ``core``, and by what runs when a module is imported."""
    used: set[Name] = set()
    for path in users():
        used.update(names_in(tree(path), names_taken(path), module_name(path)))
    for path in core_modules():
        for node in tree(path).body:
            if not isinstance(node, (Definition, ast.ImportFrom)):
                used.update(names_in(node, names_taken(path), module_name(path)))
    return used


def used_by_what_runs() -> set[Name]:
    """The functions and classes of ``core`` that are used, directly or by one that is."""
    all_of_core = definitions()
    taken = {module_name(path): names_taken(path) for path in core_modules()}
    found: set[Name] = set()
    fresh = used_from_outside() & all_of_core.keys()
    while fresh:
        found |= fresh
        named = {name for user in fresh for name in names_in(all_of_core[user], taken[user[0]], user[0])}
        fresh = (named & all_of_core.keys()) - found
    return found


def test_every_rule_of_core_is_one_that_runs() -> None:
    """Each public function and class of ``core`` is used by code that is neither a test nor a helper of tests."""
    all_of_core = {name for name in definitions() if not name[1].startswith("_")}
    assert len(all_of_core) > 80
    assert sorted(all_of_core - used_by_what_runs()) == []


def test_every_method_of_core_is_one_that_runs() -> None:
    """Each public method and property of a class of ``core`` is asked for, by its name, by code that runs."""
    asked = {
        node.attr
        for path in [*users(), *core_modules()]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
    }
    methods = {
        (*name, node.name)
        for name, definition in definitions().items()
        if isinstance(definition, ast.ClassDef)
        for node in definition.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert len(methods) > 30
    assert sorted(method for method in methods if method[2] not in asked) == []
