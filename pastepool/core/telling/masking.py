"""
What of a request may be shown to an operator in a mail, on a page or in a log, and what is masked first.

Knows names and texts. It is an allow-list: cookies, authorization and every header not named here never get in, so a
header invented tomorrow stays private (contract P17). A secret can also stand in a query or in a path parameter; those
are masked by name, and by looks where a value has no telling name. What an application puts into a plain path segment
cannot be told from any other word and is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from pastepool.core.wording import printable

MASK = "***"
"""What stands in the place of a secret: always the same length, so that it tells nothing about the secret's."""

_LIMITS: Mapping[str, int] = {"path": 500, "query": 500, "referer": 500, "user agent": 300}
_LIMIT = 200
"""Characters shown of each fact; nothing derives them, a mail must stay readable."""

_SECRET_PART = re.compile(
    "token|key|pass|pwd|secret|code|sig|auth|sess|credential|cred|jwt|csrf|xsrf|nonce|cookie|ticket|bearer|otp|hmac|saml"
    "|assertion|verifier|challenge|private",
    re.IGNORECASE,
)
_SECRET_NAMES = frozenset({"pin", "pw", "sid", "state", "hash", "cvv", "cvc", "iban", "ssn"})
_LONG_RUN = re.compile(r"[A-Za-z0-9_\-+=~]{24,}")
_NO_SLUG = re.compile(r"[A-Z0-9]")
"""A long run with digits or capitals is a token as often as not, whatever its name; one in small letters is words."""

_PATH_PARAMETER = re.compile(r";([^;/=]*)=([^;/]*)")
_USER_INFO = re.compile(r"//[^/?#]*@")


def looks_secret(name: str) -> bool:
    """Say whether a name, as it stands in a query, promises a secret. Errs towards yes: ``monkey`` does."""
    plain = unquote_plus(unquote_plus(name)).strip().casefold()
    return plain in _SECRET_NAMES or bool(_SECRET_PART.search(plain))


def masked_query(query: str) -> str:
    """
    Mask the values of a query string that look secret; names, order and separators stay.

    Args:
        query: as received, percent-encoded.

    Returns:
        the same text with ``***`` for each masked value. Applied to its own result it changes nothing.
    """
    return "".join(part if part in ("&", ";") else _masked_pair(part) for part in re.split("([&;])", query))


def _masked_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    if _looks_opaque(unquote_plus(name)):
        return MASK
    if not value:
        return pair
    return f"{name}={MASK}" if looks_secret(name) or _hides_secret(value) else pair


def _hides_secret(value: str) -> bool:
    """Say whether a value is a token, an address with a password, or holds a named secret of its own."""
    plain = unquote_plus(unquote_plus(value))
    if _looks_opaque(unquote_plus(value)) or _USER_INFO.search(plain):
        return True
    return bool(re.search("[=:]", plain)) and looks_secret(plain)


def _looks_opaque(plain: str) -> bool:
    return plain.startswith("eyJ") or any(_NO_SLUG.search(run) for run in _LONG_RUN.findall(plain))


def masked_path(path: str) -> str:
    """Mask path parameters that look secret (``;jsessionid=...``)."""
    return _PATH_PARAMETER.sub(
        lambda found: f";{found[1]}={MASK}" if looks_secret(found[1]) or _hides_secret(found[2]) else found[0],
        path,
    )


def masked_url(url: str) -> str:
    """Mask a URL's password, query and path parameters; its fragment, which may hold an OAuth token, goes."""
    address, question, query = url.partition("#")[0].partition("?")
    return masked_path(_USER_INFO.sub(f"//{MASK}@", address)) + question + masked_query(query)


def request_facts(environ: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """
    Pick from a WSGI environ what an operator may read, ready to print.

    Args:
        environ: of one request; anything in it that is not text is passed over.

    Returns:
        pairs of a word and a text, in a fixed order, none empty; each on one line, escaped and bounded.
    """
    facts = (
        ("method", _text(environ, "REQUEST_METHOD")),
        ("path", masked_path(_readable(_text(environ, "SCRIPT_NAME") + _text(environ, "PATH_INFO")))),
        ("query", masked_query(_text(environ, "QUERY_STRING"))),
        ("host", _text(environ, "HTTP_HOST")),
        ("user agent", _text(environ, "HTTP_USER_AGENT")),
        ("referer", masked_url(_text(environ, "HTTP_REFERER"))),
        ("client", _text(environ, "REMOTE_ADDR")),
        ("content type", _text(environ, "CONTENT_TYPE")),
        ("content length", _text(environ, "CONTENT_LENGTH")),
        ("request id", _text(environ, "pastepool.request_id") or _text(environ, "HTTP_X_REQUEST_ID")),
    )
    return tuple((word, printable(text, _LIMITS.get(word, _LIMIT))) for word, text in facts if text)


def _text(environ: Mapping[str, object], key: str) -> str:
    value = environ.get(key, "")
    return value if isinstance(value, str) else ""


def _readable(native: str) -> str:
    """Undo PEP 3333's way of carrying bytes as latin-1, where the bytes were UTF-8."""
    try:
        return native.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return native
