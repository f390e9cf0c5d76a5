"""What the meta tests look at: the tree, and its Python files parsed."""

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
    """One of the manual's own extensions, which are in no package."""
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
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def texts() -> list[Path]:
    """Every file of the repository that people read or machines run; not what is made from them."""
    kinds = {".py", ".md", ".ini", ".cfg", ".toml", ".in", ".lua", ""}
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [Path(folder, name) for name in names if name not in SKIPPED and not name.startswith(".coverage")]
    return sorted(path for path in found if path.suffix in kinds)


@cache
def tree(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """``pastepool/core/states.py`` as ``pastepool.core.states``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Full names of all modules the file imports anywhere, also inside functions and for type checking."""
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
    """The project's configuration."""
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config


def lines_of(section: str, key: str) -> list[str]:
    """The lines of a multi-line value in setup.cfg."""
    return [line for line in setup_cfg()[section][key].splitlines() if line]
