"""Log in, log out, and refuse visitors who are not admitted."""

from __future__ import annotations

import time
from typing import Any

from pastepool.core.wording import printable
from pastepool.runtime.log.scribe import scribbled
from pastepool.watch.access import LOGGED_IN_FOR, Admission, judge_origin
from pastepool.watch.answers import cookie_header, html_answer, moved, wants
from pastepool.watch.html import esc, plain_page
from pastepool.watch.visit import Visit, said
from pastepool.watch.watched import ActionOutcome

_log = scribbled("pastepool.watch")

FORM_LIMIT = 16384
"""The most bytes a form may have. Our longest form has four short fields."""


def refused(visit: Visit, admission: Admission) -> Any:
    """Return the response for a visitor who is not admitted: a refusal, or a form that asks for the token."""
    if admission.status == 401 and not visit.api and wants(visit.request) == "text/html":
        form = (
            f'<p>{esc(admission.text)}</p><form method="post" action="login"><label>Token <input type="password"'
            ' name="token" autocomplete="current-password" required autofocus></label>'
            " <button>Log in</button></form>"
        )
        response = html_answer(401, plain_page("watch_threads", form, back=False))
    else:
        response = said(visit, ActionOutcome(admission.status, "refused", admission.text))
    if admission.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="pastepool watch_threads"'
    return response


def login(visit: Visit) -> Any:
    """Check the token of the login form. Returns a redirect with the cookie, or a refusal."""
    request, gate = visit.request, visit.mount.gate
    admission = judge_origin(request.environ)
    if admission.status == 200 and (request.content_length or 0) <= FORM_LIMIT:
        if gate.knows(str(request.POST.get("token", ""))):
            _log.info("%s logged in", printable(visit.visitor.address))
            response = moved("./")
            response.headers["Set-Cookie"] = cookie_header(request, gate.cookie(time.time()), LOGGED_IN_FOR)
            return response
        admission = Admission(401, "The token is wrong.")
    _log.warning("%s: refused login: %s", printable(visit.visitor.address), admission.text)
    return refused(visit, admission)


def logout(visit: Visit) -> Any:
    """Delete the cookie in the browser."""
    response = moved("./")
    response.headers["Set-Cookie"] = cookie_header(visit.request, "", 0)
    return response
