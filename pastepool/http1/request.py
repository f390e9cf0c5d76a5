"""A request as the engine hands it over: its head, taken apart but not yet an environ."""

from __future__ import annotations

from typing import Any


class Request:
    """
    A request whose head has arrived.

    The engine makes it. The owner of the engine may have it make objects of a subclass instead.

    ``fields``: a copy of the dict that was given to the engine, plus one key per field. ``target``: raw bytes. ``path``
    and ``query``: its parts, also raw bytes; the path of ``OPTIONS *`` is ``b"*"``. ``version``: "1.0" or "1.1".
    ``plain``: whether the request is HTTP/1.1 and not HEAD, as nearly all are. ``announces_content``: whether the head says
    that content follows. ``expects_continue``: whether the client waits with it for 100 Continue.
    """

    expects_continue = False

    def __init__(
        self, method: str, target: bytes, version: str, fields: dict[str, Any], keep_alive: bool, plain: bool = False
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.version = version
        self.fields = fields
        self.keep_alive = keep_alive
        self.plain = plain
        self.announces_content = False
