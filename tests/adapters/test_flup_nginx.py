"""FastCGI and SCGI behind real nginx, on our pool: hung requests, kills, kept connections, and the end of the process."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flup", reason="flup is not installed")

from pastepool import entrypoints
from pastepool.core.states import Status, classify
from pastepool.errors import SettingsError, StartError
from tests.adapters.clients import Application, Asking, ask, connect
from tests.meta.repository import ROOT
from tests.server.fronts import accepts, free_port
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG, Stopwatch, until

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")

QUICK = {"threadpool_hung_thread_limit": "0.3", "threadpool_kill_thread_limit": "2", "shutdown_timeout": "5"}

CONF = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 200; }}
http {{
    access_log off; client_max_body_size 10m; client_body_temp_path {folder}; fastcgi_temp_path {folder};
    proxy_temp_path {folder}; scgi_temp_path {folder}; uwsgi_temp_path {folder};
    upstream app {{ server {upstream}; {keepalive} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {protocol}_pass app; {more}
            {protocol}_param REQUEST_METHOD $request_method; {protocol}_param REQUEST_URI $request_uri;
            {protocol}_param QUERY_STRING $query_string; {protocol}_param CONTENT_TYPE $content_type;
            {length} {protocol}_param SCRIPT_NAME "";
            {protocol}_param PATH_INFO $uri; {protocol}_param SERVER_NAME $server_name;
            {protocol}_param SERVER_PORT $server_port; {protocol}_param SERVER_PROTOCOL $server_protocol;
            {protocol}_param REMOTE_ADDR $remote_addr; {protocol}_param SCGI 1;
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, protocol: str, upstream: str, kept: bool = False) -> Iterator[int]:
    """Have nginx in front. Returns its port."""
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(
        CONF.format(
            folder=folder,
            protocol=protocol,
            upstream=upstream,
            port=port,
            keepalive="keepalive 4;" if kept else "",
            more="fastcgi_keep_conn on;" if kept else "",
            length="fastcgi_param CONTENT_LENGTH $content_length;" if protocol == "fastcgi" else "",
        )
    )
    command = [NGINX, "-p", str(folder), "-c", str(conf), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: accepts(port), "nginx listens", PROGRAM_WATCHDOG)
            yield port
        finally:
            process.terminate()
            process.wait(PROGRAM_WATCHDOG)


@contextlib.contextmanager
def served(protocol: str, application: Any, **options: Any) -> Iterator[Any]:
    """Serve on a thread, as an entry point would. Returns flup's server."""
    import importlib

    from pastepool.adapters.flup import on_our_pool

    server_class = on_our_pool(importlib.import_module(f"flup.server.{protocol}").WSGIServer)
    server = server_class(application, **options)
    serving = threading.Thread(target=server.run, name="flup")
    serving.start()
    try:
        until(lambda: getattr(server, "_keepGoing", False), "it serves")
        yield server
    finally:
        server.stop()
        serving.join(WATCHDOG)
        assert not serving.is_alive()


def are_free(server: Any, kept: bool = False) -> bool:
    """
    Whether no thread has work, but for those that hang: flup refuses what finds no thread.

    ``kept``: a thread may wait for the next request of a connection that nginx keeps open.
    """
    view = server.pool.pool.paste_pool.server_view
    working = {Status.BUSY} if kept else {Status.BUSY, Status.SENDING}
    return not any(classify(record, view.clock.now(), view.policy) in working for record in view.pool.records())


@pytest.mark.parametrize(
    ("unix", "kept"),
    [(False, False), (False, True), (True, False), (True, True)],
    ids=["tcp", "tcp kept", "unix", "unix kept"],
)
def test_fastcgi_behind_nginx(folder: Path, unix: bool, kept: bool) -> None:
    """
    Answers, a content of a megabyte, and twenty requests that hang on four threads: later ones are answered, the hung
    ones get flup's page about an error.
    """
    application = Application()
    address: Any = str(folder / "app.sock") if unix else ("127.0.0.1", free_port())
    upstream = f"unix:{address}" if unix else f"127.0.0.1:{address[1]}"
    # A connection that nginx keeps open has a thread.
    options = {"maxThreads": 8 if kept else 4, "max_workers": 40, "hung_thread_limit": 0.3, "kill_thread_limit": 2}
    with (
        served("fcgi", application, bindAddress=address, umask=0, **options) as server,
        nginx(folder, "fastcgi", upstream, kept) as port,
    ):
        until(lambda: ask(port, "/")[0] == 200, "it answers")
        assert ask(port, "/a/b", method="POST", body=b"x" * 2**20) == (200, b"POST /a/b 1048576")
        answers = []
        for _ in range(5):  # flup refuses what finds no thread: four at a time, until they count as hung
            until(lambda: are_free(server, kept), "nothing works that does not hang")
            clients = Asking(port, [f"/hang/{at}" for at in range(4)])
            application.await_calls(4)
            answers.append(clients)
            until(lambda: ask(port, "/")[0] == 200, "a later request is answered")
        killed = [answer for clients in answers for answer in clients.join()]
        assert len(killed) == 20 and {status for status, _ in killed} <= {500, 502}
        assert any(b"Unhandled Exception" in body for _, body in killed)
        assert ask(port, "/") == (200, b"GET / 0")


