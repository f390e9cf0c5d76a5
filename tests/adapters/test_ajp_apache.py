"""AJP behind real Apache (mod_proxy_ajp), on our pool: responses, hung requests, kills."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("flup", reason="flup is not installed")

from tests.adapters.clients import Application, Asking, ask
from tests.adapters.test_flup_nginx import are_free, served
from tests.server.fronts import accepts, free_port
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

APACHE = shutil.which("apache2") or shutil.which("httpd") or "/usr/sbin/apache2"
MODULES = Path("/usr/lib/apache2/modules")
pytestmark = pytest.mark.skipif(
    not (Path(APACHE).exists() and (MODULES / "mod_proxy_ajp.so").exists()),
    reason="Apache with mod_proxy_ajp is not installed (Debian: apache2)",
)

CONF = """
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/error.log
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_ajp_module {modules}/mod_proxy_ajp.so
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
ServerLimit 1
ProxyPass / ajp://127.0.0.1:{upstream}/ {more}
"""


@contextlib.contextmanager
def apache(folder: Path, upstream: int, kept: bool) -> Iterator[int]:
    """Have Apache in front. ``kept``: it keeps its connections to us. Returns its port."""
    port = free_port()
    conf = folder / "apache.conf"
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    more = "" if kept else "disablereuse=On"
    conf.write_text(CONF.format(folder=folder, port=port, user=user, modules=MODULES, upstream=upstream, more=more))
    command = [APACHE, "-d", str(folder), "-f", str(conf), "-DFOREGROUND"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: accepts(port), "Apache listens", PROGRAM_WATCHDOG)
            yield port
        finally:
            process.terminate()
            process.wait(PROGRAM_WATCHDOG)


@pytest.mark.parametrize("kept", [False, True], ids=["new connections", "kept connections"])
def test_ajp_behind_apache(folder: Path, kept: bool) -> None:
    """
    Answers, a content of a megabyte, and requests that hang on four threads: later ones are answered, and the hung
    ones are killed. Their clients get flup's page, or 502 or 503 of Apache. A stop does not wait for kept connections.
    """
    application, address = Application(), ("127.0.0.1", free_port())
    options = {"maxThreads": 8 if kept else 4, "max_workers": 40, "hung_thread_limit": 0.3, "kill_thread_limit": 2}
    with (
        served("ajp", application, scriptName="", bindAddress=address, **options) as server,
        apache(folder, address[1], kept) as port,
    ):
        until(lambda: ask(port, "/")[0] == 200, "it answers", PROGRAM_WATCHDOG)
        assert ask(port, "/a/b", method="POST", body=b"x" * 2**20) == (200, b"POST /a/b 1048576")
        until(lambda: are_free(server, kept), "nothing works that does not hang")
        clients = Asking(port, [f"/hang/{at}" for at in range(4)])
        application.await_calls(4)
        until(lambda: ask(port, "/")[0] == 200, "a later request is answered")
        killed = clients.join()
        assert len(killed) == 4 and {status for status, _ in killed} <= {500, 502, 503}
        until(lambda: ask(port, "/") == (200, b"GET / 0"), "it answers again")
        watch = Stopwatch()
        server.stop()
        until(lambda: not server.pool.pool.workers, "no connection that Apache keeps has a worker any more")
        assert watch.net() < 6
