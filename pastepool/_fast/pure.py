"""What ``_native`` does, without it: the whole rule in Python takes every case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LANGUAGE = "pure Python"

held_receive = held_send = None
"""``runtime.sockets.held_io`` has them with ``ctypes``."""

accept_client = None
"""``runtime.sockets.acceptor`` uses the method of the listener instead."""


class HeadCallbacks:
    """
    The state of the head that is being read, and the callbacks of the parser for it.

    A subclass has ``any_url``, ``any_field`` and ``any_end``, which know every case. Here they are the callbacks
    themselves. ``_native.HeadCallbacks`` does the usual case itself, and calls them for every other. If a head is usual,
    but for what it says of content, it calls ``any_content``.
    """

    __slots__ = (
        "request", "complete", "_fields", "_target", "_fed", "_host", "_parser", "_prototype", "_keys", "_methods",
        "_make_request", "_repeated", "_most_fields", "_longest_target",
    )  # fmt: skip

    request: Any
    _fields: dict[str, Any] | None
    _host: str | None
    _parser: Any

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.on_url = cls.any_url  # type: ignore[attr-defined]
        cls.on_header = cls.any_field  # type: ignore[attr-defined]
        cls.on_headers_complete = cls.any_end  # type: ignore[attr-defined]

    def on_message_complete(self) -> None:
        """Note the end of the message."""
        self.complete = True


def head_renderer(
    status_lines: dict[str, tuple[int, bytes, int]], kinds: dict[str, int], any_case: Callable[..., Any]
) -> Callable[..., Any]:
    """Return the function that renders the head of a response."""
    return any_case
