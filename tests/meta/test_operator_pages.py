"""
What the pages for operators show is what the code would say today.

The outputs in the walk-through were copied from a terminal. Here they are said again by the same functions, from the
same configuration file, so that a page that has fallen behind fails.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paste.deploy import loadwsgi

from pastepool.core import supervision
from pastepool.core.actions import Action, Capped, ExitProcess, Kill, NoteHung, NoteZombie, Spawn
from pastepool.core.facts import SERVING
from pastepool.core.history import Injection
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status, TaskSummary, WorkerEvent, advance
from pastepool.core.telling import masking, notices
from pastepool.core.telling.report import CodePlace, Diagnosis, sentence
from pastepool.runtime.mail import mailer, smtp
from pastepool.settings import Settings, read
from pastepool.settings.options import OPTIONS
from tests.meta.repository import PACKAGE, ROOT, sources, sphinx_extension, tree

DOCS = ROOT / "docs"
HUNG_DATABASE = DOCS / "how-to" / "files" / "hung-database.ini"
PORT = re.compile(r"127\.0\.0\.1:\d{5}")
LOG_LINE = re.compile(r"^\d\d:\d\d:\d\d ([A-Z]+) +(.+)$", re.MULTILINE)


def page(name: str) -> str:
    """The source of one page."""
    return (DOCS / name).read_text(encoding="utf-8")


WALK = page("how-to/survive-a-hung-database.md")
MAIL = page("reference/mail.md")


def settings() -> Settings:
    """What the walk-through's configuration file says."""
    context: Any = loadwsgi.loadcontext(loadwsgi.SERVER, f"config:{HUNG_DATABASE}")
    return read(context.local_conf, context.global_conf)


def same_port(text: str) -> str:
    """Ports are the kernel's choice; two texts that differ in nothing else are the same."""
    return PORT.sub("127.0.0.1:PORT", text)


def blocked() -> Diagnosis:
    """What an inspection finds out about the demonstration's hung socket."""
    directory = "/srv/app/env/lib/python3.11/site-packages/pastepool/demo/"
    frames = (CodePlace(directory + "hanging.py", 48, "on_socket"), CodePlace(directory + "hanging.py", 93, "hanging"))
    return Diagnosis(frames, syscall="recvfrom", waits_for="127.0.0.1:46387")


def said(action: Action) -> str:
    """The line the supervisor logs for an action."""
    if isinstance(action, NoteHung):
        return f"{action.describe()}; {sentence(Status.HUNG, action.ran_for, blocked())}"
    if isinstance(action, Kill):
        status = Status.DYING if action.again else Status.HUNG
        return f"{action.describe()}; {sentence(status, action.ran_for, blocked())}"
    if isinstance(action, NoteZombie):
        return f"{action.describe()}; {sentence(Status.ZOMBIE, action.dying_for, blocked())}"
    return action.describe()


@cache
def lived_through() -> tuple[str, ...]:
    """Every line the supervisor would log: two workers hang in the same call, and no kill takes effect."""
    policy = replace(settings().pool, max_zombies=1)
    began_at = {2: 0.0, 1: 0.01}
    records = [Record(number, Phase.BUSY, at, TaskSummary("GET /hanging", number)) for number, at in began_at.items()]
    now, history, lines = 0.0, None, []
    while not any(line.startswith("end the process") for line in lines):
        decided = supervision.plan(records, 0, now, policy, history=history)
        history = decided.history
        for action in decided.actions:
            lines.append(said(action))
            records = list(after(records, action, now))
        assert now < decided.look_again_at < math.inf
        now = decided.look_again_at
    return tuple(lines)


def after(records: list[Record], action: Action, now: float) -> Iterable[Record]:
    """The workers once an action has been applied."""
    for record in records:
        first_kill = isinstance(action, Kill) and not action.again and action.worker == record.worker
        yield advance(record, WorkerEvent.KILL, now) if first_kill else record
    if isinstance(action, Spawn):
        yield from (Record(len(records) + 1 + more, Phase.IDLE, now) for more in range(action.count))


@cache
def logged_elsewhere() -> tuple[re.Pattern[str], ...]:
    """The package's log messages of several words, as patterns."""
    formats = set()
    for path in sources():
        for text in re.findall(r'_?log\.\w+\(\s*"([^"\n]+)"', path.read_text(encoding="utf-8")):
            if len(re.sub(r"%\S*", "", text).split()) >= 2 or text.startswith("mailed"):
                formats.add(text)
    assert len(formats) > 20
    return tuple(re.compile(re.sub(r"%[\w.]+", ".+", re.escape(text).replace("\\%", "%"))) for text in formats)


