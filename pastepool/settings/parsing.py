"""
Turn the text of one INI value into a Python value, and back.

This module knows shapes (a count, a duration, a host); ``listeners``, ``networks`` and ``mail_addresses`` have more. It
does not know the name of an option or its place in the file: ``reading`` adds both to an error. Each parser is a frozen
value with three parts: ``expects`` (the words that follow "... is not" in an error); a call that turns text into a
value, or raises ``Unfit``; and ``show``, which turns the value into text that the same parser reads back to the same
value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pastepool.settings.endpoint import UNIX_PREFIX

LONGEST = 1e9
"""
The longest duration in seconds, about 31 years. Some files have 999999999 for "never", so that must be accepted. Above
about 9.2e9 the lock primitives of CPython overflow.
"""

PRINTABLE = re.compile(r"[ -~]+")
"""One line of ASCII without control characters. These texts become fields of HTTP and of mails."""

_TRUTHS = dict.fromkeys(("true", "yes", "on", "y", "t", "1"), True)
_TRUTHS.update(dict.fromkeys(("false", "no", "off", "n", "f", "0"), False))
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|)", re.IGNORECASE)
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_SIZE = re.compile(r"([0-9]{1,15})\s*([kmg]?)", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
_PATH = re.compile(r"""/[!"$->@-~]*""")


class Unfit(ValueError):
    """
    The parser refuses the value, or parts of it.

    ``problem``: the words that follow ``<key> = <value>`` in the error sentence. ``line``: which of the lines of the value
    that have text is refused, counted from 0; None for all of it. ``parts``: all that is refused, each as an error of its
    own. Catcher: ``reading``, which adds the place and the remedy.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.parts: tuple[Unfit, ...] = (self,)

    @classmethod
    def all_of(cls, parts: Sequence[Unfit]) -> Unfit:
        """Return one error about several parts of a value, at least one."""
        found = cls(parts[0].problem, parts[0].line)
        found.parts = tuple(parts)
        return found


def text_lines(text: str) -> list[str]:
    """Return the lines of a value that have text, without blanks at their ends."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def each_word(text: str, parse: Callable[[str], Any]) -> tuple[Any, ...]:
    """
    Parse the words of a value, separated by commas or white space, each by itself.

    Raises: Unfit: it has a part for each word that ``parse`` refuses.
    """
    found: list[Any] = []
    faults: list[Unfit] = []
    for number, line in enumerate(text_lines(text)):
        for word in filter(None, re.split(r"[,\s]+", line)):
            try:
                found.append(parse(word))
            except Unfit as unfit:
                faults.append(Unfit(unfit.problem if word == line else f"has {word!r}, which {unfit.problem}", number))
    if faults:
        raise Unfit.all_of(faults)
    return tuple(found)


class Parser(Protocol):
    """What a row of the table needs from its parser."""

    @property
    def expects(self) -> str:
        """What a value has to be, as a noun phrase, for errors and for the reference page."""
        ...

    def __call__(self, text: str) -> Any:
        """Turn text into a value. The text is not empty and has no blanks at its ends. Raises: Unfit."""
        ...

    def show(self, value: Any) -> str:
        """Write a value as an operator would. The parser reads the result back to the same value."""
        ...


@dataclass(frozen=True)
class Number:
    """A whole number between two bounds, both included."""

    minimum: int
    maximum: int

    @property
    def expects(self) -> str:
        return f"a whole number from {self.minimum} to {self.maximum}"

    def __call__(self, text: str) -> int:
        if not _NUMBER.fullmatch(text) or not self.minimum <= int(text) <= self.maximum:
            raise Unfit(f"is not {self.expects}")
        return int(text)

    def show(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True)
class Duration:
    """
    Seconds as a float, written ``30``, ``30s``, ``5m``, ``1h`` or ``500ms``; decimals are allowed.

    Units: seconds, rounded to the microsecond, so that the text of ``show`` gives the same number again.
    """

    minimum: float = 0.0
    maximum: float = LONGEST

    @property
    def expects(self) -> str:
        least = f" of at least {self.show(self.minimum)}" if self.minimum else ""
        return f"a duration{least} such as 30, 30s, 5m, 1h or 500ms"

    def __call__(self, text: str) -> float:
        found = _DURATION.fullmatch(text)
        if found is None:
            raise Unfit(f"is not {self.expects}")
        seconds = round(float(found[1]) * _DURATION_UNITS[found[2].lower()], 6)
        if seconds < self.minimum:
            raise Unfit(f"is not {self.expects}")
        if seconds > self.maximum:
            raise Unfit(f"is longer than the longest duration, {self.show(self.maximum)}")
        return seconds

    def show(self, value: float) -> str:
        return f"{value:.6f}".rstrip("0").rstrip(".") + "s"


