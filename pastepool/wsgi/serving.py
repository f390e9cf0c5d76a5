"""What all calls of one server share, as the code that runs a call sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pastepool.types import Seconds

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


class DateAndServer(Protocol):
    """
    The clock, and the fields that say the time and name the server (``runtime.http.date_header``).

    ``fields``: Date, Server, and both together, rendered, as they are before the instant ``until``.
    """

    @property
    def now(self) -> Callable[[], Seconds]: ...
    @property
    def until(self) -> Seconds: ...
    @property
    def fields(self) -> tuple[bytes, bytes, bytes]: ...
    def fields_at(self, now: Seconds) -> tuple[bytes, bytes, bytes]: ...


@dataclass(kw_only=True)
class Serving:
    """
    The application, and what its server adds to each response.

    ``old_protocol``: whether responses are in HTTP/1.0. ``closing``: whether each response closes its connection, as those
    in HTTP/1.0 do.
    """

    application: Application
    date_header: DateAndServer
    old_protocol: bool = False
    closing: bool = False

    def __post_init__(self) -> None:
        self.closing = self.closing or self.old_protocol
