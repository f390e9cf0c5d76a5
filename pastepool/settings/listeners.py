"""
Parsers of the places where a server listens: addresses, unix sockets and sockets of systemd, with the words after them.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pastepool.settings.endpoint import LONGEST_UNIX_PATH, UNIX_PREFIX, Endpoint
from pastepool.settings.parsing import HostPort, Number, Parser, Truth, Unfit, text_lines

_SYSTEMD = "systemd"
_SOCKET_NAME = re.compile(r":[!-9;-~]{1,255}")
_PLACE = re.compile(r"[:.*]|^localhost$|^systemd$")
_TCP, _DESCRIPTOR, _UNIX_URL = "tcp://", "fd://", "unix://"
_EVERY_IPV4 = "0.0.0.0"
_MODE = re.compile(r"(?:0o?)?[0-7]{3}")
_OWNER = re.compile(r"(?=.)[A-Za-z0-9_.@-]{0,64}(?::[A-Za-z0-9_.@-]{1,64})?")


_UNREAD = Endpoint(path="?")
"""Stands for a place that cannot be read. Every word may stand after it, because only the place is the mistake."""


@dataclass(frozen=True)
class Listeners:
    """
    One or more places to listen on, separated by blanks or line breaks. The value is a tuple of endpoints, each once.

    After a place may stand words about it: ``unix:/run/shop.sock mode=660 owner=www-data:www-data``. A word is a place if
    it is the first of its line, or if it looks like one; so two places may stand in one line, as in waitress.
    ``default_port``: the port of an address without one.
    """

    default_port: int = 8080

    @property
    def expects(self) -> str:
        return (
            "one or more addresses such as 127.0.0.1:8080, [::1]:8080, name:8080, *:8080 or unix:/run/shop.sock,"
            " separated by blanks or line breaks"
        )

    def __call__(self, text: str) -> tuple[Endpoint, ...]:
        return tuple(dict.fromkeys(endpoint for endpoint, _ in self.with_lines(text)))

    def with_lines(self, text: str) -> list[tuple[Endpoint, int]]:
        """Return each endpoint with the line of the text that has it, counted from 0 among those that are not blank."""
        endpoints: list[Endpoint] = []
        numbers: list[int] = []
        faults: list[Unfit] = []
        for number, line in enumerate(text_lines(text)):
            for position, word in enumerate(line.split()):
                try:
                    if ("=" in word and not word.startswith(UNIX_PREFIX)) or (position and not _PLACE.search(word)):
                        endpoints[-1:] = [_with_word(endpoints[-1:], word)]
                    else:
                        numbers.append(number)
                        endpoints.append(_UNREAD)
                        endpoints[-1] = self._place(word)
                except Unfit as unfit:
                    whole = unfit.problem if word == line else f"has {word!r}, which {unfit.problem}"
                    faults.append(Unfit(whole, number))
        if faults:
            raise Unfit.all_of(faults)
        if not endpoints:
            raise Unfit(f"is not {self.expects}")
        return list(zip(endpoints, numbers, strict=True))

    def _place(self, word: str) -> Endpoint:
        if word.endswith(","):
            raise Unfit("ends with a comma; places are separated by blanks or line breaks")
        if word.startswith(UNIX_PREFIX):
            return Endpoint(path=UnixPath()(word.removeprefix(UNIX_PREFIX)))
        if word == _SYSTEMD or word.startswith(f"{_SYSTEMD}:"):
            name = word.removeprefix(_SYSTEMD)
            if name and not _SOCKET_NAME.fullmatch(name):
                raise Unfit("is not systemd, or systemd: and the name of a socket such as systemd:shop")
            return Endpoint(systemd=name.removeprefix(":") or "*")
        host, port = HostPort()(word)
        return Endpoint(host, self.default_port if port is None else port)

    def show(self, value: tuple[Endpoint, ...]) -> str:
        return " ".join(word for endpoint in value for word in (str(endpoint), *_words_of(endpoint)))


def _with_word(last: list[Endpoint], word: str) -> Endpoint:
    """Add what a word says to the endpoint before it. Raises: Unfit: there is none, or the word does not fit."""
    name, equals, value = word.partition("=")
    parser = _LISTENER_WORDS.get(name + equals)
    if parser is None:
        close = difflib.get_close_matches(name, _LISTENER_WORDS, n=1)
        hint = f"the nearest word is {close[0]}" if close else f"the words are {', '.join(_LISTENER_WORDS)}"
        raise Unfit(f"is no address, and no word that may stand after one; {hint}")
    if not last:
        raise Unfit("stands before any address; write it after the address that it is about")
    endpoint = last[0]
    if not equals:
        return replace(endpoint, tls=True) if name == "tls" else replace(endpoint, proxy=True)
    if endpoint.systemd:
        raise Unfit(f"has no meaning for {endpoint}, which systemd opens; delete it, and set it in the .socket unit")
    if name in ("mode", "owner") and (not endpoint.path or endpoint.is_abstract):
        raise Unfit(f"has no meaning for {endpoint}, which has no file; delete it")
    try:
        return replace(endpoint, **{name: parser(value)})
    except Unfit as unfit:
        raise Unfit(f"has a value that {unfit.problem}") from None


def _words_of(endpoint: Endpoint) -> list[str]:
    """Write what is not as usual about an endpoint."""
    usual = Endpoint()
    return [
        f"{word}{parser.show(getattr(endpoint, name))}" if word.endswith("=") else word
        for word, parser in _LISTENER_WORDS.items()
        for name in [word.rstrip("=")]
        if getattr(endpoint, name) != getattr(usual, name)
    ]


@dataclass(frozen=True)
class UnixPath:
    """
    The path of a unix socket, or an abstract name after ``@``.

    A relative path is taken from the directory in which the server is started; the value is absolute, because the
    application may change the directory later.
    """

    @property
    def expects(self) -> str:
        return "a path such as /run/shop.sock, or an abstract name such as @shop"

    def __call__(self, text: str) -> str:
        if text in ("", "@") or text.endswith("/") or not text.isprintable():
            raise Unfit(f"is not {self.expects}")
        path = text if text.startswith("@") else os.path.abspath(text)
        size = len(os.fsencode(path))
        if size > LONGEST_UNIX_PATH:
            raise Unfit(f"is {size} bytes long, and the system takes at most {LONGEST_UNIX_PATH}; set a shorter path")
        return path

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class FileMode:
    """The rights of a file, as octal digits."""

    @property
    def expects(self) -> str:
        return "three octal digits such as 660"

    def __call__(self, text: str) -> int:
        if not _MODE.fullmatch(text):
            raise Unfit(f"is not {self.expects}")
        return int(text.removeprefix("0o"), 8)

    def show(self, value: int) -> str:
        return f"{value:03o}"


@dataclass(frozen=True)
class FileOwner:
    """A user and a group, by name or number; either may be left out."""

    @property
    def expects(self) -> str:
        return "a user and a group such as www-data:www-data, www-data or :www-data"

    def __call__(self, text: str) -> str:
        if not _OWNER.fullmatch(text):
            raise Unfit(f"is not {self.expects}")
        return text

    def show(self, value: str) -> str:
        return value


_LISTENER_WORDS: Mapping[str, Parser] = {
    "tls": Truth(),
    "proxy": Truth(),
    "mode=": FileMode(),
    "owner=": FileOwner(),
    "backlog=": Number(1, 1048576),
}
"""The words that may stand after the place of a listener. Each is a field of ``Endpoint``; ``=`` stands before a value."""


@dataclass(frozen=True)
class Binds(Listeners):
    """
    The addresses of gunicorn's ``bind``: separated by commas or blanks, and without a port they have port 8000.

    ``:8000`` means every address of IPv4. ``tcp://`` and the ``//`` of ``unix://`` may stand before a place.
    """

    default_port: int = 8000

    def with_lines(self, text: str) -> list[tuple[Endpoint, int]]:
        return super().with_lines(text.replace(",", " "))

    def _place(self, word: str) -> Endpoint:
        if word.startswith(_DESCRIPTOR):
            raise Unfit(
                "is a descriptor; sockets that systemd passes are named by systemd here; write it like listen = systemd"
            )
        word = word.removeprefix(_TCP)
        if word.startswith(":"):
            word = f"{_EVERY_IPV4}{word}"
        return super()._place(UNIX_PREFIX + word.removeprefix(_UNIX_URL) if word.startswith(_UNIX_URL) else word)