def test_busy_since_restarts_on_a_kept_connection(folder: Path) -> None:
    """
    One connection of nginx has many requests; each counts from its own begin, and the wait between them is no hang.

    One client asks all of them. If it hung up, nginx would open another connection, for which flup has no thread.
    """
    application = Application()
    port = free_port()
    options = {"maxThreads": 1, "max_workers": 4, "hung_thread_limit": 1.0, "kill_thread_limit": 2.0}
    with (
        served("fcgi", application, bindAddress=("127.0.0.1", port), **options) as server,
        nginx(folder, "fastcgi", f"127.0.0.1:{port}", True) as front,
    ):
        never = threading.Event()
        with contextlib.closing(connect(front)) as connection:

            def answer() -> bytes:
                connection.request("GET", "/")
                return connection.getresponse().read()

            until(lambda: answer() == b"GET / 0", "it answers")
            for _ in range(6):
                never.wait(0.4)  # all waits together are longer than the limit of one request
                assert answer() == b"GET / 0"
        view = server.pool.pool.paste_pool.server_view
        until(lambda: view.totals().counters["requests"] >= 7, "each is counted, the last one after its response")
        assert view.totals().counters["killed"] == 0


@pytest.mark.parametrize("protocol", ["scgi"])
def test_scgi_behind_nginx(folder: Path, protocol: str) -> None:
    """The same short list over SCGI."""
    application = Application()
    port = free_port()
    options = {
        "maxThreads": 4,
        "max_workers": 40,
        "hung_thread_limit": 0.3,
        "kill_thread_limit": 2,
        "shutdown_timeout": 5,
    }
    with (
        served("scgi", application, bindAddress=("127.0.0.1", port), **options) as server,
        nginx(folder, "scgi", f"127.0.0.1:{port}") as front,
    ):
        until(lambda: ask(front, "/", method="POST", body=b"x")[0] == 200, "it answers")
        assert ask(front, "/a", method="POST", body=b"x" * 2**20) == (200, b"POST /a 1048576")
        until(lambda: are_free(server), "four more find a thread")
        clients = Asking(front, [f"/hang/{at}" for at in range(4)])
        application.await_calls(4)
        until(lambda: ask(front, "/")[0] == 200, "a later request is answered")
        assert {status for status, _ in clients.join()} <= {500, 502}


PROGRAM = """
import sys, threading
sys.path.insert(0, {root!r})
from pastepool import entrypoints
from tests.adapters.clients import Application

application = Application()
entrypoints.{protocol}({{}}, **{options!r})(application)
"""


