"""The locks of the standard library that are taken, found under their names."""

from __future__ import annotations

import colorsys
import contextlib
import importlib
import logging
import logging.handlers
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from pastepool.runtime.inspection.library_locks import taken_locks
from tests.waiting import WATCHDOG


@contextlib.contextmanager
def held(lock: Any) -> Iterator[int]:
    """Another thread holds the lock. Yields its number."""
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            holding.set()
            let_go.wait(WATCHDOG)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(WATCHDOG)
    try:
        yield thread.ident or 0
    finally:
        let_go.set()
        thread.join(WATCHDOG)


@pytest.mark.parametrize(
    ("kind", "knows"), [(threading.Lock, False), (threading.RLock, True), (threading.Condition, True)]
)
def test_lock_of_a_module_is_found(kind: Callable[[], Any], knows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name of the module and the variable, with its owner if the lock knows it."""
    lock = kind()
    monkeypatch.setattr(colorsys, "_lock", lock, raising=False)
    assert "colorsys._lock" not in [taken.name for taken in taken_locks()]
    with held(lock) as owner:
        found = [(taken.name, taken.owner) for taken in taken_locks() if taken.name.startswith("colorsys")]
    assert found == [("colorsys._lock", owner if knows else 0)]


def test_lock_of_a_module_that_is_not_the_standard_librarys_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application may hold its own locks as long as it likes."""
    module = ModuleType("our_shop")
    module.lock = threading.Lock()  # type: ignore[attr-defined]
    monkeypatch.setitem(importlib.sys.modules, "our_shop", module)  # type: ignore[attr-defined]
    with held(module.lock):  # type: ignore[attr-defined]
        assert "our_shop.lock" not in [taken.name for taken in taken_locks()]


def test_locks_of_a_log_handler_are_found() -> None:
    """Its own, and that of the queue it puts lines into."""
    waiting: queue.Queue[object] = queue.Queue()
    handler = logging.handlers.QueueHandler(waiting)
    with held(handler.lock) as owner, held(waiting.mutex):
        found = {(taken.name, taken.owner) for taken in taken_locks()}
    kind = "(logging.handlers.QueueHandler)"
    assert (f"the lock of a log handler {kind}", owner) in found
    assert (f"the lock of the queue of a log handler {kind}", 0) in found


def test_lock_of_an_executor_is_found() -> None:
    """Through its threads."""
    with ThreadPoolExecutor(1, "reports") as executor:
        executor.submit(int).result(WATCHDOG)
        with held(executor._shutdown_lock):
            names = [taken.name for taken in taken_locks()]
    assert "the lock of the executor of reports_0" in names


def test_lock_of_an_import_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows its thread."""
    bootstrap = importlib._bootstrap  # type: ignore[attr-defined]
    lock = bootstrap._get_module_lock("our_shop")
    lock.acquire()
    try:
        found = [(taken.name, taken.owner) for taken in taken_locks()]
    finally:
        lock.release()
    assert ("the import lock of the module our_shop", threading.get_ident()) in found
