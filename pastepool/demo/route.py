"""One row of the demonstration: an address, what it shows, and who answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webob import Request, Response

Handler = Callable[[Request, float], Response]
"""Given the request and the most seconds it may take, answer it."""


@dataclass(frozen=True)
class Route:
    """
    One address of the demonstration.

    ``path``: below the application's root. ``title`` and ``text``: for the index page. ``links``: query strings worth a
    click, as (label, query). ``methods``: all others are answered 405.
    """

    path: str
    title: str
    text: str
    handler: Handler
    links: tuple[tuple[str, str], ...] = (("Open", ""),)
    methods: tuple[str, ...] = ("GET", "HEAD")
