"""The errors that prevent a measurement. Each has a sentence for the person who started the benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """
    The whole measurement cannot be made.

    ``str()`` is a sentence with the remedy. Catcher: print it and exit with status 1.
    """


class ServerFailed(Exception):
    """
    One server did not start, ended, or answered no request.

    Catcher: write the sentence in the row of that server, and go on with the next server.
    """
