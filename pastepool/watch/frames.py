"""Stacks as the JSON has them: each distinct one once, with its source lines and whose code each call is."""

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
"""Distinct stacks in one state, the most common first: five hundred of them would be megabytes. Nothing derives it."""

_FRAMES_KEPT = 8192
"""Rendered frames remembered, because a page that looks each second sees the same ones again and again."""

Frame = dict[str, Any]


@functools.lru_cache(maxsize=_FRAMES_KEPT)
def frame_of(place: CodePlace, app_root: str) -> Frame:
    """Describe one call. The answer is shared: nobody may change it."""
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
        """Take one worker's stack, if it has one."""
        if places:
            self._workers.setdefault(places, []).append(worker)

    def shown(self) -> tuple[list[dict[str, Any]], dict[int, int], str]:
        """Give the stacks, the most common first; which of them each worker has; and a note if some are left out."""
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
