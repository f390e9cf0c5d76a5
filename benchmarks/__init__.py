"""
Measure pastepool and other servers under the same load, on one machine, one after the other.

Run ``python -m benchmarks`` from the repository root, in an environment with the extra ``bench``. docs/performance.md
says what is measured, and why CPU time per request is compared and not requests per second.
"""
