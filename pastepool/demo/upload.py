"""The route that takes a file and answers with its size and SHA-256, which prove that it arrived."""

from __future__ import annotations

import hashlib
from html import escape
from typing import Any

from webob import Request, Response

from pastepool.demo.html import address, page, table
from pastepool.demo.route import Route

CHUNK = 65536
"""How many bytes are read at a time."""


def upload(request: Request, hang_limit: float) -> Response:
    """Show the form. For a POST, show what arrived."""
    if request.method != "POST":
        return page(request, "Upload", _form(request))
    if not request.content_type.startswith("multipart/form-data"):
        rows = _measured("(the request's body)", request.environ["wsgi.input"])
        return page(request, "Uploaded", table(rows))
    given = request.environ["wsgi.input"]
    field = request.POST.get("file")
    if request.body_file_raw is not given:
        request.body_file_raw.close()  # WebOb's copy of the body; the files of the form stay open
    if not hasattr(field, "file"):
        return page(request, "Upload", f"<p>Choose a file first.</p>{_form(request)}", 400)
    with field.file as stream:
        return page(request, "Uploaded", table(_measured(field.filename, stream)) + _form(request))


def _measured(name: str, stream: Any) -> list[tuple[str, str]]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return [("name", name), ("bytes", str(size)), ("SHA-256", digest.hexdigest())]


def _form(request: Request) -> str:
    return (
        f'<form method="post" enctype="multipart/form-data" action="{escape(address(request, "/upload"))}">'
        '<p><label for="file">A file of any size</label> <input id="file" name="file" type="file" required> '
        "<button>Upload</button></p></form>"
    )


ROUTES = (
    Route(
        "/upload",
        "Upload",
        "Send a file; the answer is its size and SHA-256. A slow line costs no worker.",
        upload,
        (("Open the form", ""),),
        ("GET", "HEAD", "POST"),
    ),
)
