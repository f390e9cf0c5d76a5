"""No class is large without a sentence that says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.meta.repository import module_name, sources, tree

MOST_METHODS = 15
MOST_ATTRIBUTES = 15
PHRASE = "Large because "
PARSER = "pastepool.http1.engine.Engine"
"""llhttp calls it back by name, once for each part of a message."""


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of the package, those inside of others too, with its full name."""
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                yield f"{module_name(path)}.{node.name}", node


def methods(node: ast.ClassDef) -> set[str]:
    """The names of its own functions: properties and private ones count."""
    return {each.name for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))}


def attributes(node: ast.ClassDef) -> set[str]:
    """What it sets on ``self``, its fields, its slots and its constants."""
    found = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.value, ast.Name)
        and each.value.id == "self"
    }
    for each in node.body:
        targets = (
            each.targets if isinstance(each, ast.Assign) else [each.target] if isinstance(each, ast.AnnAssign) else []
        )
        for name in (target.id for target in targets if isinstance(target, ast.Name)):
            found |= set(ast.literal_eval(each.value)) if name == "__slots__" else {name}  # type: ignore[union-attr]
    return found


def is_large(node: ast.ClassDef) -> bool:
    """Whether it needs a reason."""
    return len(methods(node)) > MOST_METHODS or len(attributes(node)) > MOST_ATTRIBUTES


def reason(node: ast.ClassDef) -> str:
    """The sentence of its docstring that begins with the phrase; empty without one."""
    words = " ".join((ast.get_docstring(node) or "").split())
    before, phrase, after = words.partition(PHRASE)
    return phrase + after.partition(". ")[0] if not before or before.endswith(". ") else ""


def test_large_classes_say_why() -> None:
    """More than fifteen methods or attributes need a sentence in the docstring that begins with "Large because"."""
    silent = [
        f"{name}: {len(methods(node))} methods, {len(attributes(node))} attributes"
        for name, node in classes()
        if is_large(node) and name != PARSER and not reason(node)
    ]
    assert silent == []


def test_small_classes_do_not_excuse_themselves() -> None:
    """A class that was large once, and is not any more, has lost the sentence with it."""
    assert [name for name, node in classes() if reason(node) and not is_large(node)] == []


def test_parser_is_a_class_and_needs_the_exception() -> None:
    """The one exception names what is there and is large."""
    assert is_large(dict(classes())[PARSER])


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        ("x = 1\n    y: int", {"x", "y"}),
        ("__slots__ = ('a', 'b')", {"a", "b"}),
        ("def f(self):\n        self.a, self.b = 1, 2\n        self.c: int\n        other.d = 3", {"a", "b", "c"}),
    ],
)
def test_attributes_are_counted(body: str, counted: set[str]) -> None:
    """Fields, slots, constants and everything that is set on ``self``; not what is set on others."""
    [node] = ast.parse(f"class C:\n    {body}").body
    assert isinstance(node, ast.ClassDef)
    assert attributes(node) == counted


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("A thing. Large because it is so. More.", "Large because it is so"),
        ("A thing.\n\n    Large because\n    it is so.", "Large because it is so."),
        ("It is Large because.", ""),
        ("A thing.", ""),
    ],
)
def test_reason_is_a_sentence(docstring: str, expected: str) -> None:
    """It begins with the phrase, wherever the docstring breaks its lines."""
    [node] = ast.parse(f'class C:\n    """{docstring}"""').body
    assert isinstance(node, ast.ClassDef)
    assert reason(node) == expected