@contextlib.contextmanager
def program(protocol: str, options: dict[str, str], text: str = PROGRAM) -> Iterator[Any]:
    """Run the entry point in a process of its own."""
    code = text.format(root=str(ROOT), protocol=protocol, options=options)
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_sigterm_ends_the_process_with_hung_requests(folder: Path) -> None:
    """flup alone is still there after ten seconds; here the drain is bounded. The port is free afterwards."""
    port = free_port()
    options = {"host": "127.0.0.1", "port": str(port), "shutdown_timeout": "1", "maxThreads": "4", **QUICK}
    options["shutdown_timeout"] = "1"
    with program("fcgi", options) as process, nginx(folder, "fastcgi", f"127.0.0.1:{port}") as front:
        until(lambda: ask(front, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        clients = Asking(front, ["/hang/1", "/hang/2"])
        until(lambda: ask(front, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        watch = Stopwatch()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PROGRAM_WATCHDOG) == 0
        assert watch.net() < 8
        assert not accepts(port)
        clients.join()


def test_server_that_was_made_before_a_fork_serves_in_the_child(folder: Path) -> None:
    """Contract F2: flup's own accepts there, and never answers. Its sockets are close-on-exec (F5)."""
    text = """
import importlib, os, sys
sys.path.insert(0, {root!r})
from pastepool.adapters.flup import on_our_pool
from tests.adapters.clients import Application

server_class = on_our_pool(importlib.import_module("flup.server.{protocol}").WSGIServer)
server = server_class(Application(), **{options!r})
server.pool.pool.start()  # even if its threads ran already
if os.fork():
    os.wait()
    os._exit(0)
server.run()
os._exit(0)
"""
    port = free_port()
    with program("fcgi", {"bindAddress": ("127.0.0.1", port)}, text) as process:  # type: ignore[dict-item]
        with nginx(folder, "fastcgi", f"127.0.0.1:{port}") as front:
            until(lambda: ask(front, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        import os

        os.kill(int(children[0]), signal.SIGTERM)
        assert process.wait(PROGRAM_WATCHDOG) == 0


def test_multiplexed_requests_run_on_the_pool() -> None:
    """flup starts a bare thread for each; here a worker runs it, and a request too many is told so."""
    from flup.server import fcgi, fcgi_base

    from pastepool.adapters.flup import on_our_pool

    server = on_our_pool(fcgi.WSGIServer)(Application(), multiplexed=True, bindAddress=("127.0.0.1", 0), maxThreads=1)
    kind = server._jobClass
    assert issubclass(kind, fcgi_base.MultiplexedConnection) and kind is not fcgi_base.MultiplexedConnection
    entered, gate = threading.Event(), threading.Event()
    told: list[Any] = []

    class Running:
        def run(self) -> None:
            entered.set()
            assert gate.wait(WATCHDOG)

    class Faked(kind):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            """It has no socket."""

        def end_request(self, req: Any, *rest: Any, remove: bool = True) -> None:
            told.append((req, *rest))

    connection, second = Faked(), Running()
    connection._start_request(Running())
    assert entered.wait(WATCHDOG)
    connection._start_request(second)
    assert told == [(second, 0, fcgi_base.FCGI_OVERLOADED)]
    gate.set()
    server.pool.shutdown()


@pytest.mark.parametrize(
    ("protocol", "options", "sentence"),
    [
        ("fcgi", {"socket": "/x", "host": "a"}, "socket = /x; it excludes host and port, so delete it or them"),
        ("fcgi", {"host": "a"}, "host = a; port is missing beside it"),
        ("fcgi", {"port": "1"}, "port = 1; host is missing beside it"),
        ("fcgi", {"maxThreads": "many"}, "maxThreads = many; it must be a whole number"),
        ("fcgi", {"multiplexed": "maybe"}, "multiplexed = maybe; it must be true or false"),
        ("scgi", {"umask": "9"}, "umask = 9; it must be a whole number"),
        ("ajp", {"minSpares": "3"}, "'minSpares' is not an option of a pool"),
        ("scgi", {"threadpool_hung_thread_limit": "soon"}, "threadpool_hung_thread_limit"),
    ],
)
def test_mistakes_are_sentences(protocol: str, options: dict[str, str], sentence: str) -> None:
    """Each is found before the application is loaded."""
    with pytest.raises(SettingsError) as error:
        getattr(entrypoints, protocol)({}, **options)
    assert sentence in str(error.value)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # flup leaves the socket to the collector
def test_port_that_is_taken_is_a_sentence() -> None:
    """As with our own server."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serve = entrypoints.ajp({"debug": "true"}, host="127.0.0.1", port=str(port))
        with pytest.raises(StartError, match=r"Cannot listen on .*: Address already in use"):
            serve(Application())


def test_files_that_were_written_for_flup_are_read(folder: Path) -> None:
    """Every option of flup's threaded entry points is taken, with the same meaning."""
    from paste.deploy import loadserver

    ini = folder / "flup.ini"
    for name, lines in {
        "fcgi_thread": f"socket = {folder}/s\numask = 000\nmultiplexed = false",
        "scgi_thread": "host = localhost\nport = 4001\nscriptName = /app\nallowedServers = 127.0.0.1",
        "ajp_thread": "host = localhost\nport = 8010\nscriptName =\nallowedServers = 127.0.0.1",
    }.items():
        common = "debug = false\nminSpare = 1\nmaxSpare = 5\nmaxThreads = 10"
        ini.write_text(f"[server:main]\nuse = egg:pastepool#{name}\n{lines}\n{common}\n")
        assert callable(loadserver(f"config:{ini}"))
