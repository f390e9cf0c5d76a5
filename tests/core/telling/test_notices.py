"""What an operator is mailed, and how often."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.telling.notices import (
    TASKS_SHOWN,
    BecameHung,
    Digest,
    HungKilled,
    InterpreterExits,
    MailRate,
    MailState,
    Notice,
    NotKilled,
    Origin,
    ProcessDies,
    ProcessTrouble,
    TaskReport,
    collect,
    collected_at,
    compose,
    digest,
    digest_at,
    headline,
    is_collected,
    offer,
    take_collected,
)

ORIGIN = Origin("web1", 4711, "/etc/shop/production.ini")
TASK = TaskReport(
    3,
    "GET /x",
    1800.0,
    "hung for 1800 s: blocked in recv from 10.0.0.5:5432 (app/db.py:88 fetch)",
    ('File "app/main.py", line 5, in view', 'File "app/db.py", line 88, in fetch'),
    (("method", "GET"), ("path", "/x")),
)


def test_the_mail_about_an_exit_that_nobody_asked_the_server_for() -> None:
    """Who did it, the status, what can be the cause, and the stack."""
    message = compose(InterpreterExits("GET /x", ('File "app/main.py", line 5, in view',), 70), ORIGIN)
    assert message.subject == "web1: the process exits with status 70: GET /x ended the interpreter"
    assert message.body.splitlines()[6:] == [
        "The server was not told to stop. C code ends the interpreter with Py_Exit, or where it prints a SystemExit that it",
        "cannot hand on (PyErr_Print). The other requests were finished. Whatever started this process should start it",
        "again. With threadpool_kill_exception = SystemExit a kill can be the cause; WorkerKilled cannot.",
        "",
        "Stack, innermost call last:",
        '  File "app/main.py", line 5, in view',
    ]


def test_the_mail_about_one_of_several_processes() -> None:
    """What the log says: the first line is the subject, the others are the stacks."""
    message = compose(
        ProcessTrouble(("worker process 1 gives no sign of life", 'File "app.py", line 5 in view')), ORIGIN
    )
    assert message.subject == "web1: worker process 1 gives no sign of life"
    assert message.body.splitlines()[6:] == ['  File "app.py", line 5 in view']


def test_the_mail_about_an_exit_is_never_held_back() -> None:
    """No digest can follow it."""
    full = MailState((0.0,) * 10)
    assert offer(InterpreterExits("GET /x", (), 70), 1.0, full, MailRate())[0]


def test_the_mail_about_a_killed_request() -> None:
    """Host, process, configuration, diagnosis, request and stack, in the order one reads them."""
    message = compose(HungKilled((TASK,)), ORIGIN, "[shop]")
    assert message.subject == "[shop] web1: killed GET /x after 1800 s"
    assert message.body.splitlines() == [
        "killed GET /x after 1800 s",
        "",
        "host           web1",
        "process        4711",
        "configuration  /etc/shop/production.ini",
        "",
        "WorkerKilled was raised in each of them. A client without an answer yet was sent 504; one in the middle of",
        "its answer was cut off. A thread that is blocked outside of Python ends only when that call returns; until",
        "then it is shown as dying, and later as zombie. The stack says what it waits for: give that call a timeout.",
        "",
        "Worker 3: GET /x, 1800 s",
        "  hung for 1800 s: blocked in recv from 10.0.0.5:5432 (app/db.py:88 fetch)",
        "  Request:",
        "    method          GET",
        "    path            /x",
        "  Stack, innermost call last:",
        '    File "app/main.py", line 5, in view',
        '    File "app/db.py", line 88, in fetch',
    ]
    assert message.body.endswith("\n")


def test_several_killed_at_one_look_are_one_mail() -> None:
    """The subject names the first and counts the others, the body has them all."""
    message = compose(HungKilled((TASK, TASK, TASK)), ORIGIN)
    assert message.subject == "web1: killed GET /x after 1800 s and 2 other requests"
    assert message.body.count("Worker 3:") == 3


def test_the_mail_about_a_hung_request_says_that_nothing_was_interrupted() -> None:
    """A warning is no kill."""
    message = compose(BecameHung((TASK, TASK)), Origin("web1", 1))
    assert message.subject == "web1: hung: GET /x after 1800 s and 1 other request"
    assert "Nothing was interrupted." in message.body
    assert "configuration" not in message.body


def test_where_nothing_is_killed_the_mails_do_not_promise_it() -> None:
    """Neither when a request becomes hung nor when it passes its kill limit; they say why, and what to do."""
    why = "No request is killed, because of the moon."
    hung, overdue = compose(BecameHung((TASK,), why), ORIGIN), compose(NotKilled((TASK,), why), ORIGIN)
    assert hung.subject == "web1: hung: GET /x after 1800 s"
    assert overdue.subject == "web1: not killed: GET /x after 1800 s"
    for message in (hung, overdue):
        assert f"{why}\nNothing was interrupted." in message.body
        assert "restart the process" in message.body and "is killed if it" not in message.body


def test_the_mail_about_the_end_of_the_process() -> None:
    """The reason, the pool in one line, and the zombies."""
    notice = ProcessDies(
        "3 zombies, more than max_zombies_before_die = 2: GET /x", "13 workers: 3 zombie; 0 waiting", (TASK,)
    )
    message = compose(notice, ORIGIN, "  ")
    assert message.subject == "web1: the process dies: 3 zombies, more than max_zombies_before_die = 2: GET /x"
    assert "13 workers: 3 zombie; 0 waiting" in message.body
    assert "Worker 3: GET /x" in message.body


def test_a_task_nothing_is_known_about_takes_one_line() -> None:
    """No empty headings."""
    body = compose(HungKilled((TaskReport(3, "GET /x", 4.0),)), ORIGIN).body
    assert body.endswith("\n\nWorker 3: GET /x, 4.0 s\n")


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (300.0, "17 more in the last 5 minutes"),
        (60.0, "17 more in the last 1 minute"),
        (12.0, "17 more in the last 12 s"),
    ],
)
def test_a_digest_says_how_many_and_since_when(over: float, said: str) -> None:
    """In the words people use of mails."""
    assert headline(Digest(17, over)) == said


def test_a_digest_names_some_and_counts_the_rest() -> None:
    """The first few subjects, and how many were not kept."""
    body = compose(Digest(5, 300.0, ("killed GET /a", "killed GET /b")), ORIGIN).body
    assert body.endswith("too many came at once:\n- killed GET /a\n- killed GET /b\n- and 3 more\n")
    assert "and" not in compose(Digest(1, 300.0, ("killed GET /b",)), ORIGIN).body


def test_many_tasks_and_deep_stacks_are_cut_and_counted() -> None:
    """Ten tasks, eighty lines each; the innermost lines are the ones that stay."""
    deep = TaskReport(1, "GET /deep", 40.0, stack=tuple(f"line {number}" for number in range(100)))
    body = compose(HungKilled((deep,) * 12), ORIGIN).body
    assert body.count("Worker 1:") == 10
    assert "and 2 more workers, see the log" in body
    assert "    (20 outer lines left out)\n    line 20\n" in body
    assert "line 19\n" not in body
    assert "    line 99\n" in body
    whole = compose(HungKilled((TaskReport(1, "x", 1.0, stack=("line",) * 80),) * 10), ORIGIN).body
    assert "left out" not in whole
    assert "see the log" not in whole


texts = st.text(max_size=600)
reports = st.builds(
    TaskReport,
    worker=st.integers(1, 99),
    title=texts,
    ran_for=st.floats(0, 1e5),
    diagnosis=texts,
    stack=st.lists(texts, max_size=3).map(tuple),
    request=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
)
task_lists = st.lists(reports, min_size=1, max_size=3).map(tuple)
notices = st.one_of(
    st.builds(HungKilled, task_lists),
    st.builds(BecameHung, task_lists),
    st.builds(NotKilled, task_lists, st.text()),
    st.builds(ProcessDies, texts, texts, task_lists),
    st.builds(Digest, st.integers(1, 99), st.floats(0, 1e4), st.lists(texts, max_size=3).map(tuple)),
)


@given(notices, st.builds(Origin, texts, st.integers(1, 99), texts), texts)
def test_nothing_foreign_breaks_a_line_or_a_header(notice: Notice, origin: Origin, prefix: str) -> None:
    """A subject is one short line whatever is in it, and every line of the body prints."""
    message = compose(notice, origin, prefix)
    assert message.subject.isprintable()
    assert len(message.subject) <= 150
    assert all(line.isprintable() for line in message.body.split("\n"))
    assert max(len(line) for line in message.body.split("\n")) < 550


# -- how often

RATE = MailRate(mails=3, window=100.0)
NOTE = HungKilled((TASK,))
DEATH = ProcessDies("too many", "0 workers")


def send(instants: list[float], state: MailState) -> tuple[list[bool], MailState]:
    """Offer one notice at each instant."""
    decisions = []
    for now in instants:
        sent, state = offer(NOTE, now, state, RATE)
        decisions.append(sent)
    return decisions, state


def test_the_first_few_are_mailed_and_the_rest_is_held() -> None:
    """Three in a window; the fourth and fifth wait for a digest."""
    decisions, state = send([0.0, 1.0, 2.0, 3.0, 4.0], MailState())
    assert decisions == [True, True, True, False, False]
    assert (state.held, state.held_since, digest_at(state, RATE)) == (2, 3.0, 103.0)


def test_a_mail_stops_counting_when_its_window_has_passed() -> None:
    """At exactly a window after the first mail there is room for another, and not before."""
    _, state = send([0.0, 1.0, 2.0], MailState())
    assert offer(NOTE, math.nextafter(100.0, 0), state, RATE)[0] is False
    sent, state = offer(NOTE, 100.0, state, RATE)
    assert (sent, state.sent_at) == (True, (1.0, 2.0, 100.0))


def test_the_digest_comes_a_window_after_the_first_that_was_held() -> None:
    """Once, with the number and the subjects, and then the count starts again from zero."""
    _, state = send([0.0, 1.0, 2.0, 3.0, 4.0], MailState())
    early, same = digest(math.nextafter(103.0, 0), state, RATE)
    assert (early, same) == (None, state)
    made, after = digest(103.0, state, RATE)
    assert made == Digest(2, 100.0, (headline(NOTE),) * 2)
    assert after == MailState(state.sent_at)
    assert digest(500.0, after, RATE) == (None, after)
    assert digest_at(after, RATE) == math.inf


def test_notices_of_one_kind_are_joined_until_it_is_time() -> None:
    """The first one sets the time. Others of another kind, or with another reason, stay apart."""
    hung = BecameHung(NOTE.tasks)
    state = MailState()
    one, two = NotKilled(NOTE.tasks, "one"), NotKilled(NOTE.tasks, "two")
    notices: list[Notice] = [NOTE, hung, NOTE, one, two, hung]
    for now, notice in enumerate(notices):
        assert is_collected(notice, RATE)
        state = collect(notice, float(now), state)
    assert collected_at(state, RATE) == 5.0
    assert take_collected(math.nextafter(5.0, 0), state, RATE) == ((), state)
    made, after = take_collected(5.0, state, RATE)
    assert sorted(headline(notice) for notice in made) == sorted(
        [
            headline(HungKilled(NOTE.tasks * 2)),
            headline(BecameHung(NOTE.tasks * 2)),
            headline(one),
            headline(two),
        ]
    )
    assert (after, collected_at(after, RATE)) == (MailState(), math.inf)
    assert take_collected(0.0, state, RATE, last=True)[0] == made


def test_joined_notice_keeps_no_details_that_are_not_shown() -> None:
    """A flood must not fill the memory with stacks; the log has them."""
    task = TaskReport(1, "GET /", 1.0, diagnosis="spins", stack=("line",), request=(("host", "a"),))
    state = MailState()
    for _ in range(TASKS_SHOWN + 5):
        state = collect(HungKilled((task,)), 0.0, state)
    (joined,) = state.collected
    assert isinstance(joined, HungKilled)
    assert [bool(each.stack) for each in joined.tasks] == [True] * TASKS_SHOWN + [False] * 5


def test_end_of_the_process_and_a_rate_without_collecting_wait_for_nothing() -> None:
    """There is no time for the one, and the other says so."""
    assert not is_collected(DEATH, RATE)
    assert not is_collected(NOTE, MailRate(collect=0.0))
    assert collect(DEATH, 0.0, collect(NOTE, 0.0, MailState())).collected == (NOTE, DEATH)


def test_at_the_end_the_digest_does_not_wait() -> None:
    """A stop mails what is held back. If nothing is, it mails nothing."""
    _, state = send([0.0, 1.0, 2.0, 3.0], MailState())
    assert digest(5.0, state, RATE, last=True)[0] == Digest(1, 2.0, (headline(NOTE),))
    assert digest(5.0, MailState(), RATE, last=True)[0] is None


def test_the_end_of_the_process_is_always_mailed() -> None:
    """It is the last chance, and it comes once."""
    _, state = send([0.0, 1.0, 2.0, 3.0], MailState())
    sent, after = offer(DEATH, 4.0, state, RATE)
    assert sent
    assert (after.held, after.held_since, after.subjects) == (state.held, state.held_since, state.subjects)


@given(st.lists(st.floats(0, 30.0), max_size=60))
def test_no_window_ever_sees_more_than_its_mails_and_none_is_lost(gaps: list[float]) -> None:
    """In any window no more than three; every notice is mailed or counted in a digest, and the state stays small."""
    now, state, sent_at, told = 0.0, MailState(), [], 0
    for gap in gaps:
        now += gap
        made, state = digest(now, state, RATE)
        told += made.count if made else 0
        sent, state = offer(NOTE, now, state, RATE)
        sent_at += [now] * sent
        assert len(state.sent_at) <= 3
        assert len(state.subjects) <= 10
    assert all(later >= earlier + 100.0 for earlier, later in zip(sent_at, sent_at[3:], strict=False))
    made, _ = digest(now, state, RATE, last=True)
    assert len(sent_at) + told + (made.count if made else 0) == len(gaps)
