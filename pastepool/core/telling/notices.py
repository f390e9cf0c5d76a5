"""
Decide what an operator is mailed about, in which words, and how often.

Takes plain values that say what happened, and returns a subject and a text. Knows no mail format, no server and no
thread: a mailer adds addresses, Date and Message-ID, and sends the mail. All text from outside is escaped and
bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pastepool.core.telling.report import CodePlace
from pastepool.core.wording import counted, printable, spoken
from pastepool.types import Seconds, WorkerId

SUBJECT_LIMIT = 150
TASKS_SHOWN = 10
STACK_LINES_SHOWN = 80
STACK_LINE_LIMIT = 300
SAMPLES_KEPT = 10
"""How much one mail holds, so that it can be read on a telephone."""


@dataclass(frozen=True)
class Origin:
    """The process that a mail comes from. ``config_file``: empty when the process was not started from such a file."""

    host: str
    pid: int
    config_file: str = ""


@dataclass(frozen=True)
class TaskReport:
    """
    One task as an operator sees it.

    ``diagnosis``: a sentence of ``report``. ``stack``: lines of text, outermost call first as in a traceback.
    ``request``: pairs of a word and a text that describe the task; of a request what ``masking.request_facts`` lets
    through. ``frames``: the same stack as values, innermost call first.
    """

    worker: WorkerId
    title: str
    ran_for: Seconds
    diagnosis: str = ""
    stack: tuple[str, ...] = ()
    request: tuple[tuple[str, str], ...] = ()
    frames: tuple[CodePlace, ...] = ()


@dataclass(frozen=True)
class HungKilled:
    """One look of the supervisor killed these tasks (contract P12, first event)."""

    tasks: tuple[TaskReport, ...]


@dataclass(frozen=True)
class BecameHung:
    """
    These tasks became hung. This is mailed only when the operator wants it.

    ``no_kills``: why none of them will be killed; empty if each is killed at its limit.
    """

    tasks: tuple[TaskReport, ...]
    no_kills: str = ""


@dataclass(frozen=True)
class NotKilled:
    """These tasks passed their kill limit in a process that kills nothing. ``no_kills``: why, as a sentence."""

    tasks: tuple[TaskReport, ...]
    no_kills: str


@dataclass(frozen=True)
class ProcessDies:
    """
    The process ends itself (contract P12, second event).

    ``standing``: the counts of the pool in one line (``report.counts_line``). ``tasks``: those that were killed and
    have not ended.
    """

    reason: str
    standing: str
    tasks: tuple[TaskReport, ...] = ()


@dataclass(frozen=True)
class InterpreterExits:
    """
    Something that is not the server ended the interpreter, and the process with it.

    ``where``: the request or the thread that did. ``stack``: what ran there, as lines. ``status``: the exit status.
    """

    where: str
    stack: tuple[str, ...]
    status: int


@dataclass(frozen=True)
class ProcessTrouble:
    """Something is wrong with one of several processes. ``lines``: what the log says of it, the headline first."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Digest:
    """
    One notice that replaces several notices that were held back.

    ``count``: how many. ``over``: seconds since the first of them. ``subjects``: of the first few of them.
    """

    count: int
    over: Seconds
    subjects: tuple[str, ...] = ()


Notice = HungKilled | BecameHung | NotKilled | ProcessDies | InterpreterExits | ProcessTrouble | Digest

OfTasks = HungKilled | BecameHung | NotKilled
"""What can be joined with another notice of its kind."""

LAST = (ProcessDies, InterpreterExits)
"""No other notice comes after one of these, because the process ends."""


@dataclass(frozen=True)
class Message:
    """Subject and text of a mail. ``subject``: one line. ``body``: lines of text, each with a line break at its end."""

    subject: str
    body: str


_ADVICE_KILLED = (
    "WorkerKilled was raised in each of them. A client without an answer yet was sent 504; one in the middle of",
    "its answer was cut off. A thread that is blocked outside of Python ends only when that call returns; until",
    "then it is shown as dying, and later as zombie. The stack says what it waits for: give that call a timeout.",
)
_ADVICE_HUNG = (
    "Nothing was interrupted. Each was replaced by a new worker as far as max_workers allows, and is killed if it",
    "reaches kill_thread_limit.",
)
_ADVICE_NOT_KILLED = (
    "Nothing was interrupted. Each was replaced by a new worker as far as max_workers allows, but keeps its thread until",
    "its call returns. To get the threads back before, restart the process, and give the calls they wait in a timeout.",
)
_ADVICE_DIES = (
    "A zombie is a thread that was killed and does not end. Whatever started this process should start it again.",
    "The stacks say what the zombies wait for: give those calls a timeout.",
)


