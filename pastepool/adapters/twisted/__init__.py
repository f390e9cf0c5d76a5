"""
Twisted's thread pool on ours: ``ThreadPool``, also for ``WSGIResource`` and as the pool of the reactor.

Twisted's own pool does not know whether work hangs. When as much work hangs as it has threads, nothing else runs, and the
process does not end on SIGTERM. Many names in this package are Twisted's.
"""

from __future__ import annotations

from pastepool.adapters.missing import needs

with needs("twisted"):
    import twisted as twisted

from pastepool.adapters.twisted.threadpool import ThreadPool

__all__ = ["ThreadPool"]