@dataclass(frozen=True)
class Size:
    """Bytes, written ``65536``, ``512k``, ``1m`` or ``1g``; k, m and g are powers of 1024."""

    minimum: int
    maximum: int

    @property
    def expects(self) -> str:
        return f"a size from {self.show(self.minimum)} to {self.show(self.maximum)} such as 65536, 512k, 1m or 1g"

    def __call__(self, text: str) -> int:
        found = _SIZE.fullmatch(text)
        size = int(found[1]) * _SIZE_UNITS[found[2].lower()] if found else -1
        if not self.minimum <= size <= self.maximum:
            raise Unfit(f"is not {self.expects}")
        return size

    def show(self, value: int) -> str:
        for unit in ("g", "m", "k"):
            if value and value % _SIZE_UNITS[unit] == 0:
                return f"{value // _SIZE_UNITS[unit]}{unit}"
        return str(value)


@dataclass(frozen=True)
class Truth:
    """True or false, in the words that ``asbool`` of PasteDeploy knows."""

    @property
    def expects(self) -> str:
        return "true or false (yes, no, on, off, 1, 0)"

    def __call__(self, text: str) -> bool:
        try:
            return _TRUTHS[text.lower()]
        except KeyError:
            raise Unfit(f"is not {self.expects}") from None

    def show(self, value: bool) -> str:
        return "true" if value else "false"


@dataclass(frozen=True)
class Choice:
    """One of a few words, in upper or lower case. ``also``: further words, each with the word that it means."""

    words: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()

    @property
    def expects(self) -> str:
        return " or ".join(self.words)

    def __call__(self, text: str) -> str:
        known = {word.lower(): word for word in self.words} | dict(self.also)
        try:
            return known[text.lower()]
        except KeyError:
            raise Unfit(f"is not {self.expects}") from None

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Choices:
    """Some of a few words, in upper or lower case, separated by commas or white space. The value has each once."""

    words: tuple[str, ...]

    @property
    def expects(self) -> str:
        return f"some of {', '.join(self.words)}, separated by commas or blanks"

    def __call__(self, text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(each_word(text, self._word)))
        if not found:
            raise Unfit(f"is not {self.expects}")
        return found

    def _word(self, word: str) -> str:
        if word.lower() not in self.words:
            raise Unfit(f"is not {self.expects}")
        return word.lower()

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)


@dataclass(frozen=True)
class Text:
    """
    One line of printable ASCII.

    An INI value may have several lines. They are refused, because these texts become header fields of responses and
    mails.
    """

    @property
    def expects(self) -> str:
        return "one line of printable ASCII"

    def __call__(self, text: str) -> str:
        if not PRINTABLE.fullmatch(text):
            raise Unfit(f"is not {self.expects}")
        return text

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Function:
    """A function by the names of its module and its own: ``shop.start:open_database``. It is looked up much later."""

    @property
    def expects(self) -> str:
        return "module:function"

    def __call__(self, text: str) -> str:
        module, colon, name = text.partition(":")
        if not colon or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            raise Unfit(f"is not {self.expects}, such as shop.start:open_database")
        return text

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Secret(Text):
    """A secret that cannot be guessed. It is long, and has no blanks, because a header field does not keep them."""

    minimum: int = 16

    @property
    def expects(self) -> str:
        return f"at least {self.minimum} printable ASCII characters without blanks"

    def __call__(self, text: str) -> str:
        if len(text) < self.minimum or not PRINTABLE.fullmatch(text) or " " in text:
            raise Unfit(f"is not {self.expects}")
        return text


