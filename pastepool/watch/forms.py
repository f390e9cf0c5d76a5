"""
Read the fields of a form and of a query. Whatever a client sends, the result is a mapping of texts or ``UnreadableForm``.

Every form of the page is URL-encoded, and so is what its script sends. No other kind is read: a parser of other kinds
has many ways to fail on input that anybody may send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

FORM_LIMIT = 16384
"""The most bytes a form may have. Our longest form has four short fields."""

_FIELD_LIMIT = 100
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


class UnreadableForm(Exception):
    """A form that is not read. ``str()`` is a sentence for the client. ``status``: of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def query_fields(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of the query; of several with one name the first. Raises: UnreadableForm."""
    return _fields(str(environ.get("QUERY_STRING", "")))


def form_fields(environ: Mapping[str, Any]) -> dict[str, str]:
    """
    Return the fields of the form in the body; none if the body is of another kind than a form.

    Reads ``wsgi.input``, so call it once for a request. Raises: UnreadableForm: it is too large or not URL-encoded.
    """
    given = str(environ.get("CONTENT_LENGTH") or "0").strip()
    if not (given.isascii() and given.isdigit()):
        raise UnreadableForm(400, "The length of the form is not a number.")
    length = int(given) if len(given) < 10 else FORM_LIMIT + 1
    if length > FORM_LIMIT:
        raise UnreadableForm(413, "The form is too large.")
    kind, _, parameters = str(environ.get("CONTENT_TYPE") or "").partition(";")
    if kind.strip().lower().startswith("multipart/"):
        raise UnreadableForm(400, "A form is read here in the encoding application/x-www-form-urlencoded only.")
    if not length or kind.strip().lower() not in ("", "application/x-www-form-urlencoded"):
        return {}
    if _charset(parameters) not in _CHARSETS:
        raise UnreadableForm(400, "A form is read here in UTF-8 only.")
    return _fields(environ["wsgi.input"].read(length).decode("latin-1"))


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip(" \t\"'").lower()
    return ""


def _fields(encoded: str) -> dict[str, str]:
    """Decode fields. Bytes that are not UTF-8 become replacement characters, which no field of ours contains."""
    text = encoded.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_FIELD_LIMIT)
    except ValueError:
        raise UnreadableForm(400, "The form has too many fields.") from None
    return dict(reversed(pairs))
