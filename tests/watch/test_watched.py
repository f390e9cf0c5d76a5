"""The protocol the page asks: which server answers it, and that each has an answer to everything."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from pastepool.server import Server
from pastepool.settings import read
from pastepool.watch.finding import POOL_KEY, watched_by
from pastepool.watch.foreign import Nobody, PastesPool
from pastepool.watch.own_server import OwnServer
from pastepool.watch.visitor import Visitor
from pastepool.watch.watched import Aim, Outcome, Watched
from tests.server.serving import plain

VISITOR = Visitor("127.0.0.1")
SHAPE = {"nworkers": 0, "workers": [], "worker_tracker": {}, "idle_workers": [], "dying_threads": {}}
POOLS = {
    "ours": lambda: Server(read({"port": 0}), plain()).parts.paste_pool,
    "paste": lambda: SimpleNamespace(**SHAPE),
    "nobody": lambda: None,
}


def watched_under(name: str) -> Watched:
    """What is watched under a server with such a pool."""
    return watched_by({POOL_KEY: POOLS[name]()})


@pytest.mark.parametrize(("name", "kind"), [("ours", OwnServer), ("paste", PastesPool), ("nobody", Nobody)])
def test_environ_says_which_server_is_watched(name: str, kind: type) -> None:
    """The one place that looks at what lies under Paste's key."""
    assert type(watched_under(name)) is kind


def test_pool_without_its_server_is_read_as_pastes() -> None:
    """A pool of ours that no server has around it is shown as far as its shape goes."""
    assert type(watched_by({POOL_KEY: SimpleNamespace(**SHAPE, server_view=None)})) is PastesPool


def test_one_server_is_watched_once() -> None:
    """Every request under one server gets the same object, so that looks are shared."""
    environ = {POOL_KEY: POOLS["ours"]()}
    assert watched_by(environ) is watched_by(environ)


ANSWERS: dict[str, dict[str, Any]] = {
    "ours": {"kill off": 403, "no number": 400, "no worker": 404, "reset": 200, "flame": 400, "health": 503},
    "paste": {"kill off": 501, "no number": 501, "no worker": 501, "reset": 501, "flame": 501, "health": 503},
    "nobody": {"kill off": 501, "no number": 501, "no worker": 501, "reset": 501, "flame": 501, "health": 503},
}


@pytest.mark.parametrize("name", POOLS)
def test_every_server_answers_everything(name: str) -> None:
    """What a server cannot do it refuses itself, with a status and a sentence; nothing is raised."""
    watched = watched_under(name)
    asked = {"kill off": Aim(1, 1, False), "no number": Aim(None, 1, True), "no worker": Aim(1, 1, True)}
    got: dict[str, int] = {}
    for word, aim in asked.items():
        question, done = watched.question(aim), watched.kill(aim, VISITOR)
        assert isinstance(question, Outcome) and question == done and done.text.endswith(".")
        got[word] = done.status
    got["reset"], got["flame"] = watched.reset(VISITOR).status, watched.flame(None, 0, VISITOR).status
    got["health"] = watched.health()[0]
    assert got == ANSWERS[name]
    assert watched.dump(VISITOR).status == 200
    assert watched.own_request() is None and watched.flame_picture() is None
    assert not watched.flame_status()["running"]
    watched.refresh()


def test_every_server_shows_the_same_fields() -> None:
    """The state has the same fields whatever is below, so that neither page nor script has to ask."""
    states = {}
    for name, make in POOLS.items():
        pool = make()
        states[name] = watched_by({POOL_KEY: pool}).state(VISITOR, may_kill=False)
        if name == "ours":
            pool.server_view.sampler.close(5.0)
    assert {state["kind"] for state in states.values()} == {"pastepool", "paste", "none"}
    assert len({tuple(sorted(state)) for state in states.values()}) == 1
    for part in ("pool", "process", "flame", "actions", "backlog"):
        assert len({tuple(sorted(state[part])) for state in states.values()}) == 1, part
    json.dumps(states)
