"""
pastepool beside its rivals: one load, one machine, in turn.

``python -m benchmarks`` from the repository root, in an environment with the extra ``bench``. What is measured, and
why CPU per request and not requests per second, is told in docs/performance.md.
"""
