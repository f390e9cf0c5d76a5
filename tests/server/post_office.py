"""A real mail server, for tests of what a process mails."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller


class PostOffice(Controller):
    """A real mail server on a free port. ``mails``: the subjects of the mails that it received."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(self, hostname="127.0.0.1", port=0)

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Accept a mail, and keep its subject."""
        subject = message_from_bytes(envelope.content, policy=policy.default)["Subject"]
        self.mails.append(str(subject))
        return "250 kept"

    def __enter__(self) -> PostOffice:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
