"""The garbage collector, kept out of what must not be interrupted."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from pastepool.runtime.collector import CollectorKeptOut

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


def test_two_threads_at_once_leave_it_on() -> None:
    """The second waits for the first, or it would find it off and leave it so."""
    gc.enable()
    came: list[bool] = []

    def second() -> None:
        with CollectorKeptOut():
            came.append(gc.isenabled())

    with CollectorKeptOut():
        other = threading.Thread(target=second)
        other.start()
        assert came == []
    other.join()
    assert came == [False]
    assert gc.isenabled()
