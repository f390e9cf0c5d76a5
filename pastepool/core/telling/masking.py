"""
Decide what of a request an operator may see in a mail, on a page or in a log, and mask the secrets in it.

Knows names and texts. What may be shown is an allow-list: cookies, authorization and every header that is not named
here are never shown, so a new kind of header stays private (contract P17). A query or a path parameter can hold a
secret too. Its value is masked if the name suggests a secret, or if the value itself looks like a token. A segment of a
path is masked if it looks like a token, or if it follows a segment that names a secret (``/token/4f9a``). A secret that
looks like a word cannot be told from one, so it is shown.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from pastepool.core.telling.beginnings import beginning, beginning_of_url
from pastepool.core.wording import printable

MASK = "***"
"""The text that replaces a secret. Its length is fixed, so it does not reveal the length of the secret."""

_LIMITS: Mapping[str, int] = {"path": 500, "query": 500, "referer": 500, "user agent": 300}
_LIMIT = 200
"""How many characters of each fact are shown: a mail must stay readable."""

_SECRET_PART = re.compile(
    "token|key|pass|pwd|secret|code|sig|auth|sess|credential|cred|jwt|csrf|xsrf|nonce|cookie|ticket|bearer|otp|hmac|saml"
    "|assertion|verifier|challenge|private",
    re.IGNORECASE,
)
_SECRET_NAMES = frozenset({"pin", "pw", "sid", "state", "hash", "cvv", "cvc", "iban", "ssn"})
_SHORTEST_RUN = 24
_LONG_RUN = re.compile(r"[A-Za-z0-9_\-+=~]{24,}")
_NO_SLUG = re.compile(r"[A-Z0-9]")
"""
A long run of characters with digits or capitals is often a token, whatever the name of its parameter. A long run of
small letters is usually words.
"""

_PATH_PARAMETER = re.compile(r";([^;/=]*)=([^;/]*)")
_BARE_PARAMETER = re.compile(r"(?<=;)[^;/=]+(?=[;/]|$)")
_NAMED = re.compile(r"([^=:]+)([=:])(.+)", re.DOTALL)
_WORDS = re.compile(r"[^\W\d_]+")
_PLAIN_PIECE = re.compile(r"[A-Z]?[a-z]{1,20}|[A-Z]{1,5}|\d{1,10}|")
_PLAIN_SEGMENT = re.compile(r"[^A-Z\d]*|\d{1,3}")
_SECRET_SEGMENTS = frozenset(
    "token tokens key apikey password passwd pass pwd secret code otp pin session sessionid sid jwt nonce ticket"
    " signature sig bearer csrf xsrf credential credentials verifier auth".split()
)
"""
The words that announce a secret as the next segment of a path. Only whole words count: ``/authors/Tolkien`` is no secret.
"""

_AUTHORITY = re.compile(r"(?:[A-Za-z][\w+.-]*:)?//[^/]*")
_USER_INFO = re.compile(r"//[^/?#]*@")


def looks_secret(name: str) -> bool:
    """
    Say whether the name of a parameter suggests that its value is a secret.

    ``name``: as in the query, percent-encoded. In doubt the result is true: ``monkey`` contains ``key``, so its value
    is masked as well.
    """
    plain = _decoded(_decoded(name)).strip().casefold()
    return plain in _SECRET_NAMES or bool(_SECRET_PART.search(plain))


def masked_query(query: str) -> str:
    """
    Mask the values of a query string that look secret. Names, order and separators stay.

    A name that is a token itself is masked together with its value.

    Args:
        query: as received, percent-encoded.

    Returns:
        the same text with ``***`` for each masked value. To mask this result again changes nothing.
    """
    return "".join(part if part in ("&", ";") else _masked_pair(part) for part in re.split("([&;])", query))


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _masked_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    if _looks_opaque(_decoded(name)):
        return MASK
    if not value:
        return pair
    return f"{name}={MASK}" if looks_secret(name) or _hides_secret(value) else pair


def _hides_secret(value: str) -> bool:
    """Say whether a value is a token, is an address with a password, or contains a secret with its name."""
    once = _decoded(value)
    plain = _decoded(once)
    if _looks_opaque(once) or ("@" in plain and _USER_INFO.search(plain)):
        return True
    return ("=" in plain or ":" in plain) and looks_secret(plain)


def _looks_opaque(plain: str) -> bool:
    if len(plain) < _SHORTEST_RUN:
        return plain.startswith("eyJ")
    return plain.startswith("eyJ") or any(_NO_SLUG.search(run) for run in _LONG_RUN.findall(plain))


def masked_path(path: str) -> str:
    """
    Mask segments and path parameters that look secret (``/reset/4f9a...``, ``;jsessionid=...``).

    ``path``: percent-encoded or not. What stands before its first slash is no segment: a title has its method there. To
    mask the result again changes nothing.
    """
    first, *segments = path.split("/")
    shown = [_masked_segment(segment, before) for before, segment in itertools.pairwise(["", *segments])]
    return masked_parameters("/".join([first, *shown]))


def masked_parameters(text: str) -> str:
    """Mask the path parameters that look secret in any text (``;jsessionid=...``). Segments stay as they are."""
    bare = _BARE_PARAMETER.sub(lambda found: MASK if _looks_opaque(unquote_plus(found[0])) else found[0], text)
    return _PATH_PARAMETER.sub(
        lambda found: f";{found[1]}={MASK}" if looks_secret(found[1]) or _hides_secret(found[2]) else found[0],
        bare,
    )


def _masked_segment(segment: str, before: str) -> str:
    """Mask one segment, without its parameters. ``before``: the segment before it."""
    word, semicolon, parameters = segment.partition(";")
    plain = unquote_plus(word)
    named = _NAMED.fullmatch(word)
    if named and not _looks_opaque(unquote_plus(named[1])):
        if looks_secret(named[1]) or _hides_secret(named[3]):
            word = f"{named[1]}{named[2]}{MASK}"
    elif (_looks_opaque(plain) and not _is_slug(plain)) or (_names_secret(before) and not _is_plain(plain)):
        word = MASK
    return word + semicolon + parameters


def _names_secret(segment: str) -> bool:
    plain = unquote_plus(segment.partition(";")[0]).casefold()
    words = _WORDS.findall(plain)
    return "".join(words) in _SECRET_SEGMENTS or not _SECRET_SEGMENTS.isdisjoint(words)


def _is_plain(plain: str) -> bool:
    """Say whether a segment is a word, a slug or a small number. After the name of a secret these are shown too."""
    return bool(_PLAIN_SEGMENT.fullmatch(plain)) or ("-" in plain and _is_slug(plain))


def _is_slug(plain: str) -> bool:
    """Say whether a segment consists of words and numbers, such as ``2026-11-29-how-to-serve``."""
    pieces = re.split(r"[-_.+ ]", plain)
    return len(pieces) > 1 and all(_PLAIN_PIECE.fullmatch(piece) for piece in pieces)


def masked_url(url: str) -> str:
    """Mask user, password, path and query of a URL, and drop its fragment, which may hold an OAuth token."""
    address, question, query = url.partition("#")[0].partition("?")
    shown = _USER_INFO.sub(f"//{MASK}@", address)
    found = _AUTHORITY.match(shown)
    path_at = found.end() if found else 0
    return shown[:path_at] + masked_path(shown[path_at:]) + question + masked_query(query)


def request_facts(environ: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """
    Return what an operator may read of a request, ready to print.

    Args:
        environ: of one request; values that are not text are ignored.

    Returns:
        pairs of a label and a text, in a fixed order. No text is empty; each is on one line, escaped and bounded.
    """
    # Decoded before it is cut: a cut inside of a character would make all of it unreadable.
    path = _readable(_text(environ, "SCRIPT_NAME") + _text(environ, "PATH_INFO"))
    facts = (
        ("method", _text(environ, "REQUEST_METHOD")),
        ("path", masked_path(beginning(path, _LIMITS["path"]))),
        ("query", masked_query(beginning(_text(environ, "QUERY_STRING"), _LIMITS["query"]))),
        ("host", _text(environ, "HTTP_HOST")),
        ("user agent", _text(environ, "HTTP_USER_AGENT")),
        ("referer", masked_url(beginning_of_url(_text(environ, "HTTP_REFERER"), _LIMITS["referer"]))),
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
    """Decode a WSGI text, which carries bytes as latin-1 (PEP 3333), if these bytes are UTF-8."""
    try:
        return native.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return native
