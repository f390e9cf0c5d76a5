"""The garbage collector, kept out of what must not be interrupted."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from pastepool.runtime.inspection.collector import CollectorKeptOut
from tests.waiting import WATCHDOG

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="it never begins inside of a call here")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Leave the collector to the other tests as it was."""
    before = gc.isenabled()
    yield
    if before:
        gc.enable()
    else:
        gc.disable()


def test_it_is_off_inside_and_on_again_afterwards() -> None:
    """Also where somebody inside comes again, and where an exception ends it."""
    gc.enable()
    with pytest.raises(ZeroDivisionError), CollectorKeptOut():
        assert not gc.isenabled()
        with CollectorKeptOut():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_it_stays_off_where_the_application_has_switched_it_off() -> None:
    """That is the application's to decide."""
    gc.disable()
    with CollectorKeptOut():
        pass
    assert not gc.isenabled()


def test_second_thread_waits_for_the_first() -> None:
    """Or the first would switch it on again while the second counts on its being off."""
    gc.enable()
    entered, first_has_left = threading.Event(), threading.Event()
    collects: list[bool] = []

    def second() -> None:
        with CollectorKeptOut():
            entered.set()
            assert first_has_left.wait(WATCHDOG)
            collects.append(gc.isenabled())

    other = threading.Thread(target=second)
    with CollectorKeptOut():
        other.start()
        assert not entered.wait(0.05)
    first_has_left.set()
    other.join(WATCHDOG)
    assert (collects, gc.isenabled()) == ([False], True)
