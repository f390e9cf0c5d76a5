"""A process that runs out of file descriptors goes on serving, says so once, and takes clients again when it can."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pastepool.runtime.system import forks
from tests.server.conftest import Serve
from tests.server.programs import Program
from tests.server.serving import Client, path_echo
from tests.waiting import until

CROWD = 1100

FEW = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
"""
"""Lines of a program whose process may open few files. Indented as the lines that follow them."""

OPENING = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, {hard}))


def app(environ, start_response):
    files = [open(os.devnull) for _ in range(100)]
    start_response("200 OK", [])
    for file in files:
        file.close()
    return [str(resource.getrlimit(resource.RLIMIT_NOFILE)).encode()]
"""
"""An application that opens a hundred files for each request. Its process has the usual soft limit."""


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for the clients' ends, and a hard limit for the server's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CROWD
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"the hard limit on open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize("hard", [4096, 1024])
def test_1100_silent_connections_leave_files_for_the_application(tmp_path: Path, hard: int) -> None:
    """At a soft limit of 1,024 all stay if the hard limit allows it; else the oldest go; the application opens files."""
    most = hard - 1000 if hard > CROWD else 700
    with Program(tmp_path, OPENING.format(hard=hard), lower=False) as program, contextlib.ExitStack() as stack:
        port = program.address()
        program.await_line("settings from")
        crowd = [stack.enter_context(Client(port)) for _ in range(CROWD)]
        for _ in range(20):
            with program.client() as client:
                assert client.get("/").body == f"({hard}, {hard})".encode()
        here = len(os.listdir(f"/proc/{program.pid}/fd"))
        if hard > CROWD:
            assert here > CROWD
            assert all(client.is_silent() for client in crowd[:100])
        else:
            assert here < most
            assert crowd[0].ended()
            assert crowd[-1].get("/last").status == 200
        assert program.end() == 0, program.said
    said = "connections, because this process may open 1024 files (ulimit -n, LimitNOFILE=)" in program.said
    assert said == (hard < CROWD)
    assert "Clients have to wait" not in program.said
    assert "Traceback" not in program.said


def test_connections_make_room_when_the_application_takes_the_descriptors(tmp_path: Path) -> None:
    """Where accepting fails, the connection that has been silent longest goes; nobody waits in the kernel."""
    before = f"""{FEW}
        taken = []

        def app(environ, start_response):
            if environ["PATH_INFO"] == "/take":
                try:
                    while True:
                        taken.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    pass
            start_response("200 OK", [])
            return [str(len(taken)).encode()]
        """
    with Program(tmp_path, before) as program, contextlib.ExitStack() as stack:
        program.address()
        silent = [stack.enter_context(program.client()) for _ in range(3)]
        inside = stack.enter_context(program.client())
        assert int(inside.get("/take").body) > 0
        newcomer = stack.enter_context(program.client())
        assert newcomer.get("/new").status == 200
        assert silent[0].ended()
        assert inside.get("/still").status == 200
        assert program.end() == 0, program.said
    assert "Clients have to wait" not in program.said


def test_pause_ends_where_no_client_is_there(tmp_path: Path) -> None:
    """Also when the application took all descriptors and not one client was let in, the first is served afterwards."""
    before = f"""{FEW}
        taken = []

        def take():
            try:
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                say("all taken")
            wait_for_complaint.wait()
            for descriptor in taken:
                os.close(descriptor)
            say("all given back")

        wait_for_complaint = threading.Event()

        class Watch(logging.Handler):
            def emit(self, record):
                if "Clients have to wait" in record.getMessage():
                    wait_for_complaint.set()

        logging.getLogger().addHandler(Watch())
        """
    serve = """
        threading.Thread(target=lambda: (server.ready.wait(), take()), daemon=True).start()
        server.serve()
        """
    with Program(tmp_path, before, serve) as program:
        program.address()
        program.await_line("all taken")
        with program.client() as client:
            assert client.get("/after-the-pause").body == b"/after-the-pause"
        assert program.end() == 0, program.said
    assert program.said.count("Clients have to wait") == 1


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the server see that the process was forked. The test keeps a duplicate of the socket as the child would."""
    return lambda: monkeypatch.setattr(forks._forks, "begun", forks.begun() + 1)


def test_connection_that_a_child_process_holds_ends_all_the_same(serve: Serve, forked: Callable[[], None]) -> None:
    """
    An application that forks leaves a copy of every open socket with its child, here a duplicate: a closed connection
    still tells its client so, and is no event of ours any more.
    """
    run = serve(path_echo)
    with run.client() as client:
        client.get("/first")
        (connection,) = run.server.parts.poller.connections.values()
        kept = os.dup(connection.fd)
        forked()
        try:
            assert client.get("/last", "Connection: close").closes
            assert client.ended()
            until(lambda: run.connections == 0, "the connection is forgotten")
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            polls = run.count_polls()
            threading.Event().wait(0.3)
            assert polls() < 10
        finally:
            os.close(kept)


def test_connection_that_makes_room_ends_although_a_child_process_holds_it(
    serve: Serve, forked: Callable[[], None]
) -> None:
    """A client that has sent half a request is told 503 and sees the end of its connection."""
    run = serve(path_echo, connection_limit=1)
    with run.client() as oldest:
        oldest.send(b"GET / HTTP/1.1\r\nHo")
        until(lambda: any(each.engine.started for each in list(run.server.parts.poller.connections.values())), "half")
        (connection,) = run.server.parts.poller.connections.values()
        kept = os.dup(connection.fd)
        forked()
        try:
            with run.client() as newcomer:
                assert newcomer.get("/new").body == b"/new"
                assert oldest.response().status == 503
                assert oldest.ended()
        finally:
            os.close(kept)
