"""Define how large a request may be."""

from __future__ import annotations

from dataclasses import dataclass, field

_SHORT_FIELD = 10
"""Bytes of a short line. A head with fewer bytes than this for each allowed field has hardly more fields than allowed."""


@dataclass(frozen=True)
class Limits:
    """
    Sizes beyond which a request is refused.

    ``request_target``: bytes of the target (414). ``header_bytes``: bytes of request line and fields together (431).
    ``header_count``: field lines (431). ``body_bytes``: bytes of content after decoding (413); 0 means no limit.
    ``usual_bytes``: a head of at most so many bytes is parsed at once; the lines of a larger one are counted first.
    Source: RFC 9110 4.1 asks for at least 8000 bytes of target; the count is that of Python's standard library.
    """

    request_target: int = 8192
    header_bytes: int = 65536
    header_count: int = 100
    body_bytes: int = 1073741824
    usual_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "usual_bytes", min(self.header_bytes, self.header_count * _SHORT_FIELD))
