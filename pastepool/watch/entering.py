"""Log in, log out, and refuse visitors who are not admitted."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from pastepool.core.wording import printable
from pastepool.runtime.log.scribe import scribbled
from pastepool.watch.access import Admission, judge_origin
from pastepool.watch.answers import cookie_header, html_answer, moved, wants
from pastepool.watch.html import esc, plain_page
from pastepool.watch.sessions import LOGGED_IN_FOR
from pastepool.watch.visit import Visit, said
from pastepool.watch.watched import ActionOutcome

_log = scribbled("pastepool.watch")


def refused(visit: Visit, admission: Admission, what: str = "the token") -> Any:
    """
    Return the response for a visitor who is not admitted: a refusal, or a form that asks for the token.

    ``what``: the attempt that was refused, for the log.
    """
    if admission.logged:
        _log.warning("%s: refused %s: %s", printable(visit.visitor.address), what, admission.text)
    asks = admission.status in (401, 429)
    if asks and not visit.api and wants(visit.request) == "text/html":
        form = (
            f'<p>{esc(admission.text)}</p><form method="post" action="login"><label>Token <input type="password"'
            ' name="token" autocomplete="current-password" required autofocus></label>'
            " <button>Log in</button></form>"
        )
        response = html_answer(admission.status, plain_page("watch_threads", form, back=False))
    else:
        response = said(visit, ActionOutcome(admission.status, "refused", admission.text))
    if admission.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="pastepool watch_threads"'
    if admission.retry_after:
        response.headers["Retry-After"] = str(admission.retry_after)
    return response


def login(visit: Visit) -> Any:
    """Check the token of the login form. Returns a redirect with the cookie, or a refusal."""
    request, gate = visit.request, visit.mount.gate
    admission = judge_origin(request.environ)
    if admission.status != 200:
        return refused(visit, dataclasses.replace(admission, logged=True), "login")
    offered = visit.form.get("token", "")
    admission = gate.judge_offered(offered, visit.visitor.address) if offered else visit.admission
    if admission.status != 200:
        return refused(visit, admission, "login")
    _log.info("%s logged in", printable(visit.visitor.address))
    response = moved("./")
    response.headers["Set-Cookie"] = cookie_header(request, gate.cookie(time.time()), LOGGED_IN_FOR)
    return response


def logout(visit: Visit) -> Any:
    """End the session on the server, and delete the cookie in the browser."""
    visit.mount.gate.log_out(visit.request.environ, time.time())
    _log.info("%s logged out", printable(visit.visitor.address))
    response = moved("./")
    response.headers["Set-Cookie"] = cookie_header(visit.request, "", 0)
    return response
