"""
A server that plays watch_threads: the page's own files, and whatever state a test has put on the stage.

The page is tested against the real server elsewhere; here it meets what a real one seldom shows: five hundred workers,
hostile texts, a server that stops answering. It speaks HTTP/1.0, a thread a request, on 127.0.0.1.
"""

from __future__ import annotations

import json
import mimetypes
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.browser.states import State, sample

STATIC = Path(__file__).parents[2] / "pastepool" / "watch" / "static"
CSRF = "csrf-of-the-stage"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
FLAME = '<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="80"><rect width="9" height="9"/></svg>'


class Stage:
    """
    What the page is shown and what it did.

    ``state``: the next answer. ``posted``: the forms that came, by name. ``answer``: what they are told. ``refusal``:
    a status to answer instead. ``stream``: play the admin listener. Written by the test, read by the server's threads.
    """

    def __init__(self, state: State | None = None, *, stream: bool = False, every: float = 0.25) -> None:
        self.state = state if state is not None else sample()
        self.stream = stream
        self.every = every
        self.refusal = 0
        self.answer: tuple[int, dict[str, Any]] = (200, {"ok": True, "outcome": "killed", "text": "It is gone."})
        self.posted: list[tuple[str, dict[str, str]]] = []
        self.asked = 0
        self.changed = threading.Condition()
        self.closing = False
        self.server = _Server(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/threads/"

    def __enter__(self) -> Stage:
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), name="the stage")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing = True
        self.send(self.state)
        self.server.shutdown()
        self.server.hang_up()
        self.server.server_close()
        self._thread.join()

    def send(self, state: State) -> None:
        """Put a state on the stage; open streams get it at once."""
        with self.changed:
            self.state = state
            self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    """Waits for its threads when it closes; those that still listen to a browser are made to stop."""

    daemon_threads = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
            super().shutdown_request(request)

    def hang_up(self) -> None:
        """A browser opens connections in advance and says nothing on them: end these too."""
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is no error."""


def _handler(stage: Stage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path.removeprefix("/threads/")
            if path == "":
                self._say(200, "text/html; charset=utf-8", page(stage).encode())
            elif path == "api/v1/state":
                stage.asked += 1
                self._json(stage.refusal or 200, stage.state)
            elif path == "api/v1/events":
                self._stream()
            elif path == "flame.svg":
                self._say(200, "image/svg+xml", FLAME.encode())
            elif path.startswith("static/"):
                file = STATIC / Path(path).name
                self._say(200, mimetypes.guess_type(file.name)[0] or "", file.read_bytes())
            else:
                self._say(404, "text/plain", b"")

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = {name: values[0] for name, values in parse_qs(form).items()}
            fields["header"] = self.headers.get("X-Pastepool-CSRF", "")
            with stage.changed:
                stage.posted.append((urlsplit(self.path).path.rpartition("/")[2], fields))
                stage.changed.notify_all()
            self._json(*stage.answer)

        def _json(self, status: int, value: Any) -> None:
            self._say(status, "application/json", json.dumps(value).encode())

        def _say(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self._headers(kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _headers(self, kind: str) -> None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")

        def _stream(self) -> None:
            self.send_response(200)
            self._headers("text/event-stream")
            self.end_headers()
            with stage.changed:
                while not stage.closing and not stage.refusal:
                    self.wfile.write(b"event: state\ndata: " + json.dumps(stage.state).encode() + b"\n\n")
                    stage.changed.wait()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    return Handler


def page(stage: Stage) -> str:
    """The page as the server sends it, with nothing but the head filled in."""
    head = (
        f'<meta name="pastepool-csrf" content="{CSRF}">'
        f'<meta name="pastepool-stream" content="{str(stage.stream).lower()}">'
        f'<meta name="pastepool-poll-every" content="{stage.every}">'
    )
    return (STATIC / "page.html").read_text(encoding="utf-8").replace("<!--slot:head-->", head)
