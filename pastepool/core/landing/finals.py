"""Say which ``finally`` an exception runs first, by the instruction at which it is raised. Pure; any thread."""

from __future__ import annotations

import functools
from types import CodeType

from pastepool.core.landing.cover import cover_of
from pastepool.core.landing.handlers import Handler, body_of, kind_of
from pastepool.core.landing.listing import listing

_KEPT = 8
"""Of how many functions it is kept. One function is asked about: ``Condition.wait``."""


def runs_the_same_finally(code: CodeType, first: int, second: int) -> bool:
    """Say whether an exception that is raised at either offset of a function runs one and the same ``finally`` first."""
    finals = _finals_of(code)
    return first in finals and finals[first] == finals.get(second)


@functools.lru_cache(maxsize=_KEPT)
def _finals_of(code: CodeType) -> dict[int, int]:
    """Return the offset of the ``finally`` for the offset of each instruction that stands in a ``try`` with one."""
    steps = listing(code)
    cover = cover_of(code, steps)
    kinds = {handler: kind_of(steps, body_of(steps, handler)) for covering in cover for handler in covering[:1]}
    return {
        step.offset: covering[0]
        for step, covering in zip(steps, cover, strict=True)
        if covering and kinds[covering[0]] is Handler.FINALLY
    }
