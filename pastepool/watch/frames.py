"""
Describe stacks in the form of the JSON: each distinct stack once, with the source line and the owner of each call.
"""

from __future__ import annotations

import functools
import linecache
from collections.abc import Iterable, Sequence
from typing import Any

from pastepool.core.ownership import Owner, owner_of
from pastepool.core.telling.report import CodePlace
from pastepool.core.telling.stack_view import short_name, telling_index
from pastepool.core.wording import printable
from pastepool.runtime.inspection.stacks import DEPTH_LIMIT

SHOWN_STACKS = 100
"""The most distinct stacks in one state, the most common first. Five hundred would be megabytes."""

_FRAMES_KEPT = 8192
"""How many described frames are cached: a page that looks once a second mostly sees the same frames again."""

Frame = dict[str, Any]


@functools.lru_cache(maxsize=_FRAMES_KEPT)
def frame_of(place: CodePlace, app_root: str) -> Frame:
    """Describe one call. The result is cached and shared, so callers must not change it."""
    owner = owner_of(place.file)
    return {
        "file": printable(place.file, 500),
        "shown": printable(short_name(place.file, app_root)),
        "line": place.line,
        "function": printable(place.function),
        "source": printable(linecache.getline(place.file, place.line).strip()),
        "kind": owner.value,
        "folded": owner is not Owner.OWN,
    }


def frames_of(places: Iterable[CodePlace], app_root: str) -> list[Frame]:
    """Describe a stack, innermost call first."""
    return [frame_of(place, app_root) for place in places]


class Stacks:
    """Collects the stacks of one look, each distinct one once."""

    def __init__(self, app_root: str) -> None:
        self._app_root = app_root
        self._workers: dict[Sequence[CodePlace], list[int]] = {}

    def add(self, worker: int, places: Sequence[CodePlace]) -> None:
        """Add one worker's stack, unless it is empty."""
        if places:
            self._workers.setdefault(places, []).append(worker)

    def shown(self) -> tuple[list[dict[str, Any]], dict[int, int], str]:
        """
        Return the stacks, the most common first; the id of the stack of each worker; and a note if stacks are left out.
        """
        ordered = sorted(self._workers.items(), key=lambda item: -len(item[1]))
        kept = ordered[:SHOWN_STACKS]
        stacks = [self._stack(number, places, workers) for number, (places, workers) in enumerate(kept)]
        note = (
            f"{len(ordered)} different stacks; the {SHOWN_STACKS} most common are shown."
            if len(ordered) > len(kept)
            else ""
        )
        return stacks, {worker: stack["id"] for stack in stacks for worker in stack["workers"]}, note

    def _stack(self, number: int, places: Sequence[CodePlace], workers: list[int]) -> dict[str, Any]:
        return {
            "id": number,
            "workers": workers,
            "telling": telling_index(places, self._app_root),
            "frames": frames_of(places, self._app_root),
            "cut": len(places) >= DEPTH_LIMIT,
        }
