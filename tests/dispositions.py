"""What a program of a test does on a signal that it does not handle."""

from __future__ import annotations

import signal


def usual_dispositions() -> None:
    """
    Give the process the usual dispositions of signals. For ``preexec_fn``: it runs in the child process.

    ``nohup`` and a shell that starts the tests in the background let the tests ignore some, and a child inherits that.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