ACCESS_LINE = re.compile(
    r'127\.0\.0\.1 - - \[[^]]+\] "GET /\S+ HTTP/1.1" 504 - "-" "curl/\S+" 15\.\d{6} 0\.\d{6} .+ killed'
)
CAPPED = re.compile(r"cannot spawn 2 workers: 6 threads live and max_workers = 6 \(4 hung, 2 dying\); .+")


@pytest.mark.parametrize("line", LOG_LINE.findall(WALK), ids=lambda line: line[1][:40])
def test_log_lines_of_the_walk_are_real(line: tuple[str, str]) -> None:
    """Each line of log on the page is one the supervisor or another part would write today."""
    supervised = {same_port(text) for text in lived_through()}
    text = same_port(line[1])
    patterns = [*logged_elsewhere(), ACCESS_LINE]
    if CAPPED.fullmatch(text):
        counts = {Status.HUNG: 4, Status.DYING: 2}
        assert text == Capped(6, 2, counts, 0).describe()
        return
    assert text in supervised or any(pattern.fullmatch(text) for pattern in patterns), text


def test_walk_shows_every_kind_of_line() -> None:
    """Hung, spawned, killed, killed again three times, the end: nothing the supervisor says on the way is missing."""
    shown = {same_port(text) for _, text in LOG_LINE.findall(WALK)}
    missing = [text for text in lived_through() if same_port(text) not in shown and "worker 1" not in text]
    assert missing == []


def test_walk_names_lines_of_the_demonstration_that_exist() -> None:
    """File and line in the stacks are where the demonstration waits."""
    lines = (PACKAGE / "demo" / "hanging.py").read_text(encoding="utf-8").splitlines()
    shown = re.findall(r'hanging\.py", line (\d+), in \w+\n +(.+)\n', WALK)
    assert {number for number, _ in shown} == {"48", "93"}
    assert [lines[int(number) - 1].strip() for number, _ in shown] == [code for _, code in shown]


def test_walk_starts_with_what_its_file_says() -> None:
    """The file loads without a remark, and the start lines on the page have its numbers."""
    now = settings()
    assert now.notes == ()
    pool = now.pool
    assert f"{pool.workers} workers, at most {pool.max_workers}; requests are hung after {pool.hung_after:g} s" in WALK
    assert f"killed after {pool.kill_after:g} s" in WALK
    assert pool.unblock_sockets is False
    assert (now.mail.host, now.mail.port) == ("127.0.0.1", 8025)
    assert "aiosmtpd -n -l 127.0.0.1:8025" in WALK


def test_walk_shows_a_mail_that_is_written_today() -> None:
    """Every line of the mail on the page is in the mail that is composed from the same facts."""
    block = WALK.partition("## The mail\n")[2].partition("```text\n")[2].partition("```")[0]
    stack = (
        '  File "/srv/app/env/lib/python3.11/site-packages/pastepool/demo/hanging.py", line 48, in on_socket',
        "    asking.recv(1)",
    )
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/hanging",
        "QUERY_STRING": "kind=socket",
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_USER_AGENT": "curl/7.88.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": "0",
    }
    facts = masking.request_facts(environ)
    task = notices.TaskReport(2, "GET /hanging", 15.0, sentence(Status.HUNG, 15.0, blocked()), stack, facts)
    (pid,) = re.findall(r"^process +(\d+)$", block, re.MULTILINE)
    origin = notices.Origin("vm", int(pid), "/srv/app/hung-database.ini")
    message = notices.compose(notices.HungKilled((task,)), origin, settings().mail.subject_prefix)
    head, _, body = block.partition("\n\n")
    assert head.splitlines()[0] == f"Subject: {message.subject}"
    shown = [line for line in same_port(body).splitlines() if line.strip() != "..."]
    assert shown == same_port(message.body).splitlines()


def test_walk_shows_answers_that_are_given() -> None:
    """The texts a killed and a refused client read stand in the code."""
    code = {node.value for path in sources() for node in _constants(path)}
    assert {
        "The request took too long and was ended by the server.",
        "All workers are busy; the request waited too long.",
    } <= code
    assert all(text in WALK for text in ("ended by the server.", "the request waited too long."))


def _constants(path: Path) -> Iterable[ast.Constant]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_mail_page_has_every_key_with_its_default() -> None:
    """The table of the page has all options about mail, and their defaults."""
    options = [option for option in OPTIONS if option.group == "Mail"]
    rows = {name: row for row in re.findall(r"^\| (\{confval\}.+) \|$", MAIL, re.MULTILINE) for name in _named(row)}
    assert set(rows) >= {option.name for option in options}
    for option in options:
        shown = option.default_text or option.show(option.default)
        assert shown in rows[option.name].replace("`", ""), option.name


