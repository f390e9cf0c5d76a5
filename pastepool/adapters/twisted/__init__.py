"""
Twisted's thread pool on ours: ``ThreadPool``, also for ``WSGIResource`` and as the pool of the reactor. And ``Service``:
our server in a program of Twisted.

Twisted's own pool does not know whether work hangs. When as much work hangs as it has threads, nothing else runs, and the
process does not end on SIGTERM. Many names in this package are Twisted's.
"""

from __future__ import annotations

import importlib

from pastepool.adapters.missing import needs

with needs("twisted"):
    importlib.import_module("twisted.internet")  # the folder of our plugin alone passes for ``twisted``

from pastepool.adapters.twistd.service import Service
from pastepool.adapters.twisted.threadpool import ThreadPool

__all__ = ["Service", "ThreadPool"]
