"""
What an operator is mailed about, in which words, and how often.

Knows what happened as plain values and gives back a subject and a text. Knows no mail format, no server and no thread:
a mailer adds addresses, Date and Message-ID, and sends. Whatever is foreign in a message is escaped and bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pastepool.core.telling.report import CodePlace
from pastepool.core.wording import counted, printable, spoken
from pastepool.types import Seconds, WorkerId

SUBJECT_LIMIT = 150
TASKS_SHOWN = 10
STACK_LINES_SHOWN = 80
STACK_LINE_LIMIT = 300
SAMPLES_KEPT = 10
"""How much of everything one mail holds. Nothing derives these: a mail must be readable on a telephone."""


@dataclass(frozen=True)
class Origin:
    """Which of an operator's processes is speaking. ``config_file``: empty when it was not started from one."""

    host: str
    pid: int
    config_file: str = ""


@dataclass(frozen=True)
class TaskReport:
    """
    One task as an operator should see it.

    ``diagnosis``: a sentence of ``report``. ``stack``: lines, outermost call first as in a traceback. ``request``: what
    describes the task, words and texts; of a request what ``masking.request_facts`` let through. ``frames``: the stack
    before it was put into lines, innermost call first.
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
    """Tasks were killed at one look of the supervisor (contract P12, first event)."""

    tasks: tuple[TaskReport, ...]


@dataclass(frozen=True)
class BecameHung:
    """Tasks became hung; only mailed when the operator wants it."""

    tasks: tuple[TaskReport, ...]


@dataclass(frozen=True)
class ProcessDies:
    """
    The process ends itself (contract P12, second event).

    ``standing``: the pool in one line (``report.counts_line``). ``tasks``: the zombies.
    """

    reason: str
    standing: str
    tasks: tuple[TaskReport, ...] = ()


@dataclass(frozen=True)
class Digest:
    """Stands for notices that were held back. ``over``: seconds since the first. ``subjects``: of some of them."""

    count: int
    over: Seconds
    subjects: tuple[str, ...] = ()


Notice = HungKilled | BecameHung | ProcessDies | Digest


@dataclass(frozen=True)
class Message:
    """A mail without its envelope. ``subject``: one line. ``body``: lines of text that end in a line break."""

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
_ADVICE_DIES = (
    "A zombie is a thread that was killed and does not end. Whatever started this process should start it again.",
    "The stacks say what the zombies wait for: give those calls a timeout.",
)


def compose(notice: Notice, origin: Origin, prefix: str = "") -> Message:
    """
    Put a notice into words.

    Args:
        notice: what happened.
        origin: where.
        prefix: what the operator wants every subject to begin with.

    Returns: a message of bounded size, whatever was in the notice.
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
    if isinstance(notice, ProcessDies):
        return f"the process dies: {notice.reason}"
    return f"{notice.count} more in the last {_minutes(notice.over)}"


def _tasks_in_short(tasks: Sequence[TaskReport]) -> str:
    first = tasks[0]
    said = f"{printable(first.title, 80)} after {spoken(first.ran_for)}"
    return f"{said} and {counted(len(tasks) - 1, 'other request')}" if len(tasks) > 1 else said


def _minutes(duration: Seconds) -> str:
    """Spell a duration the way people speak of mails."""
    return counted(round(duration / 60), "minute") if duration >= 60 else spoken(duration)


def _origin_lines(origin: Origin) -> list[str]:
    lines = [f"host           {printable(origin.host)}", f"process        {origin.pid}"]
    return [*lines, f"configuration  {printable(origin.config_file)}"] if origin.config_file else lines


def _detail_lines(notice: Notice) -> list[str]:
    if isinstance(notice, HungKilled):
        return [*_ADVICE_KILLED, *_task_lines(notice.tasks)]
    if isinstance(notice, BecameHung):
        return [*_ADVICE_HUNG, *_task_lines(notice.tasks)]
    if isinstance(notice, ProcessDies):
        return [printable(notice.standing), "", *_ADVICE_DIES, *_task_lines(notice.tasks)]
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
        lines.append("  Stack, innermost call last:")
        cut = len(task.stack) - STACK_LINES_SHOWN
        if cut > 0:
            lines.append(f"    ({counted(cut, 'outer line')} left out)")
        lines.extend(f"    {printable(line, STACK_LINE_LIMIT)}" for line in task.stack[-STACK_LINES_SHOWN:])
    return lines


@dataclass(frozen=True)
class MailRate:
    """How often is often enough: at most ``mails`` notices in any ``window`` seconds; the rest waits for a digest."""

    mails: int = 10
    window: Seconds = 300.0


@dataclass(frozen=True)
class MailState:
    """
    What was mailed lately and what was held back; handed from one decision to the next.

    ``sent_at``: of notices sent within the window, oldest first. ``held``: how many wait for the digest.
    ``held_since``: when the first of them came. ``subjects``: of the first few.
    """

    sent_at: tuple[Seconds, ...] = ()
    held: int = 0
    held_since: Seconds = math.inf
    subjects: tuple[str, ...] = ()


def offer(notice: Notice, now: Seconds, state: MailState, rate: MailRate) -> tuple[bool, MailState]:
    """
    Decide whether a notice is mailed by itself.

    The end of the process always is: there is no later digest to wait for.

    Returns:
        whether to send it, and the state for the next decision; a notice not sent is counted for the digest.
    """
    recent = tuple(at for at in state.sent_at if now < at + rate.window)
    if isinstance(notice, ProcessDies) or len(recent) < rate.mails:
        return True, MailState((*recent, now), state.held, state.held_since, state.subjects)
    subjects = (*state.subjects, headline(notice))[:SAMPLES_KEPT]
    return False, MailState(recent, state.held + 1, min(state.held_since, now), subjects)


def digest_at(state: MailState, rate: MailRate) -> Seconds:
    """Say when what was held back is to be mailed: a window after the first of it; infinity when nothing was."""
    return state.held_since + rate.window


def digest(now: Seconds, state: MailState, rate: MailRate, *, last: bool = False) -> tuple[Digest | None, MailState]:
    """
    Put what was held back into one notice, when it is time.

    Args:
        last: nothing is sent after this, so do not wait for the time.

    Returns:
        the digest or ``None``, and the state for the next decision.
    """
    if not state.held or (now < digest_at(state, rate) and not last):
        return None, state
    return Digest(state.held, now - state.held_since, state.subjects), MailState(state.sent_at)
