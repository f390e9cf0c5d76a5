"""
Who is let in, and which requests may change something. Pure: environs and rules in, verdicts out.

Two rules of the contract (P17): without a token only this machine is let in, with one the networks of ``allow_from``
are. And what changes something must come from our own page: a browser can be made to send a request from any page it
visits.

A loopback address proves little behind a proxy on the same machine, where every visitor of the proxy has it. So without
a token whatever shows that a proxy stands between is refused, as is a host name that is not this machine's: that is how
a foreign page would come here by way of its own name (DNS rebinding).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.settings.values import Network
from pastepool.types import Seconds
from pastepool.watch.visitor import Visitor

COOKIE = "pastepool_watch"
LOGGED_IN_FOR: Seconds = 12 * 3600.0
"""A working day, after which the token is asked for again."""


@dataclass(frozen=True)
class Admission:
    """
    What becomes of a request. ``status``: 200 lets in, 401 asks for the token, 403 sends away. ``text``: why, with the
    remedy. ``by``: what carried the token, ``header`` or ``cookie``.
    """

    status: int = 200
    text: str = ""
    by: str = ""


class Gate:
    """
    The rules of one mounted page.

    ``csrf``: drawn once a process; in every form of ours and in no other page.
    """

    def __init__(self, token: str, allow_from: tuple[Network, ...]) -> None:
        self.csrf = secrets.token_urlsafe(24)
        self._token = token.encode("utf-8")
        self._allow_from = allow_from
        self._cookie_key = hmac.digest(self._token, b"pastepool watch_threads cookie 1", "sha256") if token else b""

    @property
    def has_token(self) -> bool:
        """Whether one must know something to be let in."""
        return bool(self._token)

    def judge(self, environ: Mapping[str, Any], visitor: Visitor, now: Seconds) -> Admission:
        """
        Say whether a visitor may see the page.

        Args:
            now: wall-clock seconds; a cookie outlives the process, and with it every other clock.
        """
        address = _address(visitor.address)
        if address is None:
            return Admission(403, "Nobody knows where this request comes from, so it is not let in.")
        if not any(address in network for network in self._allow_from if network.version == address.version):
            return Admission(
                403, f"{address} is not let in. allow_from, beside the other settings of this page, says who is."
            )
        if self._token:
            return self._judge_token(environ, now)
        if not address.is_loopback:
            return Admission(
                403, "Without a token only this machine is let in; set one beside the other settings of this page."
            )
        if visitor.forwarded:
            return Admission(
                403, "This came through a proxy, so its address says nothing. Set a token to use this page behind one."
            )
        if not _names_this_machine(str(environ.get("HTTP_HOST", ""))):
            return Admission(403, "Without a token this page is shown under localhost and loopback addresses only.")
        return Admission()

    def _judge_token(self, environ: Mapping[str, Any], now: Seconds) -> Admission:
        scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        offered = [
            str(environ.get("HTTP_X_PASTEPOOL_TOKEN", "")),
            credentials.strip() if scheme.lower() == "bearer" else "",
        ]
        if any(self.knows(one) for one in offered if one):
            return Admission(by="header")
        if self._is_ours(cookie_value(str(environ.get("HTTP_COOKIE", ""))), now):
            return Admission(by="cookie")
        return Admission(401, "The token is wrong." if any(offered) else "This page asks for its token.")

    def knows(self, offered: str) -> bool:
        """Say whether this is the token, in a time that does not tell how much of it is right."""
        return self.has_token and hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), self._token)

    def cookie(self, now: Seconds) -> str:
        """Make what a browser keeps instead of the token: an instant, and a proof that its maker knew the token."""
        until = str(int(now + LOGGED_IN_FOR))
        return f"{until}.{self._proof(until)}"

    def _is_ours(self, value: str, now: Seconds) -> bool:
        until, _, proof = value.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) < 16):
            return False
        return hmac.compare_digest(proof.encode("utf-8", "surrogateescape"), self._proof(until).encode()) and now < int(
            until
        )

    def _proof(self, until: str) -> str:
        return hmac.new(self._cookie_key, until.encode("ascii"), hashlib.sha256).hexdigest()

    def judge_change(self, environ: Mapping[str, Any], form_csrf: str, by: str) -> Admission:
        """
        Say whether a POST comes from our own page. ``by``: how the visitor was let in.

        A request whose header carries the token needs no proof: no foreign page can make a browser send that.
        """
        if by == "header":
            return Admission()
        admission = judge_origin(environ)
        if admission.status != 200:
            return admission
        offered = form_csrf or str(environ.get("HTTP_X_PASTEPOOL_CSRF", ""))
        if not hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), self.csrf.encode()):
            return Admission(
                403, "The form is missing its csrf value, or the server was started anew since; load the page again."
            )
        return Admission()


def judge_origin(environ: Mapping[str, Any]) -> Admission:
    """Refuse what a browser says another site has sent. A client that is no browser says nothing, and passes here."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    origin = environ.get("HTTP_ORIGIN")
    if site is not None:
        allowed = site == "same-origin"
    else:
        allowed = origin is None or _host_of(str(origin)) == str(environ.get("HTTP_HOST", "")).lower()
    return Admission() if allowed else Admission(403, "This was sent by another site, and is refused.")


def cookie_value(header: str) -> str:
    """Find our cookie in a Cookie header; empty where it is not."""
    pairs = (pair.partition("=") for pair in header.split(";"))
    return next((value.strip() for name, _, value in pairs if name.strip() == COOKIE), "")


def _host_of(origin: str) -> str:
    """Take the host and port out of ``scheme://host:port``; nothing out of ``null``."""
    return origin.partition("://")[2].lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _names_this_machine(host: str) -> bool:
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    address = _address(name)
    return address.is_loopback if address is not None else name == "localhost" or name.endswith(".localhost")
