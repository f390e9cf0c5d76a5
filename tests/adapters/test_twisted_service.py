"""Our server as a service of a program of Twisted: its start, its drain, and its workers on the reactor's threads."""

from __future__ import annotations

import re
import signal
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("twisted", reason="Twisted is not installed")

from pastepool.adapters.twisted import Service
from pastepool.errors import SettingsError
from tests.adapters.clients import Asking, ask
from tests.adapters.programs import running
from tests.meta.repository import ROOT
from tests.server.fronts import free_port
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

PROGRAM = """
import sys, threading, time
sys.path.insert(0, {root!r})
from twisted.internet import reactor, threads
from pastepool.adapters.twisted import Service
from pastepool.errors import PastepoolError

told, gate = [], threading.Event()

def say(*words):
    print(*words, flush=True)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/held":
        reactor.callFromThread(asked)
        gate.wait()
    if path.startswith("/hang"):
        while True:
            time.sleep(0.001)
    if path == "/deaf":
        say("deaf")
        reactor.callFromThread(asked)
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    start_response("200 OK", [("Content-Type", "text/plain")])
    told.append(path)
    return [threading.current_thread().name.encode()]

def asked():
    pass

{code}
reactor.run()
say("over")
"""

STOPPED = """
service = Service({options!r}, application)

def asked():
    began = time.monotonic()
    service.stopService().addCallback(lambda _: (
        say("stopped with", told, "after", time.monotonic() - began), reactor.stop()
    ))
    gate.set()

def begin():
    service.startService()
    try:
        service.startService()
    except RuntimeError as error:
        say(error)

reactor.callWhenRunning(begin)
"""

ON_THEIRS = """
reactor.suggestThreadPoolSize({threads})
service = Service({options!r}, application, on_reactor_threads=True)
reactor.addSystemEventTrigger("before", "shutdown", service.stopService)

def begin():
    try:
        service.startService()
    except PastepoolError as error:
        say(type(error).__name__, error)
        reactor.stop()

reactor.callWhenRunning(begin)
"""


def program(code: str, **values: object) -> str:
    """Return the text of a program."""
    return PROGRAM.format(root=str(ROOT), code=code.format(**values))


def test_stop_waits_for_the_request_that_runs() -> None:
    """The Deferred of ``stopService`` fires after the response; a second start is refused in a sentence."""
    port = free_port()
    code = program(STOPPED, options={"port": port, "shutdown_timeout": 30})
    with running("-c", code) as process:
        until(lambda: ask(port, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        assert ask(port, "/held")[0] == 200
        said = process.end()
    assert "This service was started already, and a server serves once; make another Service.\n" in said
    (found,) = re.findall(r"stopped with (.*) after ([\d.]+)", said)
    assert found[0] == "['/', '/held']" and float(found[1]) < 20
    assert said.endswith("over\n")


def test_stop_with_a_hung_request_is_over_at_the_deadline() -> None:
    """No kill reaches it. The Deferred fires at ``shutdown_timeout``, and the program ends."""
    port = free_port()
    code = program(STOPPED, options={"port": port, "shutdown_timeout": 1, "idle_grace": 0})
    with running("-c", code) as process:
        until(lambda: ask(port, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        hung = Asking(port, ["/deaf"])
        watch = Stopwatch()
        said = process.end()
        assert watch.net() < 8, said
        hung.join()
    ((_, took),) = re.findall(r"stopped with (.*) after ([\d.]+)", said)
    assert float(took) > 0.9
    assert "did not stop: GET /deaf" in said


def test_workers_on_the_threads_of_the_reactor() -> None:
    """
    They serve, and outlive requests that hang; the rest is killed, and SIGTERM ends the process, though one hangs in
    a thread of Twisted, for which Twisted and Python would wait for ever.
    """
    port = free_port()
    options = {
        "port": port,
        "threadpool_workers": 2,
        "threadpool_max_workers": 6,
        "threadpool_hung_thread_limit": 0.3,
        "threadpool_kill_thread_limit": 2,
        "threadpool_spawn_if_under": 2,
        "shutdown_timeout": 1,
        "idle_grace": 0,
    }
    with running("-c", program(ON_THEIRS, options=options, threads=9)) as process:
        until(lambda: ask(port, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        assert ask(port, "/")[1].startswith(b"PoolThread-twisted.internet.reactor-")
        hung = Asking(port, [f"/hang/{at}" for at in range(4)])
        assert ask(port, "/later")[0] == 200
        assert {status for status, _ in hung.join()} == {504}
        assert ask(port, "/later")[0] == 200
        deaf = Asking(port, ["/deaf"])
        process.await_line("deaf\n")
        assert ask(port, "/later")[0] == 200
        process.process.send_signal(signal.SIGTERM)
        watch = Stopwatch()
        status = process.process.wait(PROGRAM_WATCHDOG)
        assert watch.net() < 12 and status == 1
        deaf.join()
        assert "over\n" in process.said()


def test_reactor_with_too_few_threads_is_refused() -> None:
    """The sentence names the number that is needed."""
    options = {"port": 0, "threadpool_workers": 2, "threadpool_max_workers": 6, "threadpool_spawn_if_under": 2}
    with running("-c", program(ON_THEIRS, options=options, threads=8)) as process:
        said = process.end()
    assert (
        "StartError The pool of the host may have 8 threads, and 9 are needed: 6 for the workers (threadpool_max_workers)"
        " and 3 for its other work. Let it have 9, or lower threadpool_max_workers.\n"
    ) in said


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (
            "use = egg:pastepool#http\nport = 1\nprocesses = 2",
            "processes = 2; a server inside of another program cannot",
        ),
        ("use = egg:waitress#main", "this is no section for the server of pastepool; let it say use ="),
        ("use = egg:pastepool#fcgi", "this is no section for the server of pastepool; let it say use ="),
        ("use = egg:pastepool#http\nport = many", "port = 'many' is not a whole number"),
        ("", "cannot be read"),
    ],
)
def test_mistakes_in_the_file_are_sentences(folder: Path, server: str, sentence: str) -> None:
    """They are found when the service is made, before the application is loaded."""
    ini = folder / "shop.ini"
    ini.write_text(f"[server:main]\n{server}\n\n[app:main]\nuse = call:no_such_module:app\n")
    with pytest.raises(SettingsError) as error:
        Service(str(ini))
    assert sentence in str(error.value) and str(ini) in str(error.value)


def test_options_without_an_application_are_refused() -> None:
    """The sentence says what is missing."""
    with pytest.raises(SettingsError, match="An application is missing; give it beside the options"):
        Service({"port": 0})


def test_waitress_names_are_read_in_a_section_for_main(folder: Path) -> None:
    """``use = egg:pastepool#main`` is the section of somebody who came from waitress."""
    ini = folder / "shop.ini"
    ini.write_text(
        textwrap.dedent("""\
            [server:other]
            use = egg:pastepool#main
            threads = %(number)s
            """)
    )
    service = Service(ini, lambda environ, start_response: [], server="other", variables={"number": "9"})
    assert service.server.settings.pool.workers == 9
