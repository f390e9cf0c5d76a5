"""
How twistd finds us: Twisted reads all modules in folders twisted/plugins on the path.

The folder has no ``__init__.py``: it becomes a part of Twisted's own package (``twisted.plugins``).
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

pastepool = ServiceMaker(
    "pastepool", "pastepool.adapters.twistd.plugin", "The Paste Deploy server that does not hang.", "pastepool"
)
