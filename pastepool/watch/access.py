"""
Decide who may see the page, and which requests may change something. Pure: takes environs and rules, returns verdicts.

The contract has two rules (P17). With a token, the page admits visitors from the networks of ``allow_from``. Without a
token, it admits only visitors from this machine; only ``admin_listen`` on a loopback address works so, because a
mounted page draws a token if it has none (``drawn`` says why). A request that changes something must come from our own
page, because any page that a browser visits can make the browser send a request.

A loopback address proves little if a proxy runs on the same machine: every visitor of that proxy has a loopback
address. So without a token, the gate refuses each request of which it can see that it came through a proxy. It also
refuses each request with a host name that is not a name of this machine: a foreign page could otherwise reach this page
through the foreign page's own name (DNS rebinding).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.settings.endpoint import ip_address, names_this_machine
from pastepool.settings.values import Network
from pastepool.types import Seconds
from pastepool.watch.visitor import Visitor

COOKIE = "pastepool_watch"
LOGGED_IN_FOR: Seconds = 12 * 3600.0
"""How long a login lasts: a working day. After it the visitor must give the token again."""

_ASKING = "This page asks for its token."
_ASKING_FOR_DRAWN = (
    f"{_ASKING} None is set in its section, so the server drew one when it started and wrote it into its log (logger"
    " pastepool.watch)."
)


@dataclass(frozen=True)
class Admission:
    """
    The verdict on one request. ``status``: 200 admits the visitor, 401 asks for the token, 403 refuses. ``text``: the
    reason and the remedy. ``by``: what carried the token: ``header`` or ``cookie``; empty without a token.
    """

    status: int = 200
    text: str = ""
    by: str = ""


class Gate:
    """
    Decides who may see one mounted page, and who may change something from it.

    ``csrf``: a random text, drawn when the page is mounted. Every form of this page contains it; no other site has it.
    ``drawn``: the token was drawn at the start of the process, so the visitor is told where to find it.
    """

    def __init__(self, token: str, allow_from: tuple[Network, ...], *, drawn: bool = False) -> None:
        self.csrf = secrets.token_urlsafe(24)
        self._token = token.encode("utf-8")
        self._allow_from = allow_from
        self._asking = _ASKING_FOR_DRAWN if drawn else _ASKING
        self._cookie_key = hmac.digest(self._token, b"pastepool watch_threads cookie 1", "sha256") if token else b""

    @property
    def has_token(self) -> bool:
        """Return whether a visitor must give a token."""
        return bool(self._token)

    def judge(self, environ: Mapping[str, Any], visitor: Visitor, now: Seconds) -> Admission:
        """
        Say whether a visitor may see the page.

        Args:
            now: seconds of the wall clock. A cookie outlives the process, and a monotonic clock does not.
        """
        address = ip_address(visitor.address)
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
        if not names_this_machine(_host_name(str(environ.get("HTTP_HOST", "")))):
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
        return Admission(401, "The token is wrong." if any(offered) else self._asking)

    def knows(self, offered: str) -> bool:
        """Say whether this is the token. The comparison takes the same time however much of the text is right."""
        return self.has_token and hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), self._token)

    def cookie(self, now: Seconds) -> str:
        """
        Return the cookie that a browser keeps instead of the token: when it expires, and a signature that only a server
        with this token can make.
        """
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
        Say whether a POST comes from our own page. ``by``: as in ``Admission``.

        A request whose header carries the token needs no other proof: a foreign page cannot make a browser send that
        header.
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
    """
    Refuse a request that another site made a browser send; the browser says so in ``Sec-Fetch-Site`` or ``Origin``.

    A client that is not a browser sends neither header, and passes this check.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    origin = environ.get("HTTP_ORIGIN")
    if site is not None:
        allowed = site == "same-origin"
    else:
        allowed = origin is None or _host_of(str(origin)) == str(environ.get("HTTP_HOST", "")).lower()
    return Admission() if allowed else Admission(403, "This was sent by another site, and is refused.")


def cookie_value(header: str) -> str:
    """Return the value of our cookie from a Cookie header; empty if it is not there."""
    pairs = (pair.partition("=") for pair in header.split(";"))
    return next((value.strip() for name, _, value in pairs if name.strip() == COOKIE), "")


def _host_of(origin: str) -> str:
    """Return the host and port of ``scheme://host:port``; empty for ``null``."""
    return origin.partition("://")[2].lower()


def _host_name(field: str) -> str:
    """Return the host of a Host field without brackets and port."""
    return field.rpartition("]")[0].lstrip("[") if field.startswith("[") else field.partition(":")[0]
