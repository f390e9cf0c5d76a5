"""What can keep a measurement from being made, as sentences for whoever started it."""

from __future__ import annotations


class BenchError(Exception):
    """
    The measurement as asked for cannot be made at all.

    ``str()`` is one whole sentence with the remedy. Catcher: print it and exit with status 1.
    """


class ServerFailed(Exception):
    """
    One server did not start, died, or answered nothing.

    Catcher: write the sentence in that server's row and go on with the next; the others are worth measuring.
    """
