"""
Decide who may see the page, and which requests may change something. Takes environs and rules, returns verdicts.

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

import hmac
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.core.addresses import Network, ip_address, is_within
from pastepool.core.wording import printable
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.settings.endpoint import names_this_machine
from pastepool.types import Clock
from pastepool.watch.sessions import Sessions, WallTime
from pastepool.watch.tries import Tries
from pastepool.watch.visitor import Visitor

COOKIE = "pastepool_watch"

_CLOCK = MonotonicClock()

_WHERE_DRAWN = (
    " None is set in its section, so the server drew one when it started and wrote it into its log (logger"
    " pastepool.watch)."
)

_LOCAL = ip_address("127.0.0.1")
"""What a client on a unix socket counts as: it is on this machine, or its proxy is, as with a loopback address."""

_FOREIGN = "This was sent by another site, and is refused."


@dataclass(frozen=True)
class Admission:
    """
    The verdict on one request. ``status``: 200 admits the visitor, 401 asks for the token, 403 refuses, 429 asks to wait
    for ``retry_after`` whole seconds. ``text``: the reason and the remedy. ``by``: what carried the token: ``header`` or
    ``cookie``; empty without a token. ``session``: the session of the cookie, for ``by == "cookie"``. ``logged``: whether
    a refusal is worth a line in the log.
    """

    status: int = 200
    text: str = ""
    by: str = ""
    session: str = ""
    retry_after: int = 0
    logged: bool = False


class Gate:
    """
    Decides who may see one mounted page, and who may change something from it. Runs on: any thread.

    ``csrf``: the text in the forms of a visitor without a session, random in each process. That of a session is derived
    from the session and the token, so that it is the same in every process. ``drawn``: the token was drawn at the start
    of the process, so the visitor is told where to find it. ``clock``: measures how long a client that guesses has to
    wait.
    """

    def __init__(
        self,
        token: str,
        allow_from: tuple[Network, ...],
        *,
        drawn: bool = False,
        clock: Clock = _CLOCK,
    ) -> None:
        self._token = token.encode("utf-8")
        self._sessions = Sessions(self._token)
        self._tries = Tries()
        self._clock = clock
        self._allow_from = allow_from
        self._where_token_is = _WHERE_DRAWN if drawn else ""
        self.csrf = secrets.token_urlsafe(24)

    @property
    def has_token(self) -> bool:
        """Return whether a visitor must give a token."""
        return bool(self._token)

    def csrf_of(self, session: str) -> str:
        """Return the text in the forms of a visitor. ``session``: empty for a visitor without one."""
        return self._sessions.csrf(session) if session else self.csrf

    def judge(self, environ: Mapping[str, Any], visitor: Visitor, now: WallTime) -> Admission:
        """Say whether a visitor may see the page."""
        address = _LOCAL if visitor.is_local else ip_address(visitor.address)
        if address is None:
            return Admission(
                403,
                "The server gives no IP address of the client (REMOTE_ADDR), so it is not let in; use one at a TCP address.",
            )
        if not is_within(str(address), self._allow_from):
            return Admission(
                403, f"{address} is not let in. allow_from, beside the other settings of this page, says who is."
            )
        if self._token:
            return self._judge_token(environ, str(address), now)
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

    def _judge_token(self, environ: Mapping[str, Any], address: str, now: WallTime) -> Admission:
        refused = None
        for offered in _offered_by_headers(environ):
            refused = self.judge_offered(offered, address)
            if refused.status == 200:
                return Admission(by="header")
        session = self._session_of(environ, now)
        if session:
            return Admission(by="cookie", session=session)
        return refused or Admission(401, f"This page asks for its token.{self._where_token_is}")

    def judge_offered(self, offered: str, address: str) -> Admission:
        """Say whether a visitor has given the token. Above the limit of tries the token is not looked at."""
        now = self._clock.now()
        wait = self._tries.wait_for(address, offered, now)
        if wait > 0:
            text = f"Too many wrong tokens came from {address}; try again in {math.ceil(wait)} s."
            logged = self._tries.refused(address, now)
            return Admission(429, text, retry_after=math.ceil(wait), logged=logged)
        if self.knows(offered):
            return Admission()
        text = f"The token is wrong.{self._where_token_is}"
        return Admission(401, text, logged=self._tries.wrong(address, offered, now))

    def knows(self, offered: str) -> bool:
        """Say whether this is the token. The comparison takes the same time however much of the text is right."""
        return self.has_token and hmac.compare_digest(offered.encode("utf-8", "backslashreplace"), self._token)

    def cookie(self, now: WallTime) -> str:
        """Return the value of the cookie that a browser keeps instead of the token: a new session."""
        return self._sessions.begin(now)

    def log_out(self, environ: Mapping[str, Any], now: WallTime) -> None:
        """End the session of a request, if it has one. After that its cookie is useless."""
        session = self._session_of(environ, now)
        if session:
            self._sessions.end(session, now)

    def still_admits(self, admission: Admission, now: WallTime) -> bool:
        """Say whether a visitor who was admitted may go on looking: a session may be over or ended by now."""
        return not admission.session or self._sessions.lasts(admission.session, now)

    def _session_of(self, environ: Mapping[str, Any], now: WallTime) -> str:
        value = cookie_value(str(environ.get("HTTP_COOKIE", "")))
        return self._sessions.check(value, now) if value and self._token else ""

    def judge_change(self, environ: Mapping[str, Any], form_csrf: str, by: str, session: str = "") -> Admission:
        """
        Say whether a POST comes from our own page. ``by``, ``session``: as in ``Admission``.

        A request whose header carries the token needs no other proof: a foreign page cannot make a browser send that
        header.
        """
        if by == "header":
            return Admission()
        admission = judge_origin(environ)
        if admission.status != 200:
            return admission
        offered = form_csrf or str(environ.get("HTTP_X_PASTEPOOL_CSRF", ""))
        expected = self.csrf_of(session).encode()
        if not hmac.compare_digest(offered.encode("utf-8", "backslashreplace"), expected):
            return Admission(
                403,
                "The csrf value of the form is missing or out of date; load the page again, and send the form from there.",
            )
        return Admission()


def _offered_by_headers(environ: Mapping[str, Any]) -> list[str]:
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return [one for one in (str(environ.get("HTTP_X_PASTEPOOL_TOKEN", "")), bearer) if one]


def judge_origin(environ: Mapping[str, Any]) -> Admission:
    """
    Refuse a request that another site made a browser send; the browser says so in ``Sec-Fetch-Site`` or ``Origin``.

    A client that is not a browser sends neither header, and passes this check.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return Admission() if site == "same-origin" else Admission(403, _FOREIGN)
    origin, host = environ.get("HTTP_ORIGIN"), str(environ.get("HTTP_HOST", ""))
    if origin is None or _host_of(str(origin)) == host.lower():
        return Admission()
    where = f" Origin is {printable(str(origin), 100)}, but Host is {printable(host, 100)}."
    return Admission(403, f"{_FOREIGN}{where} If a proxy has changed Host, let it send the Host that it got.")


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
