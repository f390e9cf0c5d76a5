"""flup's servers on our pool inside of other programs: in a thread, under twistd, and made before a fork (contract F2-F5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flup", reason="flup is not installed")

from tests.adapters.programs import running
from tests.adapters.scgi import ask, send
from tests.meta.repository import ROOT
from tests.server.fronts import accepts, free_port
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

SERVER = """
import os, sys, threading, time
sys.path.insert(0, {root!r})
from flup.server.scgi import WSGIServer
from pastepool.adapters.flup import on_our_pool

def application(environ, start_response):
    if environ["PATH_INFO"] == "/deaf":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/inherited":
        import subprocess
        listed = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True).stdout
        return [str(listed.count("socket:")).encode()]
    return [b"%d %s" % (os.getpid(), threading.current_thread().name.encode())]

server = on_our_pool(WSGIServer)(
    application, scriptName="", bindAddress=("127.0.0.1", {port}), maxThreads=4, shutdown_timeout=1
)
{code}
"""

IN_A_THREAD = """
import signal

serving = threading.Thread(target=server.run, name="flup")
serving.start()
signal.signal(signal.SIGTERM, lambda *_: server.stop())
print("up", flush=True)
serving.join()
print("over", flush=True)
"""

AFTER_A_FORK = """
pid = os.fork()
if pid:
    import signal
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    print("up", flush=True)
    _, status = os.waitpid(pid, 0)
    print("over", status, flush=True)
else:
    server.run()
    os._exit(0)
"""

TAC = """
from twisted.application.service import Application, Service
from twisted.internet import threads

class Flup(Service):
    def startService(self):
        self.serving = threading.Thread(target=server.run, name="flup")
        self.serving.start()

    def stopService(self):
        server.stop()
        return threads.deferToThread(self.serving.join)

application_of_twisted = Application("shop")
Flup().setServiceParent(application_of_twisted)
application = application_of_twisted
"""


@pytest.mark.parametrize("code", [IN_A_THREAD, AFTER_A_FORK], ids=["in a thread", "after a fork"])
def test_server_serves_and_sigterm_to_its_host_ends_it(code: str) -> None:
    """Also with a request that hangs for good; a child process of the application inherits no socket."""
    port = free_port()
    with running("-c", SERVER.format(root=str(ROOT), port=port, code=code)) as process:
        until(lambda: ask(port), "it answers", PROGRAM_WATCHDOG)
        own, _, thread = ask(port).partition(b" ")
        assert (int(own) == process.process.pid) is (code is IN_A_THREAD) and thread.startswith(b"pastepool worker")
        assert ask(port, "/inherited") == b"0"
        with send(port, "/deaf"):
            assert ask(port)
            watch = Stopwatch()
            said = process.end(signal.SIGTERM)
            assert watch.net() < 8, said
    assert "over" in said and not accepts(port)


@pytest.mark.parametrize("daemon", [False, True], ids=["in the foreground", "as a daemon"])
def test_server_serves_under_twistd(folder: Path, daemon: bool) -> None:
    """It is made at module level of a .tac, before twistd forks, and ends with it."""
    pytest.importorskip("twisted", reason="Twisted is not installed")
    port, tac, pidfile = free_port(), folder / "shop.tac", folder / "pid"
    tac.write_text(SERVER.format(root=str(ROOT), port=port, code=TAC))
    where = ["--pidfile", str(pidfile), "--rundir", str(folder), "--logfile", str(folder / "log"), "-y", str(tac)]
    command = ["-c", "from twisted.scripts.twistd import run; run()", *([] if daemon else ["-n"]), *where]
    if daemon:
        subprocess.run([sys.executable, "-W", "ignore", *command], check=True, timeout=PROGRAM_WATCHDOG)
        until(pidfile.exists, "it has a pid", PROGRAM_WATCHDOG)
        pid = int(pidfile.read_text())
        try:
            until(lambda: ask(port).startswith(b"%d " % pid), "it answers", PROGRAM_WATCHDOG)
            os.kill(pid, signal.SIGTERM)
            until(lambda: not pidfile.exists() and not accepts(port), "it has ended", PROGRAM_WATCHDOG)
        finally:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return
    with running(*command) as process:
        until(lambda: ask(port), "it answers", PROGRAM_WATCHDOG)
        process.end(signal.SIGTERM)
    assert not accepts(port) and not pidfile.exists()
