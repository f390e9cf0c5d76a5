"""Under systemd: sockets that it passes, what it is told, and what child processes see of both."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from pastepool.errors import StartError
from pastepool.runtime.sockets.passed import take_passed
from pastepool.runtime.system.service_manager import ServiceManager, service_manager
from pastepool.settings.endpoint import Endpoint
from tests.certificates import TlsClientSide, server_pem
from tests.server.commands import ROOT
from tests.server.passing import start_with
from tests.server.programs import Program, is_free
from tests.server.serving import Client
from tests.server.test_unix_sockets import UnixClient
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG, until

PROGRAM = """\
import json, os, subprocess, sys
sys.path.insert(0, {root!r})
os.environ["LISTEN_PID"] = str(os.getpid())
from pastepool.server import Server
from pastepool.settings import read


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    code = "import json, os; print(json.dumps([sorted(k for k in os.environ if 'LISTEN' in k or 'NOTIFY' in k), "
    code += "sorted(int(n) for n in os.listdir('/proc/self/fd'))]))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, close_fds=False)
    return [child.stdout.encode()]


Server(read({options!r}, {{"__file__": "/shop.ini"}}), app).serve()
"""


def said(sock: socket.socket, word: str) -> str:
    """Wait for the next message that has a word."""
    while True:
        text = sock.recv(4096).decode()
        if word in text:
            return text


def test_passed_sockets_answer_clients_that_came_before_the_start(folder: Path, notified: socket.socket) -> None:
    """Over TCP and a unix socket; the service manager is told; no child process sees any of it."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"{folder}/s")
        unix.listen()
        early = Client(tcp.getsockname()[1])
        early.ask()
        variables = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "1000000"}
        options = {"listen": "systemd:shop\nsystemd:admin"}
        source = PROGRAM.format(root=str(ROOT), options=options)
        server = start_with(source, [tcp, unix], "shop:admin", **variables)
        try:
            assert said(notified, "READY=1") == "READY=1"
            assert "STATUS=10 workers" in said(notified, "STATUS=")
            assert said(notified, "WATCHDOG=1")
            with early:
                names, descriptors = json.loads(early.response().body)
            assert names == []
            assert max(descriptors) <= 3
            server.send_signal(signal.SIGTERM)
            assert said(notified, "STOPPING=1").startswith("STOPPING=1\nEXTEND_TIMEOUT_USEC=")
            output, _ = server.communicate(timeout=PROGRAM_WATCHDOG)
        finally:
            server.kill()
            server.communicate()
        assert server.returncode == 0
        assert f"serving on unix:{folder}/s" in output
        assert Path(f"{folder}/s").exists(), "a socket that systemd made is not removed"
        Client(tcp.getsockname()[1]).close()


STANDS_STILL = """\
import ctypes

def app(environ, start_response):
    ctypes.PyDLL(None).sleep(600)  # PyDLL keeps the lock of the interpreter
"""


def test_a_process_that_stands_still_gives_no_sign_of_life(
    tmp_path: Path, folder: Path, notified: socket.socket
) -> None:
    """A call that holds the GIL stops all threads, so systemd ends the process, which no thread of it can."""
    variables = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "1000000"}
    with Program(tmp_path, before=STANDS_STILL, variables=variables) as program, program.client() as client:
        assert said(notified, "WATCHDOG=1")
        client.ask()

        def is_silent() -> bool:
            """No message for three periods."""
            notified.settimeout(3)
            try:
                notified.recv(4096)
            except TimeoutError:
                return True
            return False

        until(is_silent, "no sign of life", PROGRAM_WATCHDOG)


SIX = """\
import os, sys
sys.path.insert(0, {root!r})
os.environ["LISTEN_PID"] = str(os.getpid())
from pastepool.server import Server
from pastepool.settings import read


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.url_scheme"].encode()]


Server(read({options!r}, {{"__file__": "/shop.ini"}}), app).serve()
"""


