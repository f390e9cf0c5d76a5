"""Define how large a request may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """
    Sizes beyond which a request is refused.

    ``request_target``: bytes of the target (414). ``header_bytes``: bytes of request line and fields together (431).
    ``header_count``: field lines (431). ``body_bytes``: bytes of content after decoding (413); 0 means no limit.
    Source: RFC 9110 4.1 asks for at least 8000 bytes of target; the count is that of Python's standard library.
    """

    request_target: int = 8192
    header_bytes: int = 65536
    header_count: int = 100
    body_bytes: int = 1073741824
