"""A process that runs out of file descriptors goes on serving, says so once, and takes clients again when it can."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from tests.server.conftest import Serve
from tests.server.programs import Program
from tests.server.serving import path_echo, until

LIMIT = 40

BEFORE = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
"""


def test_server_survives_without_descriptors(tmp_path: Path) -> None:
    """Clients beyond the limit wait in the kernel; those inside are served; when some leave, the others come in."""
    with Program(tmp_path, BEFORE, connection_limit=1000) as program, contextlib.ExitStack() as stack:
        program.address()
        inside = stack.enter_context(program.client())
        assert inside.get("/first").body == b"/first"
        crowd = [stack.enter_context(program.client()) for _ in range(LIMIT)]
        program.await_line("ERROR pastepool.http Clients have to wait: Too many open files")
        for _ in range(3):
            assert inside.get("/still").body == b"/still"
        for client in crowd[: LIMIT // 2]:
            client.close()
        late = crowd[-1]
        assert late.get("/late").body == b"/late"
        for client in crowd[LIMIT // 2 :]:
            client.close()
        assert inside.get("/again").body == b"/again"
        assert program.end() == 0, program.said
    assert program.said.count("Clients have to wait") == 1
    assert "Traceback" not in program.said


def test_pause_ends_where_no_client_is_there(tmp_path: Path) -> None:
    """Also when the application took all descriptors and not one client was let in, the first is served afterwards."""
    before = f"""
        {BEFORE.strip().splitlines()[0]}
        {BEFORE.strip().splitlines()[1]}
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


def test_connection_that_a_child_process_holds_ends_all_the_same(serve: Serve) -> None:
    """
    An application that forks leaves a copy of every open socket with its child, here a duplicate: a closed connection
    still tells its client so, and is no event of ours any more.
    """
    run = serve(path_echo)
    with run.client() as client:
        client.get("/first")
        (connection,) = run.server.parts.poller.connections.values()
        kept = os.dup(connection.fd)
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
