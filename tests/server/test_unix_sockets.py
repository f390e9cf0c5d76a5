"""A server on unix sockets: what the application is told, the start lines, the end, several listeners, and nginx."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pastepool.entrypoints import watch_threads
from tests.certificates import server_pem
from tests.server.commands import Command, arguments
from tests.server.fronts import NGINX, Front
from tests.server.serving import Client, Running
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG

Serve = Callable[..., Running]


def tell(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An application whose answer is what it is told of the client and of itself."""
    keys = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "pastepool.peer_credentials", "HTTP_X_REAL_IP")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({key: environ.get(key) for key in keys}).encode()]


class UnixClient(Client):
    """One connection to a unix socket."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WATCHDOG)
        self.sock.connect(path)
        self._unread = b""


def test_a_client_on_a_unix_socket_has_no_address(serve: Serve, folder: Path) -> None:
    """PEP 3333 wants text, so the keys are there and empty; who is at the other end stands in a key of ours."""
    run = serve(tell, listen=f"127.0.0.1:0 unix:{folder}/s unix:@{folder.name}", access_log="true")
    for path in (f"{folder}/s", f"\0{folder.name}"):
        with UnixClient(path) as client:
            for _ in range(2):
                assert json.loads(client.get().body) == {
                    "REMOTE_ADDR": "",
                    "REMOTE_PORT": "",
                    "SERVER_NAME": "localhost",
                    "SERVER_PORT": "80",
                    "pastepool.peer_credentials": [os.getpid(), os.getuid(), os.getgid()],
                    "HTTP_X_REAL_IP": None,
                }
    assert json.loads(run.get().body)["REMOTE_ADDR"] == "127.0.0.1"


def test_a_refusal_of_a_client_without_an_address_says_where_it_came_from(
    serve: Serve, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that sends no TLS where it should; no line of the log begins with a colon."""
    pem = server_pem()
    serve(tell, listen=f"127.0.0.1:0 unix:{folder}/s unix:{folder}/t tls", ssl_pem=pem)
    with UnixClient(f"{folder}/s") as client:
        assert client.get("/", "Host: twice").status == 400
    with UnixClient(f"{folder}/t") as client:
        client.send(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")  # a first message that is empty
        client.sock.shutdown(socket.SHUT_WR)
        while client.sock.recv(4096):
            pass
    said = [record.getMessage() for record in caplog.records if record.name == "pastepool.http"]
    assert said[0].startswith("a unix socket: refused with 400: ")
    assert said[1].startswith("a unix socket: TLS failed: ")


def test_a_client_that_has_a_path_of_its_own_has_no_address_either(serve: Serve, folder: Path) -> None:
    """A client may bind its end before it connects; that path is no address of IP."""
    serve(tell, listen=f"127.0.0.1:0 unix:{folder}/s", connection_limit_per_address="1")
    clients = []
    for number in range(2):
        client = UnixClient.__new__(UnixClient)
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.bind(f"{folder}/client{number}")
        client.sock.settimeout(WATCHDOG)
        client.sock.connect(f"{folder}/s")
        client._unread = b""
        clients.append(client)
    for client in clients:
        with client:
            assert json.loads(client.get().body)["REMOTE_ADDR"] == ""


def test_the_page_takes_a_client_on_a_unix_socket_as_one_of_this_machine(serve: Serve, folder: Path) -> None:
    """A mounted page asks for its token, and refuses no such client because of its missing address."""
    token = "a-secret-of-the-test-0123456789"
    serve(watch_threads({}, token=token), listen=f"127.0.0.1:0 unix:{folder}/s")
    with UnixClient(f"{folder}/s") as client:
        assert client.get("/").status == 401
        assert client.get("/api/v1/state", f"X-Pastepool-Token: {token}").status == 200


@pytest.fixture
def ini(folder: Path) -> Path:
    """A file with a TCP port and two unix sockets."""
    path = folder / "shop.ini"
    path.write_text(
        "[app:main]\nuse = egg:pastepool#demo\n"
        "[server:main]\nuse = egg:pastepool#http\n"
        f"listen =\n  127.0.0.1:0\n  unix:{folder}/a.sock mode=600\n  unix:@{folder.name}\n"
    )
    return path


def serving(ini: Path) -> Command:
    """Start ``paster serve`` with a file."""
    return Command(arguments("paster", ini), ini.parent)


def see(server: Command, line: str) -> None:
    """Read the output up to a line."""
    server.read_until(re.compile(re.escape(line)))


def test_a_file_with_three_listeners_serves_on_each_and_frees_all(ini: Path, folder: Path) -> None:
    """The start lines show each; curl reaches the socket; after SIGTERM no file is left and the names are free."""
    with serving(ini) as server:
        see(server, f"serving on unix:{folder}/a.sock")
        see(server, f"serving on unix:@{folder.name}")
        assert stat.S_IMODE(os.lstat(folder / "a.sock").st_mode) == 0o600
        asked = ["curl", "-sS", "--unix-socket", f"{folder}/a.sock", "http://shop/"]
        assert "pastepool" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        with UnixClient(f"\0{folder.name}") as client:
            assert client.get().status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PROGRAM_WATCHDOG) == 0
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".sock") == []


def test_after_kill_9_the_same_file_starts_again(ini: Path, folder: Path) -> None:
    """The socket of the dead process is replaced, and a line says so."""
    with serving(ini) as server:
        see(server, f"serving on unix:{folder}/a.sock")
        server.process.kill()
        server.process.wait(PROGRAM_WATCHDOG)
    assert (folder / "a.sock").exists()
    with serving(ini) as server:
        see(server, f"unix:{folder}/a.sock: replacing the socket of a process that is gone")
        see(server, f"serving on unix:{folder}/a.sock")
        with UnixClient(f"{folder}/a.sock") as client:
            assert client.get().status == 200


def test_a_second_server_is_refused_and_the_first_goes_on(ini: Path, folder: Path) -> None:
    """One sentence that names the first one; status 3."""
    with serving(ini) as first:
        see(first, f"serving on unix:{folder}/a.sock")
        with serving(ini) as second:
            see(second, f"cannot listen on unix:{folder}/a.sock: process {first.process.pid} (")
            assert second.process.wait(PROGRAM_WATCHDOG) == 3
            assert "Traceback" not in second.said
        with UnixClient(f"{folder}/a.sock") as client:
            assert client.get().status == 200


@pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")
def test_behind_nginx_on_a_unix_socket(serve: Serve, folder: Path, front: Front) -> None:
    """The configuration of the manual: the application sees what nginx says of the client."""
    serve(tell, listen=f"127.0.0.1:0 unix:{folder}/s mode=666")
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
        f"events {{ }}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/c;\n"
        f"upstream shop {{ server unix:{folder}/s; keepalive 4; }}\n"
        f"server {{ listen unix:{folder}/front; location / {{ proxy_pass http://shop; proxy_http_version 1.1;\n"
        f'proxy_set_header Connection ""; proxy_set_header X-Real-IP 192.0.2.1; }} }} }}\n'
    )
    front([NGINX, "-p", str(folder), "-c", str(configuration)], folder / "front")
    for _ in range(3):
        with UnixClient(f"{folder}/front") as client:
            told = json.loads(client.get().body)
            assert (told["REMOTE_ADDR"], told["HTTP_X_REAL_IP"]) == ("", "192.0.2.1")
