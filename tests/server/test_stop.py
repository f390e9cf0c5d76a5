"""The end: what a drain finishes, how long it may take, what must not keep the process (contract F2, F3, F5, P11)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pastepool.server import Server
from pastepool.settings import read
from tests.server.conftest import Serve
from tests.server.programs import ENDS_SOON, Program, is_free
from tests.server.serving import Client, Environ, Held, Paused, Running, path_echo, running
from tests.waiting import WATCHDOG, until

pytestmark = pytest.mark.over_tls

STOPS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", STOPS)
def test_signal_drains(number: signal.Signals, tmp_path: Path) -> None:
    """The first signal: idle connections end, nobody new comes in, what runs and what waits is finished; status 0."""
    options: dict[str, Any] = {"threadpool_workers": 1, "threadpool_max_workers": 1, "shutdown_timeout": 60}
    with Program(tmp_path, **options) as program, contextlib.ExitStack() as stack:
        program.address()
        idle, mute, runs, waits = (stack.enter_context(program.client()) for _ in range(4))
        assert not idle.get("/idle").closes
        runs.ask("/held/runs")
        program.await_call("/held/runs")
        waits.ask("/waits")
        program.process.send_signal(number)
        program.await_line("stopping: ")
        assert idle.ended()
        assert mute.ended()
        assert is_free(program.address())
        program.open_gate()
        for client, body in ((runs, b"/held/runs"), (waits, b"/waits")):
            response = client.response()
            assert (response.status, response.body, response.closes) == (200, body, True)
            assert client.ended()
        assert program.ends_within(ENDS_SOON) == 0, program.said
    assert "Traceback" not in program.said


def test_connection_in_the_kernels_backlog_is_served(tmp_path: Path) -> None:
    """Who has connected and asked before the stop is answered, even if we had not accepted him yet."""
    with Program(tmp_path) as program:
        program.address()
        os.kill(program.pid, signal.SIGSTOP)
        with program.client() as client, program.client() as mute:
            client.ask("/in-the-backlog")
            os.kill(program.pid, signal.SIGTERM)
            os.kill(program.pid, signal.SIGCONT)
            assert client.response().body == b"/in-the-backlog"
            assert client.ended()
            assert mute.ended()
        assert program.ends_within(ENDS_SOON) == 0, program.said


def test_those_let_in_last_are_told_that_it_is_the_end() -> None:
    """Who is accepted by the drain itself gets ``Connection: close``, and ``health_path`` says 503 to the balancer."""
    run = Running(path_echo, {"health_path": "/healthz"}).start()
    clients: list[Client] = []
    asked = [("GET", "/in-the-backlog"), ("GET", "/healthz"), ("HEAD", "/healthz"), ("OPTIONS", "*")]

    def drain_with_clients_in_the_backlog() -> None:
        for method, target in asked:
            clients.append(run.client())
            clients[-1].ask(target, method=method)
        run.server.stop()
        run.server._drain()

    run.server.parts.waker.ask(drain_with_clients_in_the_backlog)
    until(lambda: len(clients) == len(asked), "the clients have asked")
    responses = [client.response(method) for client, (method, _) in zip(clients, asked, strict=True)]
    assert all(response.closes for response in responses)
    assert [response.status for response in responses] == [200, 503, 503, 200]
    for client in clients:
        assert client.ended()
        client.close()
    run.join()


def test_drain_is_bounded_by_shutdown_timeout(tmp_path: Path) -> None:
    """A hung call costs ``shutdown_timeout``: its stack is logged, the process ends, its status is not 0."""
    with Program(tmp_path, shutdown_timeout=0.5) as program:
        program.address()
        with program.client() as client:
            client.ask("/hang?token=hidden")
            program.await_call("/hang")
            program.process.send_signal(signal.SIGTERM)
            assert program.ends_within(ENDS_SOON) == 1
            assert client.ended()
    assert re.search(r"ERROR pastepool pastepool worker \d+ did not stop: GET /hang\n", program.said)
    assert ", in hang\n" in program.said
    assert "hidden" not in program.said


@pytest.mark.parametrize("number", STOPS)
def test_second_signal_ends_at_once(number: signal.Signals, tmp_path: Path) -> None:
    """An operator who asks twice does not want to wait; the status is the shell's for that signal."""
    with Program(tmp_path, shutdown_timeout=60) as program:
        program.address()
        with program.client() as client:
            client.ask("/hang")
            program.await_call("/hang")
            program.process.send_signal(number)
            program.await_line("stopping: ")
            program.process.send_signal(number)
            assert program.ends_within(ENDS_SOON) == 128 + number


