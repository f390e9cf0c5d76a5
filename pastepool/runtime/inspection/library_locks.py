"""
Find the locks of the standard library that are taken now.

These are the locks that its modules keep under a name, those of logging handlers, those of imports, and those of
executors. A lock that an object of the application has is not found. A look takes about a millisecond, takes no lock and
runs no code of the application.

Runs on: supervisor.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import weakref
from collections.abc import Iterator
from itertools import islice
from types import ModuleType
from typing import Any

from pastepool.core.left_locks import TakenLock

_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
_OWNER = re.compile(r"owner=(\d+)")

_MOST = 1000
"""How many handlers, imports and executors are looked at. The number is a guess: more than any application has."""


def taken_locks() -> list[TakenLock]:
    """Return the locks that are taken now, each with its owner where the lock knows it."""
    found = (_seen(name, lock) for name, lock in (*_of_modules(), *_of_handlers(), *_of_executors()))
    return [taken for taken in (*found, *_of_imports()) if taken is not None]


def _seen(name: str, lock: Any) -> TakenLock | None:
    if isinstance(lock, threading.Condition):
        lock = lock._lock  # type: ignore[attr-defined]
    if isinstance(lock, _LOCK):
        return TakenLock(id(lock), name) if lock.locked() else None
    if not isinstance(lock, _RLOCK):
        return None
    owner = int(match[1]) if (match := _OWNER.search(repr(lock))) else 0
    return TakenLock(id(lock), name, owner) if owner else None


def _of_modules() -> Iterator[tuple[str, Any]]:
    for name, module in list(sys.modules.items()):
        # A module that is loaded only when it is used is of another type; looking into it would load it.
        if type(module) is not ModuleType or name.partition(".")[0] not in sys.stdlib_module_names:
            continue
        for variable, value in list(vars(module).items()):
            if isinstance(value, _LOCK | _RLOCK | threading.Condition):
                yield f"{name}.{variable}", value


def _of_handlers() -> Iterator[tuple[str, Any]]:
    references: list[Any] = getattr(logging, "_handlerList", [])
    for reference in references[:_MOST]:
        handler = reference()
        if handler is not None:
            kind = f"{type(handler).__module__}.{type(handler).__qualname__}"
            yield f"the lock of a log handler ({kind})", handler.lock
            mutex = getattr(getattr(handler, "queue", None), "mutex", None)
            yield f"the lock of the queue of a log handler ({kind})", mutex


def _of_executors() -> Iterator[tuple[str, Any]]:
    """Executors are found through their threads, which have a weak reference to them as their first argument."""
    module = sys.modules.get("concurrent.futures.thread")
    for thread in islice(list(getattr(module, "_threads_queues", ())), _MOST):
        reference = next(iter(getattr(thread, "_args", ())), None)
        executor = reference() if isinstance(reference, weakref.ref) else None
        yield f"the lock of the executor of {thread.name}", getattr(executor, "_shutdown_lock", None)


def _of_imports() -> Iterator[TakenLock]:
    """The locks of modules that are being imported know their thread."""
    bootstrap: Any = sys.modules["importlib._bootstrap"]
    for name, reference in islice(list(bootstrap._module_locks.items()), _MOST):
        lock = reference()
        owner = getattr(lock, "owner", None)
        if owner:
            yield TakenLock(id(lock), f"the import lock of the module {name}", owner)
