"""A server with its page, mounted and on the admin listener, and clients for both."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pastepool.server import Server
from pastepool.settings import read
from pastepool.watch.app import WatchApp
from pastepool.watch.options import WatchOptions
from tests.server.serving import App, Client, Held, Response, path_echo
from tests.waiting import WATCHDOG

__all__ = ["Client", "Held", "Watched", "watched"]

PREFIX = "/ops/threads"
TOKEN = "token-of-the-mounted-page"
"""The token of the mounted page where a test names none: this page is not shown without one."""

LOCAL = "Host: localhost"
"""Given beside the client's own Host it would be one too many: see ``Watched.page``."""


def mounted(app: App, page: WatchApp) -> App:
    """What ``urlmap`` does, in the few lines that matter."""

    def dispatch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            environ["SCRIPT_NAME"] += PREFIX
            environ["PATH_INFO"] = path[len(PREFIX) :]
            return page(environ, start_response)
        return app(environ, start_response)

    return dispatch


def form(**fields: object) -> bytes:
    """Fields as a form has them; only words and numbers."""
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode()


class Watched:
    """A server in a thread, its page under ``PREFIX`` and on a port of its own."""

    def __init__(self, app: App, options: WatchOptions, **settings: object) -> None:
        self.token = options.token or TOKEN
        self.page = WatchApp(dataclasses.replace(options, token=self.token))
        self.admin_page = WatchApp(options)
        given = {"port": 0, "admin_listen": "127.0.0.1", "admin_port": 0, **settings}
        self.server = Server(read(given, {}), mounted(app, self.page), self.admin_page)
        self.port = self.server.bind()[0].endpoint.port
        self.admin_port = self.server.admin_listeners[0].endpoint.port
        self.thread = threading.Thread(target=self.server.serve, name="server under test", daemon=True)

    def ask(
        self, target: str = "/", *lines: str, method: str = "GET", body: bytes = b"", admin: bool = True, name: str = ""
    ) -> Response:
        """
        One request for the page, on a connection of its own. ``target``: below where the page is mounted.

        To the mounted page it carries the token. On the admin listener, the connection counts towards its limit until the
        listener has closed it; therefore this waits for the close.
        """
        port = self.admin_port if admin else self.port
        path = target if admin else PREFIX + target
        kind = ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"] if body else []
        if not admin:
            kind.append(f"X-Pastepool-Token: {self.token}")
        head = [f"{method} {path} HTTP/1.1", f"Host: {name or f'localhost:{port}'}", "Connection: close", *kind, *lines]
        with contextlib.closing(Client(port)) as client:
            client.send("\r\n".join([*head, "", ""]).encode("latin-1") + body)
            response = client.response(method)
            if admin and response.closes:
                assert client.ended(), "bytes after a whole response"
            return response

    def state(self, admin: bool = True) -> Any:
        """The JSON of everything."""
        response = self.ask("/api/v1/state", admin=admin)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def csrf(self, admin: bool = True) -> str:
        """What our own page has in its forms."""
        found = re.search(rb'pastepool-csrf" content="([^"]+)"', self.ask("/", admin=admin).body)
        assert found is not None
        return found[1].decode()

    def post(self, target: str, *lines: str, admin: bool = True, **fields: object) -> tuple[int, Any]:
        """POST a form to the API with the right csrf, unless told otherwise. Answers status and JSON."""
        fields.setdefault("csrf", self.csrf(admin))
        response = self.ask(f"/api/v1/{target}", *lines, method="POST", body=form(**fields), admin=admin)
        return response.status, json.loads(response.body)

    def client(self) -> Client:
        """A connection to the application itself."""
        return Client(self.port)

    def busy(self) -> list[Any]:
        """The rows of workers that run something."""
        return [row for row in self.state()["workers"] if row["serial"] is not None]


@contextlib.contextmanager
def watched(
    app: App = path_echo, *, allow_kill: bool = False, token: str = "", **settings: object
) -> Iterator[Watched]:
    """Run a server with its page for a while."""
    run = Watched(app, WatchOptions(allow_kill=allow_kill, token=token), **settings)
    run.thread.start()
    assert run.server.ready.wait(WATCHDOG), "the server is not ready"
    try:
        yield run
    finally:
        if isinstance(app, Held):
            app.release()
        run.server.stop()
        run.thread.join(WATCHDOG)
        assert not run.thread.is_alive(), "serve() did not return"
