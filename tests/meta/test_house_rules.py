"""The habits of the house that a machine can see."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.meta.repository import PACKAGE, ROOT, module_name, sources, texts, tree

LONGEST_FUNCTION = 50
PLACES = [f"/{place}/" for place in ("work", "root", "opt/pp")] + ["/opt/" + "wheels", "/opt/" + "pypi"]
FRAGMENTS = {"security", "removal", "compat", "feature", "bugfix", "doc", "misc"}


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_module_says_what_it_is(path: Path) -> None:
    """Every module has a docstring, and annotations that are not evaluated unless it is nothing but a docstring."""
    module = tree(path)
    assert ast.get_docstring(module)
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in module.body):
        assert "from __future__ import annotations" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_functions_can_be_seen_whole(path: Path) -> None:
    """No function is longer than fifty lines, its docstring not counted."""
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            has_docstring = ast.get_docstring(node) is not None
            first = node.body[1].lineno if has_docstring and len(node.body) > 1 else node.body[0].lineno
            assert (node.end_lineno or first) - first < LONGEST_FUNCTION, f"{path.name}: {node.name}"


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_nothing_is_printed(path: Path) -> None:
    """The package has loggers; print is for programs."""
    calls = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    assert not [name for name in calls if isinstance(name, ast.Name) and name.id == "print"]


def test_lines_of_the_server_leave_by_one_door() -> None:
    """No module logs to a bare logger, where a line without a handler would be lost; the demonstration is no server."""
    bare = re.compile(r"^_\w*log = logging\.getLogger", re.MULTILINE)
    found = {module_name(path) for path in sources() if bare.search(path.read_text(encoding="utf-8"))}
    assert {name for name in found if not name.startswith(("pastepool.demo.", "pastepool.testing."))} == set()


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_package_is_finished(path: Path) -> None:
    """No word in the package asks somebody to come back later."""
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8"))


def test_no_machine_is_named() -> None:
    """No file of the repository names a place on the machine it was written on."""
    files = texts()
    assert len(files) > 50
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        named = [place for place in PLACES if place in text]
        assert not [place for place in named if re.search(rf"(?<![\w.%}}]){place}", text)], path.relative_to(ROOT)


def test_every_test_says_what_it_proves() -> None:
    """Each test has a docstring."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    assert tests
    for path in tests:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_tests_wait_in_one_way() -> None:
    """How long to wait, and how to wait for what comes without an event, is said in tests/waiting.py and nowhere else."""
    said = re.compile(r"^\w*WATCHDOG\b.* = |^def (?:\w+_)?until\(", re.MULTILINE)
    found = [path for path in (ROOT / "tests").rglob("*.py") if said.search(path.read_text(encoding="utf-8"))]
    assert [str(path.relative_to(ROOT)) for path in found] == ["tests/waiting.py"]


def test_fragments_have_a_known_type() -> None:
    """Each changelog fragment ends in a type towncrier knows; another would never be published."""
    names = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != ".gitignore"]
    assert [name for name in names if name.split(".")[-2] not in FRAGMENTS] == []


def test_paths_named_in_the_code_exist() -> None:
    """A module that the code names by its path in the package is there; a move without the name changes a rule."""
    rooms = "|".join(sorted(path.name for path in PACKAGE.iterdir() if path.is_dir()))
    named = {
        node.value
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(rf"(pastepool/)?({rooms})/[\w/]+\.py", node.value)
    }
    assert "wsgi/call.py" in named
    assert [name for name in sorted(named) if not (PACKAGE / name.removeprefix("pastepool/")).is_file()] == []


def test_sentences_name_who_is_meant() -> None:
    """A reader whose English is second-hand finds "who" + "ever" hard, and the sentence seldom says who that is."""
    word = "who" + "ever"
    assert [str(path.relative_to(ROOT)) for path in texts() if word in path.read_text(encoding="utf-8").lower()] == []
