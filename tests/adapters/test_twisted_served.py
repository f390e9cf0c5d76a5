"""Programs of Twisted on our pool: hung requests, the reactor's pool, daemons, and their end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("twisted", reason="Twisted is not installed")

from tests.adapters.clients import Asking, ask
from tests.adapters.programs import running
from tests.meta.repository import ROOT
from tests.server.fronts import accepts, free_port
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

APPLICATION = """
import sys, threading, time
sys.path.insert(0, {root!r})
from twisted.internet import reactor
from twisted.web.server import Site
from twisted.web.wsgi import WSGIResource
from pastepool.adapters.twisted import ThreadPool

def application(environ, start_response):
    if environ["PATH_INFO"].startswith("/hang"):
        while True:
            time.sleep(0.001)
    if environ["PATH_INFO"].startswith("/deaf"):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]

pool = ThreadPool(2, 4, "shop", max_workers=60, hung_thread_limit=0.3, kill_thread_limit=2, shutdown_timeout=1)
site = Site(WSGIResource(reactor, pool, pool.wrap(application)))
"""
RUN = """
pool.serve(reactor)
reactor.listenTCP({port}, site, interface="127.0.0.1")
reactor.run()
"""
TAC = """
from twisted.application.internet import TCPServer
from twisted.application.service import Application

pool.serve(reactor)
application_object = Application("shop")
TCPServer({port}, site, interface="127.0.0.1").setServiceParent(application_object)
application = application_object
"""


def serving(text: str) -> tuple[str, int]:
    """Return a program that serves, and its port."""
    port = free_port()
    return (APPLICATION + text).format(root=str(ROOT), port=port), port


def test_hung_requests_do_not_stop_the_server_and_sigterm_ends_it() -> None:
    """
    Four threads, twenty requests that hang: later ones are answered, the hung ones are answered 500 by Twisted after
    their kill. With four that no kill reaches, SIGTERM ends the process in time. Twisted alone does neither.
    """
    code, port = serving(RUN)
    with running("-c", code) as process:
        until(lambda: ask(port, "/") == (200, b"/"), "it answers", PROGRAM_WATCHDOG)
        clients = Asking(port, [f"/hang/{at}" for at in range(20)])
        for _ in range(3):
            assert ask(port, "/later") == (200, b"/later")
        assert {status for status, _ in clients.join()} == {500}
        deaf = Asking(port, [f"/deaf/{at}" for at in range(4)])
        assert ask(port, "/later") == (200, b"/later")
        watch = Stopwatch()
        said = process.end(signal.SIGTERM)
        assert watch.net() < 8, said
        deaf.join()
        assert re.search(r"is hung: GET /hang/\d+ has run", said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_twistd_in_the_foreground_ends_on_one_signal(folder: Path, number: signal.Signals) -> None:
    """A pool that is made at module level of a .tac serves, and one Ctrl-C ends it."""
    code, port = serving(TAC)
    tac = folder / "shop.tac"
    tac.write_text(code)
    command = [
        "-c",
        "from twisted.scripts.twistd import run; run()",
        "-n",
        "--pidfile",
        str(folder / "pid"),
        "-y",
        str(tac),
        "--rundir",
        str(folder),
    ]
    with running(*command) as process:
        until(lambda: ask(port, "/") == (200, b"/"), "it answers", PROGRAM_WATCHDOG)
        clients = Asking(port, ["/deaf/1"])
        assert ask(port, "/later") == (200, b"/later")
        watch = Stopwatch()
        said = process.end(number)
        assert watch.net() < 8, said
        clients.join()


def test_twistd_as_a_daemon_serves_and_ends(folder: Path) -> None:
    """A pool that is made before twistd forks answers in the daemon; SIGTERM is enough, and the pid file is removed."""
    code, port = serving(TAC)
    tac, pidfile = folder / "shop.tac", folder / "pid"
    tac.write_text(code)
    command = ["-c", "from twisted.scripts.twistd import run; run()", "--pidfile", str(pidfile), "-y", str(tac)]
    subprocess.run(
        [sys.executable, "-W", "ignore", *command, "--rundir", str(folder), "--logfile", str(folder / "log")],
        check=True,
        timeout=PROGRAM_WATCHDOG,
    )
    until(pidfile.exists, "it has a pid", PROGRAM_WATCHDOG)
    pid = int(pidfile.read_text())
    try:
        until(lambda: ask(port, "/") == (200, b"/"), "it answers", PROGRAM_WATCHDOG)
        os.kill(pid, signal.SIGTERM)
        until(lambda: not pidfile.exists() and not accepts(port), "it has ended", PROGRAM_WATCHDOG)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_pool_of_the_reactor() -> None:
    """``deferToThread``, names that are looked up and ``deferToThreadPool`` use it; a second one is refused."""
    code = f"""
import os, sys, threading
sys.path.insert(0, {str(ROOT)!r})
from twisted.internet import reactor, threads
from pastepool.adapters.twisted import ThreadPool

def say(word):  # in one piece: the lines of the log come from another thread
    os.write(1, (str(word) + os.linesep).encode())

pool = ThreadPool(0, 5, "reactor", hung_thread_limit=0.2, kill_thread_limit=0.5)
pool.install(reactor)
try:
    ThreadPool().install(reactor)
except RuntimeError as error:
    say(error)

def name():
    return threading.current_thread().name

def hang():
    while True:
        threading.Event().wait(0.001)

def later():
    def ask(result):
        say("worker" in result)
        return reactor.resolve("localhost")
    def more(address):
        say(address)
        return threads.deferToThreadPool(reactor, pool, hang)
    def killed(failure):
        say(failure.type.__name__)
        reactor.suggestThreadPoolSize(7)
        say(pool.max)
        reactor.stop()
    threads.deferToThread(name).addCallback(ask).addCallback(more).addErrback(killed)

reactor.callWhenRunning(later)
reactor.run()
say("over")
"""
    with running("-c", code) as process:
        said = process.end()
    lines = [line for line in said.splitlines() if not re.match(r"\d{4}-| ", line)]
    refusal, *rest = lines
    assert refusal.startswith("The reactor has a pool already, because something has used it"), said
    assert rest == ["True", "127.0.0.1", "WorkerKilled", "7", "over"], said
