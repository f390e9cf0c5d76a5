"""Parsers of addresses of mail, with or without a name before them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pastepool.settings.parsing import PRINTABLE, Unfit

_MAIL_ADDRESS = re.compile(
    r"""\s*(?:(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^<>",@]*))\s*<(?P<mailbox>[^<>\s,"]+)>|(?P<bare>[^\s,<>"]+))"""
    r"""(?:\s*,\s*|\s+|\Z)"""
)


@dataclass(frozen=True)
class MailAddresses:
    """
    Several addresses of mail, separated by commas or white space, each with or without a name.

    Paste accepts commas at some places and blanks at others. A name may have blanks: ``"Ops Team" <ops@example.com>`` is
    one address. The value has each address as it stands in a field of a mail.
    """

    @property
    def expects(self) -> str:
        return "addresses separated by commas or blanks"

    def __call__(self, text: str) -> tuple[str, ...]:
        addresses = []
        at = 0
        while at < len(text):
            found = _MAIL_ADDRESS.match(text, at)
            if found is None:
                raise Unfit(f"is not {self.expects}")
            addresses.append(self._one(found))
            at = found.end()
        return tuple(addresses)

    def _one(self, found: re.Match[str]) -> str:
        name, mailbox = (found["quoted"] or found["plain"] or "").strip(), found["mailbox"] or found["bare"]
        if not PRINTABLE.fullmatch(mailbox) or not name.isprintable():
            raise Unfit(f"is not {self.expects}")
        return f'"{name}" <{mailbox}>' if name else str(mailbox)

    def show(self, value: tuple[str, ...]) -> str:
        return ", ".join(value)


@dataclass(frozen=True)
class MailAddress:
    """One address of mail, with or without a name."""

    @property
    def expects(self) -> str:
        return "one address, such as errors@example.com, with or without a name before it"

    def __call__(self, text: str) -> str:
        try:
            (address,) = MailAddresses()(text)
        except ValueError:
            raise Unfit(f"is not {self.expects}") from None
        return address

    def show(self, value: str) -> str:
        return value