@dataclass(frozen=True)
class UrlPath:
    """A path as a client writes it in the request line, without a query string."""

    @property
    def expects(self) -> str:
        return "a path that begins with / and holds no blank, ? or #"

    def __call__(self, text: str) -> str:
        if not _PATH.fullmatch(text):
            raise Unfit(f"is not {self.expects}")
        return text

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class HostPort:
    """
    A host with or without a port. The value is ``(host, port or None)``.

    It accepts names, IPv4, ``::1``, ``[::1]``, ``[::1]:8080``, ``name:8080`` and ``*``. Text with more than one colon
    and no brackets is an IPv6 address without a port, as in Paste. The host is returned without brackets.
    """

    @property
    def expects(self) -> str:
        return "a host such as localhost, 127.0.0.1, ::1, [::1]:8080, name:8080 or * for all addresses"

    def __call__(self, text: str) -> tuple[str, int | None]:
        if text.startswith(("/", UNIX_PREFIX)):
            raise Unfit(
                f"is a unix socket, which only listen takes; write it like listen = unix:{text.removeprefix(UNIX_PREFIX)}"
            )
        if _NUMBER.fullmatch(text):
            raise Unfit(f"is a port without a host; write it like 127.0.0.1:{text}, or *:{text} for all addresses")
        host, port = self._split(text)
        if host != "*" and not _HOST_NAME.fullmatch(host) and not _is_ipv6(host):
            raise Unfit(f"is not {self.expects}")
        return host, port

    def _split(self, text: str) -> tuple[str, int | None]:
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or not _is_ipv6(host) or (port and not port.startswith(":")):
                raise Unfit(f"is not {self.expects}")
            return host, self._port(port[1:]) if port else None
        if text.count(":") == 1:
            host, _, port = text.partition(":")
            return host, self._port(port)
        return text, None

    def _port(self, text: str) -> int:
        try:
            return PORT(text)
        except Unfit as unfit:
            raise Unfit(f"has a port that {unfit.problem}") from None

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class AccessLogTarget:
    """
    gunicorn's ``accesslog``: ``-`` means that requests are logged. The name of a file is refused.

    ``None`` means that they are not: generated files have Python's word for it.
    """

    @property
    def expects(self) -> str:
        return "-, which turns access_log on; a file for these lines is set in the [loggers] sections"

    def __call__(self, text: str) -> bool:
        if text not in ("-", "None"):
            raise Unfit(f"is not {self.expects}")
        return text == "-"

    def show(self, value: bool) -> str:
        return "-" if value else "None"


@dataclass(frozen=True)
class UrlPrefix:
    """
    The path below which a proxy shows the application. The value begins with one slash and does not end in one; it is
    empty if the text has only slashes.
    """

    @property
    def expects(self) -> str:
        return "a path such as /shop that holds no blank, ? or #"

    def __call__(self, text: str) -> str:
        path = "/" + text.strip("/")
        if not _PATH.fullmatch(path):
            raise Unfit(f"is not {self.expects}")
        return path.rstrip("/")

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Anything:
    """Takes every text as it is."""

    @property
    def expects(self) -> str:
        return "any text"

    def __call__(self, text: str) -> str:
        return text

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Refused:
    """
    The parser of an option that is known and not supported. It refuses every value, and says why.

    ``true_passes``: the value true is accepted, because it asks for what the server does anyway.
    """

    reason: str
    true_passes: bool = False

    @property
    def expects(self) -> str:
        return "true" if self.true_passes else "not accepted yet"

    @property
    def problem(self) -> str:
        """Return the words that follow ``<key> = <value>`` in the error sentence."""
        return f"cannot be served: {self.reason}"

    def __call__(self, text: str) -> None:
        if not (self.true_passes and _TRUTHS.get(text.lower())):
            raise Unfit(self.problem)

    def show(self, value: None) -> str:
        return ""


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


PORT = Number(0, 65535)
"""A TCP port; 0 lets the kernel choose."""


def plain_text(value: object) -> str:
    """
    Turn a value from PasteDeploy or from a program into text without blanks at its ends. ``""`` means "not set".

    An INI file gives text. A program may give bool, int, float or None. Raises: Unfit for any other type.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.9f}".rstrip("0")
    if isinstance(value, (int, float)):
        return str(int(value))
    raise Unfit(f"is of type {type(value).__name__}, and a setting is text, a number or true or false")
