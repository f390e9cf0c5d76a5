"""
Open a unix socket that listens: at a path, or under an abstract name of Linux.

The file appears at its path with its final owner and mode, and replaces a file that a dead process left in one step. So
there is no moment with wrong rights, and none without a socket. What is no socket, and a socket on which a process
still listens, is never touched.

Runs on: the thread that starts the server.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import tempfile

from pastepool.errors import StartError
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.peer_credentials import credentials_of
from pastepool.runtime.sockets.socket_rights import SocketFile, owner_of, reason
from pastepool.settings.endpoint import LONGEST_UNIX_PATH, Endpoint

_log = scribbled("pastepool")

_NAME = "s"


def open_unix(endpoint: Endpoint, backlog: int) -> tuple[socket.socket, SocketFile | None]:
    """
    Listen on a unix socket. ``backlog``: how many connections the kernel holds until they are accepted.

    Returns: the socket, and its file; None for an abstract name, which has no file.
    Raises: StartError: the sentence names the path, the reason and the remedy. Nothing stays open and no file is left.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if endpoint.is_abstract:
            _bind_abstract(opened, endpoint, backlog)
            return opened, None
        replace = _is_stale(endpoint.path)
        return opened, _bind_file(opened, endpoint, backlog, replace)
    except OSError as error:
        opened.close()
        raise StartError(f"cannot listen on {endpoint}: {reason(endpoint, error)}.") from error
    except BaseException:
        opened.close()
        raise


def _bind_abstract(opened: socket.socket, endpoint: Endpoint, backlog: int) -> None:
    try:
        opened.bind(b"\0" + os.fsencode(endpoint.path[1:]))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        holder = _listener_at(b"\0" + os.fsencode(endpoint.path[1:]))
        raise _taken(endpoint.path, holder or "a process") from error
    opened.listen(backlog)


def _is_stale(path: str) -> bool:
    """
    Say whether at a path is a socket on which nobody listens any more. False if nothing is there.

    Raises: StartError: there is something else. It stays as it is.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a directory" if stat.S_ISDIR(mode) else "a file"
        raise StartError(
            f"cannot listen on unix:{path}: there is {kind} that is no socket; remove it, or set another path."
        )
    holder = _listener_at(path)
    if holder:
        raise _taken(path, holder)
    _log.warning("unix:%s: replacing the socket of a process that is gone", path)
    return True


def _listener_at(path: str | bytes) -> str:
    """Return which process listens on a unix socket; empty if none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)  # the kernel answers at once
        try:
            asking.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return ""
        except BlockingIOError:
            return "a process whose queue is full"
        except OSError as error:
            return f"a process that does not let us ask ({error.strerror})"
        credentials = credentials_of(asking)
        if not credentials:
            return "a process"
        from pastepool.runtime.sockets.port_holder import name_of  # costs 0.5 MB that a parent seldom needs

        return f"process {credentials[0]} ({name_of(credentials[0])})"


def _taken(path: str, holder: str) -> StartError:
    return StartError(f"cannot listen on unix:{path}: {holder} listens there; stop it, or set another path.")


def _bind_file(opened: socket.socket, endpoint: Endpoint, backlog: int, replace: bool) -> SocketFile:
    """
    Bind the socket in a directory that only we may enter, give it its rights, and move it to its path.

    ``replace``: what is at the path may be replaced. If not, a socket that another process has made there since is kept.

    Raises: OSError; StartError: an owner is unknown.
    """
    user, group = owner_of(endpoint)
    folder = tempfile.mkdtemp(prefix=".pastepool-", dir=os.path.dirname(endpoint.path))
    made = os.path.join(folder, _NAME)
    try:
        _bind(opened, folder, made)
        os.chmod(made, endpoint.mode)
        if user != -1 or group != -1:
            os.chown(made, user, group)
        opened.listen(backlog)
        found = os.lstat(made)
        (os.rename if replace else os.link)(made, endpoint.path)
        return SocketFile(endpoint.path, found.st_dev, found.st_ino, os.getpid())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bind(opened: socket.socket, folder: str, made: str) -> None:
    """Bind to a path that may be longer than the kernel takes: then the directory is named by a descriptor."""
    if len(os.fsencode(made)) <= LONGEST_UNIX_PATH:
        opened.bind(made)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened.bind(f"/proc/self/fd/{descriptor}/{_NAME}")
    finally:
        os.close(descriptor)
