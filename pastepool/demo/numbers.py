"""Read numbers, within bounds, from the query string of an address or from an INI file."""

from __future__ import annotations

from webob import Request


class BadNumber(ValueError):
    """The text is not a number within the bounds. Catcher: answer 400 with this sentence, or refuse to start."""


def number(text: str, least: float, most: float) -> float:
    """Read ``text`` as a number from ``least`` to ``most``, both included. Raises: BadNumber."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise BadNumber(f"has to be a number from {least:g} to {most:g}, not {text[:40]!r}")
    return value


def parameter(request: Request, name: str, default: float, least: float, most: float) -> float:
    """
    Read one number from the query string. Returns ``default`` where it is absent.

    A number above ``most`` counts as ``most``: a link may ask for more than ``hang_limit`` allows.
    """
    text = request.GET.get(name, "")
    if not text:
        return min(default, most)
    try:
        return min(number(text, least, float("inf")), most)
    except BadNumber as error:
        raise BadNumber(f"{name} {error}") from None
