"""
The pool under the servers of others. Each module imports its library; nothing else in pastepool does, or imports them.

They use public names of pastepool alone: ``WorkerPool``, ``Work`` and the errors.
"""
