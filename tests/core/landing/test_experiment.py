"""Where the code says that an exception leaves nothing behind, none does: tried at each instruction of each shape."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from pastepool.core.landing.grade import Grade
from pastepool.core.landing.verdict import Standing, raised_before
from pastepool.core.ownership import calls_application
from tests.core.landing import shapes
from tests.core.landing.raising import Hit, run_and_raise
from tests.core.landing.shapes import SHAPES, Things


@calls_application
def call(shape: Callable[[Things], object], things: Things) -> None:
    """Stands for the function that calls an application."""
    shape(things)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Leave what earlier tests have made out of the collections of this module."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def stack(frame: FrameType | None, offset: int) -> Iterator[Standing]:
    """Return the calls of a stack, innermost first."""
    while frame is not None:
        yield frame.f_code, offset
        frame = frame.f_back
        offset = frame.f_lasti if frame is not None else 0


def outcomes(shape: Callable[[Things], object]) -> Iterator[tuple[Grade, list[str], str]]:
    """Raise at the first instruction, then at the second, and so on. Yields the grade, what was left, and the place."""
    nth = 0
    while True:
        nth += 1
        seen = 0
        found: list[tuple[Grade, str]] = []

        def raises(frame: FrameType, offset: int) -> bool:
            nonlocal seen
            seen += 1
            if seen != nth:  # noqa: B023
                return False
            place = f"{frame.f_code.co_name}:{frame.f_lineno} at {offset}"
            found.append((raised_before(stack(frame, offset)), place))  # noqa: B023
            return True

        things = Things()
        try:
            run_and_raise(lambda: call(shape, things), shapes.__file__, raises)  # noqa: B023
        except Hit:
            pass
        else:
            return
        gc.collect()
        (grade, place) = found[0]
        yield grade, things.left(), place


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_left_where_the_grade_is_safe(name: str) -> None:
    """And the grade is not just always a bad one: at least a tenth of the instructions are safe."""
    results = list(outcomes(SHAPES[name]))
    wrong = [f"{place} left {left}" for grade, left, place in results if grade <= Grade.LIBRARY and left]
    assert wrong == []
    safe = sum(grade <= Grade.LIBRARY for grade, _, _ in results)
    assert len(results) > 20
    assert safe >= len(results) / 10, f"{safe} of {len(results)}"
