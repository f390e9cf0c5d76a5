"""The HTML around every page: head, style, and the link back to the first page."""

from __future__ import annotations

from html import escape

from webob import Request, Response

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fbfbf9; --card: #fff; --line: #d5d8de; --link: #0b57a4;
  --soft: #586273; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181f; --card: #1c222c; --line: #38414f;
  --link: #8cc2ff; --soft: #a5afbf; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.05rem; margin: 0 0 .25rem; }
a { color: var(--link); }
a:focus-visible, button:focus-visible, input:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
p { margin: 0 0 .75rem; max-width: 44rem; }
.soft { color: var(--soft); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); list-style: none;
  margin: 1.5rem 0; padding: 0; }
.cards > li { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.1rem; }
.links { display: flex; flex-wrap: wrap; gap: .25rem .9rem; list-style: none; margin: 0; padding: 0; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
code, td { font-family: ui-monospace, monospace; font-size: .92em; overflow-wrap: anywhere; }
button, input { font: inherit; padding: .3rem .7rem; }
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='7' fill='%230b57a4'/%3E"
    "%3Cpath d='M4 9q2-3 4 0t4 0' stroke='%23fff' fill='none'/%3E%3C/svg%3E"
)

FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - pastepool demonstration</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
{footer}</body>
</html>
"""


def page(request: Request, title: str, body: str, status: int = 200) -> Response:
    """Make a whole page. ``body`` is HTML, ``title`` is plain text."""
    at_home = request.environ.get("PATH_INFO", "") in ("", "/")
    home = f'<footer><p><a href="{escape(address(request, "/"))}">All routes</a></p></footer>\n'
    text = FRAME.format(title=escape(title), icon=ICON, style=STYLE, body=body, footer="" if at_home else home)
    answer = Response(text=text, status=status, content_type="text/html", charset="utf-8")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def refusal(request: Request, status: int, sentence: str) -> Response:
    """Make the page that says why a request is not served."""
    return page(request, "That did not work", f"<p>{escape(sentence)}</p>", status)


def table(rows: list[tuple[str, str]]) -> str:
    """Make an HTML table with row headings out of two columns of plain text."""
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"<table>{''.join(lines)}</table>"


def address(request: Request, path: str, query: str = "") -> str:
    """Return the address of a route, also when the application is mounted below another path."""
    root = request.environ.get("SCRIPT_NAME", "").rstrip("/")
    return f"{root}{path}?{query}" if query else f"{root}{path}"
