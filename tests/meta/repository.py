"""Find the files of the repository for the meta tests, and parse the Python files and setup.cfg."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "pastepool"
SKIPPED = {".git", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".stamps", ".tox", ".venv", "build"}
SKIPPED |= {".import_linter_cache", "_build", "__pycache__", "pastepool.egg-info"}


@contextmanager
def sphinx_extension(name: str) -> Iterator[ModuleType]:
    """Import one of the manual's Sphinx extensions for a while. It is in no package, so this loads it by its path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "_ext" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]


def sources() -> list[Path]:
    """Return the path of every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def texts() -> list[Path]:
    """Return every text file of the repository. Files that tools make are left out."""
    kinds = {".py", ".md", ".ini", ".cfg", ".toml", ".in", ".lua", ""}
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [Path(folder, name) for name in names if name not in SKIPPED and not name.startswith(".coverage")]
    return sorted(path for path in found if path.suffix in kinds)


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """Return the module name of a path: ``pastepool.core.states`` for ``pastepool/core/states.py``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, also inside functions and for type checking."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@cache
def setup_cfg() -> ConfigParser:
    """Return setup.cfg, parsed."""
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config


def lines_of(section: str, key: str) -> list[str]:
    """Return the lines of a value in setup.cfg, without empty ones."""
    return [line for line in setup_cfg()[section][key].splitlines() if line]