def _named(row: str) -> list[str]:
    return re.findall(r"\{confval\}`(\w+)`", row.partition(" | ")[0])


def test_mail_page_has_the_numbers_of_the_code() -> None:
    """Limits of size, rate and patience on the page are those the mailer obeys."""
    text = " ".join(MAIL.split())
    rate = notices.MailRate()
    for words in (
        f"for each request, up to {notices.TASKS_SHOWN}:",
        f"its innermost {notices.STACK_LINES_SHOWN} lines",
        f"At most {rate.mails} mails go out in any {rate.window / 60:g} minutes",
        f"as one digest {rate.window / 60:g} minutes after the first",
        f"may take {smtp.OPERATION_TIMEOUT:g} seconds, the whole {smtp.DELIVERY_TIMEOUT:g}",
        f"again every {mailer.RETRY_AFTER:g} seconds, each mail {mailer.ATTEMPTS} times",
        f"At most {mailer.OUTBOX_LIMIT} mails wait",
        f"port {smtp.IMPLICIT_TLS_PORT}",
    ):
        assert words in text, words


def test_mail_page_lists_what_of_a_request_is_shown() -> None:
    """Each fact an operator may read of a request is named, and the masked lines are masked like that."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/hanging",
        "QUERY_STRING": "kind=loop&seconds=30&password=hunter2&order=17",
        "HTTP_HOST": "shop.example",
        "HTTP_USER_AGENT": "Firefox",
        "HTTP_REFERER": "https://u:pw@example.com/a?token=1&page=2",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "1",
        "HTTP_X_REQUEST_ID": "7f3a",
        "HTTP_COOKIE": "session=abc",
        "HTTP_AUTHORIZATION": "Basic eDp5",
    }
    facts = dict(masking.request_facts(environ))
    text = " ".join(MAIL.split())
    listed = text.partition("of the request itself: ")[2].partition(" (`X-Request-ID`)")[0].replace(" and its ", " ")
    assert listed.split(", ") == list(facts)
    for fact in ("query", "referer"):
        assert f"    {fact:14}  {facts[fact]}\n" in MAIL


def test_mail_page_shows_a_digest_that_is_written_today() -> None:
    """The digest on the page is the one that is composed from four notices held back."""
    subjects = ("hung: GET /hanging after 0.5 s", "killed GET /hanging after 1.0 s") * 2
    message = notices.compose(notices.Digest(4, 4.1, subjects), notices.Origin("vm", 1), "[pastepool]")
    assert f"Subject: {message.subject}\n" in MAIL
    assert message.body.partition("process        1\n\n")[2] in MAIL


def test_pauses_between_kills_are_those_of_the_code() -> None:
    """The discussion names the pauses after which a kill is repeated."""
    dying_for = PoolPolicy().dying_for
    pauses = [Injection(1, attempt, 0.0).due_at(dying_for) for attempt in range(1, 6)]
    shown = ", ".join(f"{pause:g}" for pause in pauses[:-1]) + f" and then every {pauses[-1]:g} seconds"
    assert pauses[-1] == dying_for
    assert f"after {shown}" in " ".join(page("discussion/why-killing-is-hard.md").split())


def test_page_of_states_says_who_counts() -> None:
    """The statuses that count towards the pool are those the plan counts."""
    serving = ", ".join(f"*{status.value}*" for status in SERVING)
    assert f"| {serving} | yes | yes |" in page("reference/states.md")


@pytest.fixture(scope="module")
def when_made() -> Iterator[ModuleType]:
    """The Sphinx extension for parts that a test makes."""
    with sphinx_extension("when_made") as module:
        yield module


def test_measured_parts_are_put_in_when_they_are_there(when_made: ModuleType, tmp_path: Path) -> None:
    """A mark becomes the file of that name, and nothing where there is no such file."""
    (tmp_path / "a.md").write_text("measured\n", encoding="utf-8")
    text = "1\n<!-- when made: a.md -->\n<!-- when made: b.md -->\n2"
    assert when_made.put_in(text, tmp_path) == "1\nmeasured\n\n2"
    assert when_made.names(page("discussion/why-killing-is-hard.md")) == ["hang-table.md"]


def test_end_of_the_process_is_said_by_the_plan() -> None:
    """The reason on the page is the plan's own words for two zombies of the same request."""
    (last,) = [line for line in lived_through() if line.startswith("end the process")]
    assert last == ExitProcess(last.partition(": ")[2]).describe()
    assert last in WALK
