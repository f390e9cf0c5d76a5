"""The page mounted in an application, with real commands and behind a real nginx: without its token it shows nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.commands import Command, arguments, environment
from tests.waiting import PROGRAM_WATCHDOG, until

TOKEN = "correct-horse-battery"
DRAWN = re.compile(r"so this one was drawn: (\S{32}) - enter it in the login form")
INI = """\
[server:main]
use = egg:pastepool#http
port = 0

[composite:main]
use = egg:Paste#urlmap
/ = demo
/threads = watch

[app:demo]
use = egg:pastepool#demo

[app:watch]
use = egg:pastepool#watch_threads
allow_kill = true
{token}
"""
PRIVATE = ("", "api/v1/state", "api/v1/events", "api/v1/counters", "api/v1/flame", "flame.svg", "nothing")
CHANGES = ("kill", "dump", "reset", "flame", "logout")


def ask(port: int, path: str, method: str = "GET", body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    """One request: status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROGRAM_WATCHDOG)
    with contextlib.closing(connection):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"/threads/{path}", body or None, given)
        response = connection.getresponse()
        said = response.read().decode()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, said


@contextlib.contextmanager
def serving(folder: Path, token: str = "", command: str = "paster") -> Iterator[tuple[Command, int, str]]:
    """The application with its page, under a real command: the command, its port, and the drawn token or ``token``."""
    ini = folder / "site.ini"
    ini.write_text(INI.format(token=token and f"token = {token}"))
    with Command(arguments(command, ini), folder) as running:
        known = token or running.read_until(DRAWN)[1]
        yield running, running.port(), known


@pytest.mark.parametrize("command", ["paster", "pserve", "gearbox"])
def test_page_without_a_token_draws_one_and_logs_it_once(tmp_path: Path, command: str) -> None:
    """The log has the token before the first visitor comes, one time; the page, with this token alone, is open."""
    with serving(tmp_path, command=command) as (running, port, token):
        assert ask(port, "api/v1/state")[0] == 401
        status, _, said = ask(port, "")
        assert status == 401 and 'type="password"' in said and "pastepool.watch" in said and token not in said
        assert ask(port, f"?token={token}")[0] == ask(port, "api/v1/state", X_Pastepool_Token="x" * 32)[0] == 401
        assert ask(port, "api/v1/state", Authorization=f"Bearer {token}")[0] == 200
        status, headers, _ = ask(port, "login", "POST", f"token={token}")
        assert status == 303 and token not in str(headers)
        cookie = headers["set-cookie"].partition(";")[0]
        assert json.loads(ask(port, "api/v1/state", Cookie=cookie)[2])["you"]["logged_in"]
        assert running.end() == 0
        assert running.said.count(token) == 1


def test_page_with_a_token_draws_none(tmp_path: Path) -> None:
    """The token of the section counts, and the log has no token at all."""
    with serving(tmp_path, TOKEN) as (running, port, token):
        assert ask(port, "api/v1/state")[0] == 401
        assert ask(port, "api/v1/state", X_Pastepool_Token=token)[0] == 200
        assert running.end() == 0
        assert TOKEN not in running.said and "drawn" not in running.said


def test_admin_listener_elsewhere_without_a_token_does_not_start(tmp_path: Path) -> None:
    """One sentence with the remedy, and status 1."""
    ini = tmp_path / "site.ini"
    ini.write_text(INI.format(token="").replace("port = 0", "port = 0\nadmin_listen = 0.0.0.0:0"))
    with Command(arguments("paster", ini), tmp_path) as running:
        assert running.wait() == 1
        (line,) = [line for line in running.said.splitlines() if "admin_listen" in line]
        assert "admin_listen = 0.0.0.0 contradicts admin_token = none" in line and "set admin_token" in line


NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    """A real nginx with a plain ``proxy_pass`` and nothing else; its port."""
    binary = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if binary is None:
        pytest.skip("no nginx; on Debian: apt-get install nginx-light")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
    words = [binary, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    process = subprocess.Popen(words, cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    try:
        until(lambda: _accepts(port) or process.poll() is not None, "nginx listens", PROGRAM_WATCHDOG)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(PROGRAM_WATCHDOG)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("token", ["", TOKEN], ids=["drawn", "set"])
def test_page_behind_plain_nginx_is_shut_and_its_token_opens_it(tmp_path: Path, token: str) -> None:
    """
    nginx sends ``Host: 127.0.0.1`` and no header of a proxy, so its visitors look like this machine. They see nothing,
    end nothing and, with the token, log in and out as usual.
    """
    with serving(tmp_path, token) as (_, upstream, known), nginx(tmp_path, upstream) as port:
        for path in PRIVATE:
            assert ask(port, path)[0] == 401, path
        for path in CHANGES:
            assert ask(port, path, "POST", "worker=1&serial=1")[0] == 401, path
            assert ask(port, f"api/v1/{path}", "POST", "worker=1&serial=1")[0] == 401, path
        assert ask(port, "kill?worker=1&serial=1")[0] == 401
        assert json.loads(ask(port, "health")[2]) == {"status": "ok"}

        same = {"Sec_Fetch_Site": "same-origin", "Origin": f"http://127.0.0.1:{port}"}
        status, headers, _ = ask(port, "login", "POST", f"token={known}", **same)
        assert status == 303
        cookie = headers["set-cookie"].partition(";")[0]
        status, _, said = ask(port, "", Cookie=cookie)
        found = re.search('pastepool-csrf" content="([^"]+)', said)
        assert status == 200 and found is not None
        csrf = urllib.parse.quote(found[1])
        assert ask(port, "api/v1/dump", "POST", f"csrf={csrf}", Cookie=cookie, **same)[0] == 200