@pytest.mark.parametrize(
    ("before", "named"),
    [
        pytest.param(
            'threading.Thread(target=hang, name="of the application").start()', "of the application", id="thread"
        ),
        pytest.param("atexit.register(hang)", "MainThread", id="exit function"),
    ],
)
def test_nothing_of_the_application_keeps_the_process(before: str, named: str, tmp_path: Path) -> None:
    """A clean drain, and then a thread that is no daemon or an exit function that blocks: ended in time, and named."""
    with Program(tmp_path, before, shutdown_timeout=0.5) as program:
        port = program.address()
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(2 * ENDS_SOON) == 1
        assert is_free(port)
    assert re.search(rf"ERROR pastepool {named} ", program.said), program.said
    assert ", in hang\n" in program.said


def test_exit_functions_run_after_a_clean_drain(tmp_path: Path) -> None:
    """The process leaves through the interpreter's own exit: nothing is skipped."""
    with Program(tmp_path, 'atexit.register(say, "goodbye")', 'server.serve()\nsay("returned")') as program:
        program.address()
        assert program.end() == 0
    assert program.said.endswith("returned\ngoodbye\n")


def test_exit_functions_run_when_the_process_is_ended_by_force(tmp_path: Path) -> None:
    """Also after ``shutdown_timeout`` with a hung worker (contract P11)."""
    with Program(tmp_path, 'atexit.register(say, "goodbye")', shutdown_timeout=0.3) as program:
        program.address()
        with program.client() as client:
            client.ask("/hang")
            program.await_call("/hang")
            assert program.end() == 1
    assert "goodbye\n" in program.said


def test_slow_exit_after_a_long_drain_is_still_clean(tmp_path: Path) -> None:
    """The interpreter gets time for its own exit also where the drain used up nearly all of ``shutdown_timeout``."""
    before = "atexit.register(time.sleep, 1.0)"
    with Program(tmp_path, before, shutdown_timeout=0.5) as program:
        program.address()
        assert program.end() == 0, program.said


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHos", id="half a head"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123", id="half a body"),
    ],
)
def test_slow_sender_does_not_spoil_a_drain(sent: bytes, tmp_path: Path) -> None:
    """Nobody works for a client that has not finished asking: he is told 503 just before the time is up; status 0."""
    with Program(tmp_path, shutdown_timeout=1) as program:
        program.address()
        with program.client() as client:
            client.send(sent)
            time_of_stop = time.monotonic()
            os.kill(program.pid, signal.SIGTERM)
            response = client.response()
            assert (response.status, response.closes) == (503, True)
            assert time.monotonic() - time_of_stop > 0.5
        assert program.ends_within(ENDS_SOON) == 0, program.said


