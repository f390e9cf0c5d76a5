"""A real mail server, for those who want to know whether a process has mailed."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller


class PostOffice(Controller):
    """A real mail server on a port of the kernel's choice; ``mails``: the subjects of what it was given."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(self, hostname="127.0.0.1", port=0)

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep the mail."""
        subject = message_from_bytes(envelope.content, policy=policy.default)["Subject"]
        self.mails.append(str(subject))
        return "250 kept"

    def __enter__(self) -> PostOffice:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
