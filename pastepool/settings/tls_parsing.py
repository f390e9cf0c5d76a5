"""Parsers of the options of TLS: names of files, names of hosts, and an object from a program."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from pastepool.settings.parsing import Unfit, text_lines

MAKE_ONE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost"
    " -keyout server.pem -out server.pem"
)
"""The command that makes a key and a certificate that nobody has signed, for trying things out."""

_REQUIREMENTS = {"0": "off", "1": "optional", "2": "required"}

_DNS_NAME = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?")


@dataclass(frozen=True)
class FilePath:
    """
    The path of a file. A relative one is taken from the directory in which the server is started.

    The value is absolute, because the application may change the directory later.
    """

    @property
    def expects(self) -> str:
        return "the path of a file such as /etc/ssl/shop.pem"

    def __call__(self, text: str) -> str:
        if not text.isprintable() or text.endswith("/"):
            raise Unfit(f"is not {self.expects}")
        return os.path.abspath(text)

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class PemPath(FilePath):
    """The path of the file with key and certificate. Paste's ``*`` is refused: it makes a key that nobody can trust."""

    def __call__(self, text: str) -> str:
        if text == "*":
            raise Unfit(
                f"asks for a key made at the start, as Paste makes it, and no client can trust that; make one with '{MAKE_ONE}'"
                " and name that file"
            )
        return super().__call__(text)


@dataclass(frozen=True)
class CertificateRequirement:
    """gunicorn's ``cert_reqs``, a number of Python's ``ssl``. The value is that of ``ssl_verify_client``."""

    @property
    def expects(self) -> str:
        return "0 (clients need no certificate), 1 (they may have one) or 2 (they need one)"

    def __call__(self, text: str) -> str:
        if text not in _REQUIREMENTS:
            raise Unfit(f"is not {self.expects}")
        return _REQUIREMENTS[text]

    def show(self, value: str) -> str:
        return next(number for number, meaning in _REQUIREMENTS.items() if meaning == value)


@dataclass(frozen=True)
class CertificateNames:
    """
    Names of hosts, each with the file of its key and certificate: ``shop.example: /a.pem, *.shop.example: /b.pem``.

    The value is a tuple of pairs of a name in lower case and an absolute path.
    """

    @property
    def expects(self) -> str:
        return "names with files such as shop.example: /etc/ssl/shop.pem, separated by commas or line breaks"

    def __call__(self, text: str) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        faults: list[Unfit] = []
        for number, line in enumerate(text_lines(text)):
            for entry in filter(None, (each.strip() for each in line.split(","))):
                try:
                    name, path = self._pair(entry)
                except Unfit as unfit:
                    whole = unfit.problem if entry == line else f"has {entry!r}, which {unfit.problem}"
                    faults.append(Unfit(whole, number))
                    continue
                if name in found:
                    faults.append(Unfit(f"has {name} twice; delete one of the two", number))
                found[name] = path
        if faults:
            raise Unfit.all_of(faults)
        if not found:
            raise Unfit(f"is not {self.expects}")
        return tuple(found.items())

    def _pair(self, entry: str) -> tuple[str, str]:
        name, _, path = (part.strip() for part in entry.partition(":"))
        name = name.lower().rstrip(".")
        if not _DNS_NAME.fullmatch(name) or not path:
            raise Unfit(f"is not {self.expects}")
        return name, FilePath()(path)

    def show(self, value: tuple[tuple[str, str], ...]) -> str:
        return ", ".join(f"{name}: {path}" for name, path in value)


@dataclass(frozen=True)
class ContextObject:
    """An ``ssl.SSLContext`` from a program. Text is refused, because no text means one."""

    @property
    def expects(self) -> str:
        return "an object of ssl.SSLContext, which only a program can give"

    def takes(self, value: object) -> bool:
        """Say whether an object is one. It is not asked for its class, because ``ssl`` need not be loaded for a check."""
        return hasattr(value, "wrap_bio")

    def __call__(self, text: str) -> object:
        raise Unfit(f"is not {self.expects}; in a file, set ssl_pem")

    def show(self, value: object) -> str:
        return "an object from a program"