def test_slow_reader_does_not_spoil_a_drain(serve: Serve) -> None:
    """A response that nobody reads is cut just before the time is up."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * 8_000_000]

    run = Running(app, {"shutdown_timeout": 1}).start()
    with run.client(receive_buffer=4096) as client:
        client.ask("/")
        until(
            lambda: any(c.output for c in run.server.parts.poller.connections.values()),
            "the response waits for its reader",
        )
        run.stop()
    assert not run.server._gave_up


def test_response_that_had_begun_before_the_stop_is_finished(serve: Serve) -> None:
    """A stream goes on to its end; then the connection is closed although the client had been promised to keep it."""
    stream = Paused()
    run = Running(stream, {"shutdown_timeout": 60}).start()
    with run.client() as client:
        client.ask("/")
        assert stream.begun.wait(WATCHDOG)
        run.server.stop()
        until(lambda: is_free(run.port), "the listener is closed")
        stream.go_on.set()
        response = client.response()
        assert (response.body, response.closes) == (b"begun, ended", False)
        assert client.ended()
    run.join()


def test_stop_may_be_called_often_and_from_any_thread() -> None:
    """Ten threads at once, twice each, and again when all is over."""
    run = Running(path_echo, {}).start()
    assert run.get("/").status == 200

    def stop_twice() -> None:
        run.server.stop()
        run.server.stop()

    threads = [threading.Thread(target=stop_twice) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG)
    run.join()
    run.server.stop()


def test_stop_after_the_end_touches_nobody_elses_descriptors() -> None:
    """The numbers of the server's own pipe may belong to somebody else by then."""
    run = Running(path_echo, {}).start()
    run.stop()
    pipes = [os.pipe() for _ in range(20)]
    try:
        run.server.stop()
        run.server.parts.waker.wake()
        for end, _ in pipes:
            os.set_blocking(end, False)
            with pytest.raises(BlockingIOError):
                os.read(end, 1)
    finally:
        for end in (end for pipe in pipes for end in pipe):
            os.close(end)


def test_stop_from_inside_a_request() -> None:
    """The application may stop its own server; its response is finished first."""
    runs: list[Running] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        runs[0].server.stop()
        return path_echo(environ, start_response)

    runs.append(Running(app, {}).start())
    assert runs[0].get("/stop").body == b"/stop"
    runs[0].join()


@pytest.mark.parametrize("bound", [True, False])
def test_stop_before_serve_means_that_serve_returns_at_once(bound: bool) -> None:
    """A stop that comes first is not lost, does not end the process later, and closes what was bound."""
    server = Server(read({"port": 0, "shutdown_timeout": 0.001}, {}), path_echo)
    port = server.bind()[0].endpoint.port if bound else 0
    server.stop()
    server.serve()
    assert not server.ready.is_set()
    assert not bound or is_free(port)


def test_stop_at_any_moment_of_the_start() -> None:
    """Whenever the stop comes, ``serve`` returns."""
    for pause in range(40):
        run = Running(path_echo, {})
        run.thread.start()
        stopper = threading.Event()
        stopper.wait(pause / 10_000)
        run.stop()


def test_ended_server_does_not_serve_again() -> None:
    """A server serves once; asking again returns at once."""
    run = Running(path_echo, {}).start()
    run.stop()
    run.server.serve()


def test_host_program_outlives_a_server_with_a_hung_worker(caplog: pytest.LogCaptureFixture) -> None:
    """In a thread of a host program ``serve`` returns after ``shutdown_timeout``, the stack is logged."""
    with Held() as app:
        run = Running(app, {"shutdown_timeout": 0.3}).start()
        with run.client() as client:
            client.ask("/hung")
            app.await_calls()
            run.stop()
            assert client.ended()
        (line,) = (record.getMessage() for record in caplog.records if "did not stop" in record.getMessage())
        assert re.match(r"pastepool worker \d+ did not stop: GET /hung\n", line)
        assert "in __call__" in line or "Held.__call__" in line
        app.release()
        until(lambda: not run.server.parts.pool.workers, "every worker has left")


