"""
Find the files of the application among the installed packages, so that a stack shows where the application hangs.

An application that was installed with pip lies beside its libraries, and its path says nothing. But the server calls
it, and the configuration names it. The distributions of both are the application's. Python keeps a list of the files of
each distribution, which also tells two distributions apart that share a namespace package.

Reads the lists of installed packages, so it runs once, when a server starts. Nothing raises.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

from pastepool.core.ownership import is_framework, is_installed
from pastepool.runtime.log.scribe import scribbled

_log = scribbled("pastepool")

_INNER = frozenset(
    "app _app application _application wsgi_app wsgi_application wrapped _wrapped wrap_app inner next_app original_app"
    " handler func callable apps applications mounts __wrapped__".split()
)
"""The names under which middleware keeps the application that it wraps, and a composite its applications."""

_MOST_CALLABLES = 100
"""How many callables are looked at: more than any pipeline has."""


def files_of_application(application: Any, distributions: Collection[str], modules: Collection[str]) -> frozenset[str]:
    """
    Return the paths of the application's source files that lie among installed packages.

    Args:
        application: what the server calls.
        distributions, modules: the names in the configuration (``egg:shop``, ``call:shop.wsgi:main``).

    Returns:
        empty for an application elsewhere, which its paths tell from a library anyway.
    """
    try:
        named = [name for name in distributions if not is_framework(name)]
        found = {file for name in named for file in _files_of(_distribution(name))}
        called = {module for module in {*modules, *_modules_of(application)} if not is_framework(_package_of(module))}
        installed = {module: file for module in called if (file := _installed_file(module)) and file not in found}
        owners = importlib.metadata.packages_distributions() if installed else {}
        for module, file in installed.items():
            found |= _files_beside(module, file, owners.get(_package_of(module), ()))
        return frozenset(found)
    except Exception:  # objects of the application may do anything when they are looked at
        _log.warning("stacks may name a library instead of the application: its files were not found", exc_info=True)
        return frozenset()


def _package_of(module: str) -> str:
    return module.partition(".")[0]


def _installed_file(module: str) -> str:
    """Return the file of a module that was imported and is among the installed packages; empty for another one."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return os.path.normpath(file) if isinstance(file, str) and is_installed(file) else ""


def _files_beside(module: str, file: str, distributions: Collection[str]) -> set[str]:
    """Return the files of the distribution that lists a module's file; if none of them does, those of its package."""
    for name in distributions:
        files = set(_files_of(_distribution(name)))
        if file in files:
            return files
    return set(_sources_below(os.path.dirname(file))) if "." in module or _is_package(file) else {file}


def _is_package(file: str) -> bool:
    return os.path.basename(file).startswith("__init__.")


def _sources_below(folder: str) -> Iterator[str]:
    for at, _, names in os.walk(folder):
        yield from (os.path.join(at, name) for name in names if name.endswith(".py"))


def _distribution(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def _files_of(distribution: importlib.metadata.Distribution | None) -> Iterator[str]:
    """Yield the installed source files of a distribution. Those of an editable one lie elsewhere and are not listed."""
    for file in (distribution.files or ()) if distribution is not None else ():
        if file.name.endswith(".py"):
            path = os.path.normpath(str(file.locate()))
            if is_installed(path):
                yield path


def _modules_of(application: Any) -> set[str]:
    """Return the modules of a callable and of what it wraps, and the modules that a framework says it serves."""
    modules: set[str] = set()
    seen: set[int] = set()
    waiting = [application]
    while waiting and len(seen) < _MOST_CALLABLES:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        modules.update(_named_by(one))
        waiting += _inside(one)
    if any(_package_of(module) == "django" for module in modules):
        modules.add(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    return {module for module in modules if module}


def _named_by(one: Any) -> Iterator[str]:
    fields = _fields_of(one)
    has_module = isinstance(one, (FunctionType, type))
    registry = fields.get("registry")  # of Pyramid's router
    for name in (
        one.__module__ if has_module else type(one).__module__,
        fields.get("import_name"),  # of a Flask application
        getattr(registry, "package_name", None) if registry is not None else None,
    ):
        if isinstance(name, str):
            yield name


def _inside(one: Any) -> Iterator[Any]:
    if isinstance(one, MethodType):
        yield one.__self__
        yield one.__func__
    elif isinstance(one, functools.partial):
        yield one.func
    if isinstance(one, FunctionType):
        yield from _closed_over(one)
    for name, value in _fields_of(one).items():
        if name in _INNER:
            yield from _callables(value)


def _closed_over(function: FunctionType) -> Iterator[Any]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name in _INNER:
            try:
                yield from _callables(cell.cell_contents)
            except ValueError:
                continue  # the variable has no value yet


def _callables(value: Any) -> Iterable[Any]:
    """Return what can be called among a value, the items of a list and of its pairs, and the values of a mapping."""
    if isinstance(value, Mapping):
        return [item for item in value.values() if callable(item)]
    if isinstance(value, (list, tuple)):
        items = [item[-1] if isinstance(item, tuple) and item else item for item in value]
        return [item for item in items if callable(item)]
    return [value] if callable(value) else []


def _fields_of(one: Any) -> Mapping[str, Any]:
    """Return what an object keeps, without running code of it."""
    try:
        fields = object.__getattribute__(one, "__dict__")
    except AttributeError:
        return {}
    return dict(fields) if isinstance(fields, Mapping) and not isinstance(one, type) else {}
