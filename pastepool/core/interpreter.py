"""Say which interpreter runs us, and what is off because of it. Pure; any thread."""

from __future__ import annotations

import sys

NO_KILLS = (
    "No request is killed, because this Python runs without the GIL: a killed request could leave its locks taken. "
    "threadpool_kill_without_gil = true switches kills on."
)
"""Why nothing is killed without the GIL, and the option that changes it: for the log, the mails and the page."""

NO_STACKS = "Stacks and flame graphs are left out, because to read the stack of a running thread could crash Python."
"""What else is off without the GIL, whatever the options say."""

KILLS_ARE_ON = (
    "Requests are killed although this Python runs without the GIL (threadpool_kill_without_gil = true): a killed request "
    "may leave its locks taken."
)


def runs_without_gil() -> bool:
    """
    Say whether threads run Python at the same time.

    That is so on a free-threaded build, unless an extension or the environment has switched the GIL on.
    """
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is not None and not enabled()


def told_without_gil(kills: bool) -> str:
    """
    Say at the start what is off without the GIL, in one line.

    ``kills``: whether requests are killed all the same.
    """
    if kills:
        return f"{KILLS_ARE_ON} {NO_STACKS}"
    return f"{NO_KILLS} Hung requests are reported and replaced as ever. {NO_STACKS} With PYTHON_GIL=1 nothing is off."