def test_request_that_still_waits_at_the_end_is_told_so() -> None:
    """With every worker hung until ``shutdown_timeout``, a request that waits is answered 503 and never run."""
    with Held() as app:
        options: dict[str, object] = {"shutdown_timeout": 0.3, "threadpool_workers": 1, "threadpool_max_workers": 1}
        run = Running(app, options).start()
        with run.client() as hung, run.client() as waits:
            hung.ask("/hung")
            app.await_calls()
            waits.ask("/waits")
            until(lambda: run.server.parts.baton.backlog, "a request waits")
            run.stop()
            response = waits.response()
            assert (response.status, response.body, response.closes) == (503, b"The server is stopping.\n", True)
            assert waits.ended()
        app.release()
        until(lambda: not run.server.parts.pool.workers, "every worker has left")
        assert app.paths == ["/hung"]


def test_server_runs_again_and_again_in_one_process() -> None:
    """Servers come and go; descriptors and threads do not pile up."""
    with running(path_echo) as run:
        run.get("/")
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for _ in range(5):
        with running(path_echo) as run:
            assert run.get("/again").body == b"/again"
    until(lambda: threading.active_count() <= before[1], "its threads have ended")
    assert len(os.listdir("/proc/self/fd")) <= before[0]


def test_signal_handlers_are_put_back() -> None:
    """In the main thread the two handlers are ours while we serve, and as before afterwards."""
    before = {number: signal.getsignal(number) for number in STOPS}
    server = Server(read({"port": 0}, {}), path_echo)
    seen: dict[int, Any] = {}

    def stop_when_ready() -> None:
        assert server.ready.wait(WATCHDOG)
        seen.update({number: signal.getsignal(number) for number in STOPS})
        server.stop()

    stopper = threading.Thread(target=stop_when_ready)
    stopper.start()
    server.serve()
    stopper.join(WATCHDOG)
    assert seen and all(seen[number] != before[number] for number in STOPS)
    assert {number: signal.getsignal(number) for number in STOPS} == before


def test_handler_of_the_host_is_left_alone(tmp_path: Path) -> None:
    """A program with a handler of its own keeps it; ``stop`` may be called in it."""
    before = 'signal.signal(signal.SIGTERM, lambda *_: (say("own handler"), server.stop()))'
    with Program(tmp_path, before) as program:
        program.address()
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(ENDS_SOON) == 0
    assert "own handler\n" in program.said


def test_ctrl_c_stops_a_server_in_a_thread_of_a_host(tmp_path: Path) -> None:
    """Where the host's main thread ends by Ctrl-C, a server in another thread drains and lets the process go (contract F3)."""
    serve = """
        threading.Thread(target=server.serve).start()
        server.ready.wait()
        say("main waits")
        while True:  # the kernel may give the signal to another thread; Python hears it when the main thread runs again
            threading.Event().wait(0.1)
        """
    with Program(tmp_path, serve=serve) as program:
        program.address()
        program.await_line("main waits")
        with program.client() as client:
            client.ask("/held")
            program.await_call("/held")
            program.process.send_signal(signal.SIGINT)
            program.await_line("stopping: ")
            program.open_gate()
            assert client.response().closes
        program.ends_within(ENDS_SOON)
    assert "KeyboardInterrupt" in program.said


def test_server_built_before_a_double_fork_serves_after_it(tmp_path: Path) -> None:
    """Bound, then daemonised as ``paster --daemon`` does it: the grandchild serves, the parents have gone (contract F2)."""
    serve = """
        server.bind()
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        say("threads %d" % threading.active_count())
        server.serve()
        """
    with Program(tmp_path, serve=serve, threadpool_workers=3) as program:
        port = program.address()
        assert program.process.wait(WATCHDOG) == 0
        with program.client() as client:
            assert client.get("/child").body == b"/child"
        pid = int(re.findall(r"pid (\d+)", program.said)[0])
        assert pid != program.pid
        os.kill(pid, signal.SIGTERM)
        program.wait()
        until(lambda: is_free(port), "the grandchild has ended")
    assert "threads 1\n" in program.said


