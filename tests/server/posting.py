"""nginx that keeps connections to the server, and clients of it that send one POST after the other."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from tests.server.fronts import NGINX, Front, free_port
from tests.server.serving import Client
from tests.waiting import PROGRAM_WATCHDOG, until

KEEPS = """\
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{ }}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/c;
    upstream shop {{ server 127.0.0.1:{behind}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port}; keepalive_requests 100000000;
        location / {{ proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


def keeping(front: Front, folder: Path, behind: int) -> int:
    """Start nginx before a server on the port ``behind``. Returns its own port."""
    port = free_port()
    (folder / "nginx.conf").write_text(KEEPS.format(folder=folder, port=port, behind=behind))
    front([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], port)
    return port


class Posting:
    """Clients of nginx that send one POST after the other. ``statuses``: how often each came."""

    def __init__(self, port: int, clients: int = 8) -> None:
        self.statuses: Counter[int | str] = Counter()
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._post) for _ in range(clients)]

    def _post(self) -> None:
        with Client(self._port) as client:
            while not self._over.is_set():
                self.statuses[client.get("/", method="POST", body=b"content").status] += 1

    def __enter__(self) -> Posting:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PROGRAM_WATCHDOG)

    def go_on(self) -> None:
        """Wait until each client has had some more answers."""
        wanted = self.statuses.total() + 20 * len(self._threads)
        until(lambda: self.statuses.total() >= wanted, "the clients are answered", PROGRAM_WATCHDOG)
