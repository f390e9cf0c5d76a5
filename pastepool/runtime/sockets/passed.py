"""
Take the listening sockets that systemd passes to a service (socket activation).

A client that connects before the service runs waits in such a socket. Source: sd_listen_fds(3).

Runs on: the thread that starts the server.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping, Sequence

from pastepool.core.wording import counted
from pastepool.errors import StartError
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.listener import Listener, adopt
from pastepool.settings.endpoint import Endpoint

_log = scribbled("pastepool")

FIRST = 3
"""The number of the first descriptor (SD_LISTEN_FDS_START)."""

_COUNT = re.compile(r"[1-9][0-9]{0,3}")
"""How many sockets are passed. No service has so many by far; each takes memory before it is looked at."""

_LONGEST_COUNT = 20
"""The most characters of a garbled number that the sentence repeats."""

_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_HINT = (
    "a .socket unit has to start the service, and the command must be the process that systemd starts: no --daemon and no"
    " --monitor-restart"
)


def take_passed(
    endpoints: Sequence[Endpoint], variables: MutableMapping[str, str], first: int = FIRST
) -> dict[Endpoint, list[Listener]]:
    """
    Take the sockets that ``systemd`` and ``systemd:NAME`` among the endpoints mean, and no other ones.

    Args:
        endpoints: where the server is to listen.
        variables: the environment. The variables of the protocol are removed, so that no child process sees them.
        first: the number of the first descriptor.

    Returns:
        the listeners of each endpoint that means sockets of systemd.
    Raises:
        StartError: a socket that is wanted was not passed, one that was passed is not wanted or does not listen, or the
            variables are garbled. The operator must correct the units or ``listen``. No passed socket is taken then.
    """
    wanted = [endpoint for endpoint in endpoints if endpoint.systemd]
    pid, count, names = (variables.pop(name, "") for name in _VARIABLES)
    if pid and pid != str(os.getpid()):
        if wanted and len(wanted) == len(endpoints):
            raise StartError(f"cannot listen on {wanted[0]}: systemd passed its sockets to process {pid}; {_HINT}.")
        if wanted:
            _log.warning("%s is left out: systemd passed its sockets to process %s; %s.", wanted[0], pid, _HINT)
        return {endpoint: [] for endpoint in wanted}
    if not count:
        if wanted:
            raise StartError(
                f"cannot listen on {wanted[0]}: systemd passed no socket (LISTEN_FDS is not set); {_HINT}."
            )
        return {}
    return _assigned(wanted, _named(count, names, first))


def _named(count: str, names: str, first: int) -> dict[int, str]:
    """Return the name of each passed descriptor. Raises: StartError: the number of descriptors is garbled."""
    if not _COUNT.fullmatch(count):
        shown = count if len(count) <= _LONGEST_COUNT else f"{count[:_LONGEST_COUNT]}..."
        raise StartError(f"cannot take the sockets of systemd: LISTEN_FDS = {shown!r} is not a number from 1 to 9999.")
    given = names.split(":") if names else []
    return {first + at: given[at] if at < len(given) else "unknown" for at in range(int(count))}


def _assigned(wanted: Sequence[Endpoint], passed: dict[int, str]) -> dict[Endpoint, list[Listener]]:
    """Give each passed socket to the endpoint that wants it. Raises: StartError."""
    assigned: dict[Endpoint, list[Listener]] = {endpoint: [] for endpoint in wanted}
    owners = {
        descriptor: next((each for each in wanted if each.systemd in (name, "*")), None)
        for descriptor, name in passed.items()
    }
    for descriptor, owner in owners.items():
        if owner is None:
            raise StartError(
                f"systemd passed the socket {passed[descriptor]!r} (descriptor {descriptor}), which listen does not name;"
                f" add systemd:{passed[descriptor]} to listen, or remove it from the .socket unit."
            )
    for endpoint in wanted:
        if endpoint not in owners.values():
            there = ", ".join(passed.values())
            raise StartError(
                f"cannot listen on {endpoint}: among the {counted(len(passed), 'socket')} of systemd ({there}) none has"
                " this name; correct listen, or FileDescriptorName= of the .socket unit."
            )
    for descriptor, owner in owners.items():
        if owner is not None:
            assigned[owner].append(adopt(descriptor, f" ({passed[descriptor]})").like(owner))
    return assigned