def test_six_kinds_of_listeners_in_one_file(folder: Path) -> None:
    """Each answers in its way, the start lines show each, and the end frees all but the one of systemd."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        options = {
            "listen": f"127.0.0.1:0\n[::1]:0 tls\nunix:{folder}/s mode=660\nunix:@{folder.name}\n127.0.0.1:0 proxy\n"
            "systemd:shop tls",
            "ssl_pem": server_pem(),
            "proxy_from": "127.0.0.1",
        }
        server = start_with(SIX.format(root=str(ROOT), options=options), [passed], "shop")
        try:
            assert server.stdout is not None
            shown = [server.stdout.readline().strip().removeprefix("serving on ") for _ in range(6)]
            ours, plain, tls, unix, abstract, proxied = shown  # those of systemd come first
            assert ours == f"https://127.0.0.1:{passed.getsockname()[1]}"
            assert (unix, abstract) == (f"unix:{folder}/s", f"unix:@{folder.name}")
            at = {each: int(each.rpartition(":")[2]) for each in (ours, plain, tls, proxied)}
            clients = [
                Client(at[plain]),
                TlsClient(at[tls], "::1"),
                UnixClient(f"{folder}/s"),
                UnixClient(f"\0{folder.name}"),
                Client(at[proxied]),
                TlsClient(at[ours], "127.0.0.1"),
            ]
            clients[4].send(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n")
            answers = [client.get().body for client in clients]
            assert answers == [b"http", b"https", b"http", b"http", b"http", b"https"]
            for client in clients:
                client.close()
        finally:
            server.terminate()
            output, _ = server.communicate(timeout=PROGRAM_WATCHDOG)
        assert server.returncode == 0, output
        assert not Path(f"{folder}/s").exists()
        assert is_free(at[plain]) and is_free(at[proxied])


class TlsClient(Client):
    """One connection over TLS to an address of this machine."""

    def __init__(self, port: int, host: str) -> None:
        self.sock = TlsClientSide(socket.create_connection((host, port), WATCHDOG))
        self.sock.shake()
        self._unread = b""


def refusal(variables: dict[str, str], *endpoints: Endpoint, first: int = 3) -> str:
    """Take sockets that cannot be taken; return the sentence."""
    environ = {"LISTEN_PID": str(os.getpid()), **variables}
    with pytest.raises(StartError) as caught:
        take_passed(endpoints, environ, first)
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & set(environ)
    return str(caught.value)


ALL, SHOP, TCP = Endpoint(systemd="*"), Endpoint(systemd="shop"), Endpoint("127.0.0.1", 0)


@pytest.mark.parametrize("count", ["abc", "0", "-1", " 1", "99999999", "9" * 5000])
def test_a_garbled_number_is_one_sentence(count: str) -> None:
    """No traceback, and no memory for descriptors that no process has."""
    shown = count if len(count) <= 20 else count[:20] + "..."
    assert refusal({"LISTEN_FDS": count}, ALL) == (
        f"cannot take the sockets of systemd: LISTEN_FDS = {shown!r} is not a number from 1 to 9999."
    )


@pytest.mark.parametrize("kind", ["file", "datagram", "connected", "closed"])
def test_what_does_not_listen_is_named(kind: str, tmp_path: Path) -> None:
    """The number and the name of the descriptor."""
    one, other = socket.socketpair()
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with open(tmp_path / "file", "w") as file, one, other, datagram:
        number = {"file": file.fileno(), "datagram": datagram.fileno(), "connected": one.fileno(), "closed": 999}[kind]
        sentence = refusal({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "shop"}, SHOP, first=number)
        assert sentence.startswith(f"cannot take over descriptor {number} (shop): it is not a ")


def test_names_that_do_not_fit() -> None:
    """A socket that is wanted and not passed, and one that is passed and not wanted."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        there = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "admin"}
        assert "systemd passed the socket 'admin'" in refusal(there, SHOP, first=sock.fileno())
        assert "which listen does not name; add systemd:admin" in refusal(there, TCP, first=sock.fileno())
        sentence = refusal(there, SHOP, Endpoint(systemd="admin"), first=sock.fileno())
        assert sentence.startswith(
            "cannot listen on systemd:shop: among the 1 socket of systemd (admin) none has this name"
        )


def test_sockets_of_another_process() -> None:
    """Under --daemon the process is another one: refused if nothing else is left, told otherwise."""
    assert "systemd passed its sockets to process 1; a .socket unit has to start" in refusal(
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, ALL
    )
    assert take_passed([ALL, TCP], {"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == {ALL: []}
    assert take_passed([TCP], {"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == {}
    assert "systemd passed no socket (LISTEN_FDS is not set)" in refusal({}, ALL)
    assert take_passed([TCP], {}) == {}


def test_the_service_manager_is_found_and_forgotten() -> None:
    """Its variables are removed; a watchdog that is shorter than a second is refused."""
    variables = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid()), "OTHER": "1"}
    manager = service_manager(variables)
    assert (manager.listens, manager.period, variables) == (True, 2.0, {"OTHER": "1"})
    assert service_manager({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).period == 0.0
    assert not service_manager({}).listens
    for period in ("500000", "x"):
        with pytest.raises(StartError, match="set WatchdogSec= of the service to 1s at least"):
            service_manager({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": period})


@pytest.mark.parametrize("address", ["", "/does/not/exist", "@nobody-listens-here"])
def test_a_missing_service_manager_changes_nothing(address: str) -> None:
    """No message fails or blocks."""
    manager = ServiceManager(address, 1.0)
    manager.ready()
    manager.stopping(1.0)
    manager.close()
    manager.run(lambda: "10 workers")


def test_a_full_socket_does_not_block() -> None:
    """The service manager does not read; on an abstract socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(f"\0pastepool-full-{os.getpid()}")
        manager = ServiceManager(f"@pastepool-full-{os.getpid()}", 0.0)
        for _ in range(1000):
            manager.ready()
        full.settimeout(WATCHDOG)
        assert full.recv(100) == b"READY=1"