_ADVICE_EXITS = (
    "The server was not told to stop. C code ends the interpreter with Py_Exit, or where it prints a SystemExit that it",
    "cannot hand on (PyErr_Print). The other requests were finished. Whatever started this process should start it",
    "again. With threadpool_kill_exception = SystemExit a kill can be the cause; WorkerKilled cannot.",
)


def compose(notice: Notice, origin: Origin, prefix: str = "") -> Message:
    """
    Put a notice into words.

    Args:
        notice: what happened.
        origin: the process in which it happened.
        prefix: the text that the operator wants at the beginning of every subject.

    Returns: a message. Its size is bounded, even if the notice holds long texts.
    """
    what = headline(notice)
    lead = f"{prefix.strip()} " if prefix.strip() else ""
    subject = printable(f"{lead}{origin.host}: {what}", SUBJECT_LIMIT)
    lines = [printable(what, STACK_LINE_LIMIT), "", *_origin_lines(origin), "", *_detail_lines(notice)]
    return Message(subject, "\n".join(lines) + "\n")


def headline(notice: Notice) -> str:
    """Say what happened in one line."""
    if isinstance(notice, HungKilled):
        return f"killed {_tasks_in_short(notice.tasks)}"
    if isinstance(notice, BecameHung):
        return f"hung: {_tasks_in_short(notice.tasks)}"
    if isinstance(notice, NotKilled):
        return f"not killed: {_tasks_in_short(notice.tasks)}"
    if isinstance(notice, ProcessDies):
        return f"the process dies: {notice.reason}"
    if isinstance(notice, InterpreterExits):
        return f"the process exits with status {notice.status}: {printable(notice.where, 80)} ended the interpreter"
    if isinstance(notice, ProcessTrouble):
        return printable(notice.lines[0])
    return f"{notice.count} more in the last {_minutes(notice.over)}"


def _tasks_in_short(tasks: Sequence[TaskReport]) -> str:
    first = tasks[0]
    said = f"{printable(first.title, 80)} after {spoken(first.ran_for)}"
    return f"{said} and {counted(len(tasks) - 1, 'other request')}" if len(tasks) > 1 else said


def _minutes(duration: Seconds) -> str:
    """Spell a duration in whole minutes, or in seconds if it is shorter than a minute."""
    return counted(round(duration / 60), "minute") if duration >= 60 else spoken(duration)


def _origin_lines(origin: Origin) -> list[str]:
    lines = [f"host           {printable(origin.host)}", f"process        {origin.pid}"]
    return [*lines, f"configuration  {printable(origin.config_file)}"] if origin.config_file else lines


def _detail_lines(notice: Notice) -> list[str]:
    if isinstance(notice, HungKilled):
        return [*_ADVICE_KILLED, *_task_lines(notice.tasks)]
    if isinstance(notice, BecameHung) and not notice.no_kills:
        return [*_ADVICE_HUNG, *_task_lines(notice.tasks)]
    if isinstance(notice, (BecameHung, NotKilled)):
        return [printable(notice.no_kills, STACK_LINE_LIMIT), *_ADVICE_NOT_KILLED, *_task_lines(notice.tasks)]
    if isinstance(notice, ProcessDies):
        return [printable(notice.standing), "", *_ADVICE_DIES, *_task_lines(notice.tasks)]
    if isinstance(notice, InterpreterExits):
        return [*_ADVICE_EXITS, "", "Stack, innermost call last:", *_stack_lines(notice.stack)]
    if isinstance(notice, ProcessTrouble):
        return _stack_lines(notice.lines[1:])
    lines = [f"- {printable(subject)}" for subject in notice.subjects]
    untold = notice.count - len(lines)
    rest = [f"- and {untold} more"] if untold > 0 else []
    return ["Not mailed one by one, because too many came at once:", *lines, *rest]


def _task_lines(tasks: Sequence[TaskReport]) -> list[str]:
    lines = [line for task in tasks[:TASKS_SHOWN] for line in _one_task(task)]
    untold = len(tasks) - TASKS_SHOWN
    return [*lines, "", f"and {counted(untold, 'more worker')}, see the log"] if untold > 0 else lines


def _one_task(task: TaskReport) -> list[str]:
    lines = ["", f"Worker {task.worker}: {printable(task.title)}, {spoken(task.ran_for)}"]
    if task.diagnosis:
        lines.append(f"  {printable(task.diagnosis, STACK_LINE_LIMIT)}")
    if task.request:
        lines.append("  Request:")
        lines.extend(f"    {printable(word, 14):14}  {printable(text, 500)}" for word, text in task.request)
    if task.stack:
        lines += ["  Stack, innermost call last:", *(f"  {line}" for line in _stack_lines(task.stack))]
    return lines


