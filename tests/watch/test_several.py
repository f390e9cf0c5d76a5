"""Watching all processes: what is asked of which, and what is said when one does not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pastepool.runtime.family.link import NoAnswer
from pastepool.types import Seconds
from pastepool.watch.merging import WORKERS_OF_ONE
from pastepool.watch.paste_state import unknown_state
from pastepool.watch.several import Known, Several
from pastepool.watch.visitor import Visitor
from pastepool.watch.watched import Aim, Whose
from tests.browser.states import SHOWN, sample

VISITOR = Visitor("127.0.0.1")
DONE = {"status": 200, "outcome": "dumped", "text": "Done."}


class Fakes:
    """Two processes with the serials 3 and 5. ``answers``: by serial and word; one that is missing does not answer."""

    def __init__(self, answers: Mapping[int, Mapping[str, Any]], serves: Mapping[int, bool] | None = None) -> None:
        self.answers = answers
        self.serves = serves or {3: True, 5: True}
        self.asked: list[tuple[int, str, Any]] = []

    def known(self) -> Sequence[Known]:
        return [
            Known(serial, slot, pid, self.serves[serial], {**SHOWN, "slot": slot, "pid": pid, "running": slot})
            for serial, slot, pid in ((3, 1, 4711), (5, 2, 4712))
        ]

    def ask(self, serial: int, word: str, about: Any, patience: Seconds) -> Any:
        self.asked.append((serial, word, about))
        try:
            return self.answers[serial][word]
        except KeyError:
            raise NoAnswer(word) from None

    def ask_all(self, word: str, about: Any, patience: Seconds, but: int = 0) -> Mapping[int, Any]:
        self.asked += [(serial, word, about) for serial in self.serves if self.serves[serial] and serial != but]
        return {
            serial: told[word]
            for serial, told in self.answers.items()
            if word in told and self.serves[serial] and serial != but
        }


def several(
    answers: Mapping[int, Mapping[str, Any]], serves: Mapping[int, bool] | None = None, stops: bool = False
) -> tuple[Several, Fakes]:
    """Watch such processes."""
    fakes = Fakes(answers, serves)
    return Several(fakes, unknown_state, lambda: stops), fakes


def test_health_is_that_of_the_best_process() -> None:
    """And it fails when none serves, none answers, or all end."""
    ok, hung = {"health": [200, "ok"]}, {"health": [503, "hung"]}
    assert several({3: hung, 5: ok})[0].health() == (200, "ok")
    assert several({3: hung, 5: hung})[0].health() == (503, "hung")
    assert several({5: ok})[0].health() == (200, "ok")
    assert several({})[0].health() == (503, "stuck")
    assert several({3: ok}, {3: False, 5: False})[0].health() == (503, "none serves")
    assert several({3: ok, 5: ok}, stops=True)[0].health() == (503, "stopping")


def test_state_is_that_of_those_that_answer() -> None:
    """All are among the processes."""
    watched, _ = several(
        {5: {"state": {**sample(), "actions": dict.fromkeys(("kill", "dump", "reset", "flame"), True)}}}
    )
    state = watched.state(VISITOR, may_kill=True)
    assert [one["slot"] for one in state["processes"]] == [1, 2]
    assert {row["pid"] for row in state["workers"]} == {4712}
    assert state["actions"]["kill"]
    assert watched.counters(VISITOR)["pastepool_workers_hung"] == sample()["pool"]["counts"]["hung"]
    nobody = several({})[0].state(VISITOR, may_kill=True)
    assert not nobody["actions"]["kill"] and nobody["workers"] == [] and not nobody["flame"]["running"]


def test_kill_is_told_to_one_process_as_that_one_numbers_it() -> None:
    """Whether the visitor has the number of the page or that of the process."""
    for worker in (2, 5 * WORKERS_OF_ONE + 2):
        watched, fakes = several({5: {"kill": {**DONE, "outcome": "killed"}, "question": "GET /report"}})
        aim = Aim(worker, 5 * 10**9 + 7, True, Whose(2, 4712))
        assert watched.question(aim) == "GET /report"
        assert watched.kill(aim, VISITOR).outcome == "killed"
        assert [(serial, about["aim"]["worker"]) for serial, _, about in fakes.asked] == [(5, 2), (5, 2)]


def test_kill_that_fits_nowhere_asks_nobody() -> None:
    """Each part is compared with the others."""
    watched, fakes = several({3: {"kill": DONE}, 5: {"kill": DONE}})
    serial = 5 * 10**9 + 7
    for aim, status in (
        (Aim(2, serial, True), 400),
        (Aim(2, serial, True, Whose(2, None)), 400),
        (Aim(None, serial, True, Whose(2, 4712)), 400),
        (Aim(2, None, True, Whose(2, 4712)), 400),
        (Aim(2, serial, True, Whose(2, 9999)), 404),
        (Aim(2, serial, True, Whose(1, 4712)), 409),
        (Aim(3 * WORKERS_OF_ONE + 2, serial, True, Whose(2, 4712)), 409),
        (Aim(2, 3 * 10**9 + 7, True, Whose(2, 4712)), 409),
    ):
        assert watched.kill(aim, VISITOR).status == status, aim
        question = watched.question(aim)
        assert not isinstance(question, str) and question.status == status
    assert fakes.asked == []


def test_process_that_does_not_answer_is_named() -> None:
    """The outcome says which, and that its parent looks after it."""
    watched, _ = several({3: {"dump": DONE}})
    outcome = watched.kill(Aim(2, 5 * 10**9 + 7, True, Whose(2, 4712)), VISITOR)
    assert (outcome.status, outcome.outcome) == (503, "no answer")
    assert outcome.text.startswith("Process 2 (pid 4712) does not answer")
    assert watched.dump(VISITOR, Whose(2, 4712)).status == 503
    assert watched.dump(VISITOR, Whose(1, 4711)).text == "Done."
    assert watched.dump(VISITOR, Whose(2, 4711)).status == 409
    assert watched.dump(VISITOR).text == "Done. 1 of 2 processes did not answer."
    assert watched.reset(VISITOR).outcome == "no answer"


def test_flame_graph_is_that_of_one_process() -> None:
    """The one of the worker, or the busiest; the picture is the newest."""
    started = {"status": 202, "outcome": "started", "text": "Looking."}
    idle = {"running": False, "ready": True, "finished_ago": 5.0}
    both = {3: {"flame": started, "flame status": {**idle, "finished_ago": 9.0}, "flame picture": "<svg>old"}}
    both[5] = {"flame": started, "flame status": idle, "flame picture": "<svg>new"}
    watched, fakes = several(both)
    assert watched.flame(5, 0, VISITOR).text == "Looking. In process 2 (pid 4712), the busiest one."
    assert watched.flame(5, 3 * WORKERS_OF_ONE + 1, VISITOR).text == "Looking."
    assert [(serial, about["worker"]) for serial, _, about in fakes.asked] == [(5, 0), (3, 1)]
    assert watched.flame(5, 9 * WORKERS_OF_ONE + 1, VISITOR).status == 404
    assert watched.flame_status()["finished_ago"] == 5.0
    assert watched.flame_picture() == b"<svg>new"
    nothing, _ = several({})
    assert nothing.flame_picture() is None
    assert not nothing.flame_status()["ready"]
    nothing.refresh()
    assert nothing.own_request() is None
