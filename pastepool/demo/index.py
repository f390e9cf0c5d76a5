"""The first page: one card for each route."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from webob import Request

from pastepool.demo.html import address
from pastepool.demo.route import Route


def index(request: Request, routes: Iterable[Route], hang_limit: float) -> str:
    """Return the body of the first page as HTML: one card for each route, in the order of ``routes``."""
    cards = "\n".join(_card(request, route) for route in routes)
    return (
        "<p>Every link below does to the server what applications do to servers. "
        "Open as many as you like in further tabs: the others go on answering.</p>\n"
        f'<p class="soft">No route takes longer than {hang_limit:g} seconds (<code>hang_limit</code>).</p>\n'
        f'<ul class="cards">\n{cards}\n</ul>'
    )


def _card(request: Request, route: Route) -> str:
    links = "".join(
        f'<li><a href="{escape(address(request, route.path, query))}" aria-label="{escape(f"{route.title}: {label}")}">'
        f"{escape(label)}</a></li>"
        for label, query in route.links
    )
    return f'<li><h2>{escape(route.title)}</h2><p>{escape(route.text)}</p><ul class="links">{links}</ul></li>'
