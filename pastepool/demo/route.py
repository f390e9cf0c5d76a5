"""One route of the demonstration: its address, its words on the first page, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webob import Request, Response

Handler = Callable[[Request, float], Response]
"""A function that answers a request. It gets the request and ``hang_limit``, the most seconds it may take."""


@dataclass(frozen=True)
class Route:
    """
    One address of the demonstration.

    ``path``: the path below the root of the application. ``title`` and ``text``: shown on the first page. ``links``:
    the links shown there, as (label, query string). ``methods``: every other method is answered 405.
    """

    path: str
    title: str
    text: str
    handler: Handler
    links: tuple[tuple[str, str], ...] = (("Open", ""),)
    methods: tuple[str, ...] = ("GET", "HEAD")