def test_two_children_of_one_bound_server_share_nothing_but_the_port(tmp_path: Path) -> None:
    """Each child of a parent that bound serves on its own: one drains and ends while the other serves on (contract F2)."""
    serve = """
        server.bind()
        children = []
        for _ in range(2):
            child = os.fork()
            if not child:
                server.serve()
                os._exit(0)
            children.append(child)
        say("children %d %d" % tuple(children))
        for listener in server.listeners:
            listener.close()
        for child in children:
            say("ended %d %d" % os.waitpid(child, 0))
        """
    with Program(tmp_path, serve=serve, threadpool_workers=2) as program:
        while program.said.count("serving on ") < 2 or "children " not in program.said:
            program.await_line("^serving on |^children ")
        first, second = map(int, re.findall(r"^children (\d+) (\d+)$", program.said, re.MULTILINE)[0])
        with program.client() as client:
            assert client.get("/one").status == 200
        os.kill(first, signal.SIGTERM)
        program.await_line(f"^ended {first} 0$")
        for _ in range(5):
            with program.client() as client:
                assert client.get("/other").body == b"/other"
        os.kill(second, signal.SIGTERM)
        program.await_line(f"^ended {second} 0$")
        assert program.ends_within(ENDS_SOON) == 0


def test_drain_does_not_spin_on_a_listener_that_others_keep_open() -> None:
    """A process forked before the start may hold the listening socket: its clients are no events of ours then."""
    with Held() as app:
        run = Running(app, {})
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        run.start()
        with socket.socket(fileno=os.dup(run.server.listeners[0].fileno())) as kept, run.client() as client:
            client.ask("/held")
            app.await_calls()
            run.server.stop()
            until(lambda: not run.server.parts.poller._welcoming._acceptor.fds, "the listener is closed")
            with contextlib.closing(socket.create_connection(kept.getsockname(), WATCHDOG)):
                polls = run.count_polls()
                threading.Event().wait(0.3)
                assert polls() < 30
                app.release()
                assert client.response().closes
                run.join()


def test_descriptors_are_close_on_exec(serve: Serve) -> None:
    """A child process of the application inherits neither listener nor clients nor anything else of ours (contract F5)."""
    with Held() as app:
        run = serve(app)
        with run.client() as client:
            ours = {client.sock.fileno(), *(int(name) for name in os.listdir("/proc/self/fd"))}
            client.ask("/held")
            app.await_calls()
            poller = run.server.parts.poller
            server = {*poller.connections, *run.server.parts.waker.ends, poller._readiness.fileno()}  # type: ignore[attr-defined]
            server |= {listener.fileno() for listener in run.server.listeners}
            assert len(server) >= 5 and server & ours
            assert [fd for fd in server if os.get_inheritable(fd)] == []
            app.release()
            client.response()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "every worker is busy"])
def test_signal_that_does_not_wake_the_main_thread_is_heard(busy: bool, tmp_path: Path) -> None:
    """
    The kernel may run the C handler on another thread, or in the instants before the main thread blocks. Then nothing
    interrupts its wait; the server stops all the same.
    """
    before = """
    def kill_from_here():
        wait_at_gate()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Thread(target=kill_from_here, daemon=True).start()
    """
    options: dict[str, Any] = {"threadpool_workers": 1, "threadpool_max_workers": 1, "shutdown_timeout": 60}
    with Program(tmp_path, before, **options) as program, program.client() as client:
        assert client.get("/").status == 200
        if busy:
            client.ask("/hang")
            program.await_call("/hang")
        main = Path(f"/proc/{program.pid}/task/{program.pid}/status")
        switches = re.compile(r"^voluntary_ctxt_switches:.*$", re.MULTILINE)
        before_look: list[str] = []

        def sleeps() -> bool:
            before_look.extend(switches.findall(main.read_text()))
            return before_look[-3:-1] == before_look[-2:] and len(before_look) > 2

        until(sleeps, "the main thread sleeps")
        program.open_gate()
        program.await_line("stopping: ")
        if not busy:
            assert program.ends_within(ENDS_SOON) == 0