def _stack_lines(stack: Sequence[str]) -> list[str]:
    cut = len(stack) - STACK_LINES_SHOWN
    more = [f"  ({counted(cut, 'outer line')} left out)"] if cut > 0 else []
    return [*more, *(f"  {printable(line, STACK_LINE_LIMIT)}" for line in stack[-STACK_LINES_SHOWN:])]


@dataclass(frozen=True)
class MailRate:
    """
    How often mails are sent: at most ``mails`` in any ``window`` seconds. The others wait for a digest.

    ``collect``: how long notices are collected after the first one, so that what happens together is one mail.
    """

    mails: int = 10
    window: Seconds = 300.0
    collect: Seconds = 5.0


@dataclass(frozen=True)
class MailState:
    """
    What was mailed recently and what was held back. Each decision returns it for the next decision.

    ``sent_at``: when each notice of the last window was sent, oldest first. ``held``: how many notices wait for the
    digest. ``held_since``: when the first of these came. ``subjects``: of the first few of these. ``collected``: notices
    that wait to become one mail. ``collected_since``: when the first of these came.
    """

    sent_at: tuple[Seconds, ...] = ()
    held: int = 0
    held_since: Seconds = math.inf
    subjects: tuple[str, ...] = ()
    collected: tuple[Notice, ...] = ()
    collected_since: Seconds = math.inf


def is_collected(notice: Notice, rate: MailRate) -> bool:
    """Say whether a notice waits for others. One of the end of the process does not: there is no time."""
    return rate.collect > 0 and not isinstance(notice, LAST)


def collect(notice: Notice, now: Seconds, state: MailState) -> MailState:
    """
    Keep a notice until ``collected_at``. It is joined with the notice of its kind that is there already, if there is one.

    The joined notice has all tasks, but no details of those that a mail does not show.
    """
    same = [each for each in state.collected if _differ_in_tasks_only(each, notice)]
    others = tuple(each for each in state.collected if each not in same)
    for each in same:
        notice = _joined(each, notice)
    return replace(state, collected=(*others, notice), collected_since=min(state.collected_since, now))


def _differ_in_tasks_only(one: Notice, other: Notice) -> bool:
    if not isinstance(one, OfTasks) or not isinstance(other, OfTasks):
        return False
    return replace(one, tasks=()) == replace(other, tasks=())


def _joined(one: Notice, other: Notice) -> Notice:
    assert isinstance(one, OfTasks) and isinstance(other, OfTasks)
    tasks = (*one.tasks, *other.tasks)
    untold = (TaskReport(task.worker, task.title, task.ran_for) for task in tasks[TASKS_SHOWN:])
    return replace(one, tasks=(*tasks[:TASKS_SHOWN], *untold))


def collected_at(state: MailState, rate: MailRate) -> Seconds:
    """Return when the collected notices are mailed; infinity if there are none."""
    return state.collected_since + rate.collect


def take_collected(
    now: Seconds, state: MailState, rate: MailRate, *, last: bool = False
) -> tuple[tuple[Notice, ...], MailState]:
    """
    Return the collected notices if it is time, and the state for the next decision.

    ``last``: nothing is sent after this, so it is time now.
    """
    if not state.collected or (now < collected_at(state, rate) and not last):
        return (), state
    return state.collected, replace(state, collected=(), collected_since=math.inf)


def offer(notice: Notice, now: Seconds, state: MailState, rate: MailRate) -> tuple[bool, MailState]:
    """
    Decide whether a notice is mailed now or waits for a digest.

    A notice of the end of the process is always mailed now, because no digest can follow it.

    Returns:
        whether to send it, and the state for the next decision. A notice that is not sent is counted for the digest.
    """
    recent = tuple(at for at in state.sent_at if now < at + rate.window)
    if isinstance(notice, LAST) or len(recent) < rate.mails:
        return True, replace(state, sent_at=(*recent, now))
    subjects = (*state.subjects, headline(notice))[:SAMPLES_KEPT]
    held_since = min(state.held_since, now)
    return False, replace(state, sent_at=recent, held=state.held + 1, held_since=held_since, subjects=subjects)


def digest_at(state: MailState, rate: MailRate) -> Seconds:
    """Return when the notices held back are mailed: one window after the first of them; infinity if there are none."""
    return state.held_since + rate.window


def digest(now: Seconds, state: MailState, rate: MailRate, *, last: bool = False) -> tuple[Digest | None, MailState]:
    """
    Put the notices that were held back into one digest, if it is time.

    Args:
        last: nothing is sent after this, so the digest is made before its time.

    Returns:
        the digest or ``None``, and the state for the next decision.
    """
    if not state.held or (now < digest_at(state, rate) and not last):
        return None, state
    made = Digest(state.held, now - state.held_since, state.subjects)
    return made, replace(state, held=0, held_since=math.inf, subjects=())
