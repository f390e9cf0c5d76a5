"""
The questions that processes of one server ask each other about what the page shows, and the answers of one of them.

Question and answer are values of JSON. Knows ``Watched``, and nothing of how they travel.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pastepool.watch.visitor import Visitor
from pastepool.watch.watched import ActionOutcome, Aim, Watched, Whose

About = Mapping[str, Any]


def visitor_told(visitor: Visitor) -> dict[str, Any]:
    """Write a visitor for another process, where no worker runs the visitor's request."""
    facts = {"address": visitor.address, "forwarded": visitor.forwarded, "is_local": visitor.is_local}
    return {**facts, "by_admin": visitor.closing is not None}


def visitor_read(told: About) -> Visitor:
    """Read what ``visitor_told`` has written."""
    closing = threading.Event() if told["by_admin"] else None
    return Visitor(told["address"], told["forwarded"], closing=closing, is_local=told["is_local"])


def aim_told(aim: Aim) -> dict[str, Any]:
    """Write an aim for another process."""
    return dataclasses.asdict(aim)


def aim_read(told: About) -> Aim:
    """Read what ``aim_told`` has written."""
    return Aim(**{**told, "whose": Whose(**told["whose"])})


def outcome_told(outcome: ActionOutcome) -> dict[str, Any]:
    """Write an outcome for another process."""
    return dataclasses.asdict(outcome)


def _question(watched: Watched, about: About) -> Any:
    found = watched.question(aim_read(about["aim"]))
    return outcome_told(found) if isinstance(found, ActionOutcome) else found


def _picture(watched: Watched, about: About) -> str | None:
    picture = watched.flame_picture()
    return None if picture is None else picture.decode("utf-8", "replace")


ANSWERS: Mapping[str, Callable[[Watched, About], Any]] = {
    "health": lambda watched, _: watched.health(),
    "state": lambda watched, about: watched.state(visitor_read(about["visitor"]), about["may_kill"]),
    "question": _question,
    "kill": lambda watched, about: outcome_told(watched.kill(aim_read(about["aim"]), visitor_read(about["visitor"]))),
    "dump": lambda watched, about: outcome_told(watched.dump(visitor_read(about["visitor"]), Whose(**about["whose"]))),
    "reset": lambda watched, about: outcome_told(watched.reset(visitor_read(about["visitor"]))),
    "flame": lambda watched, about: outcome_told(
        watched.flame(about["seconds"], about["worker"], visitor_read(about["visitor"]))
    ),
    "flame status": lambda watched, _: watched.flame_status(),
    "flame picture": _picture,
    "refresh": lambda watched, _: watched.refresh(),
}


def answer(watched: Watched, word: str, about: Any) -> Any:
    """Answer one question. Runs on: any thread, several at once."""
    return ANSWERS[word](watched, about)
