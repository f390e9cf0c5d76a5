"""
The rights of a unix socket's file: whom it belongs to, and a change of its owner and mode while clients come.

Runs on: the thread that opens listeners; in a reload the only thread of the parent.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from pastepool.errors import StartError
from pastepool.settings.endpoint import Endpoint


@dataclass(frozen=True)
class SocketFile:
    """The file of a socket of ours. ``maker``: the process that made it; a child that it forks does not remove it."""

    path: str
    device: int
    inode: int
    maker: int

    def is_at(self, found: os.stat_result) -> bool:
        """Say whether a file is this one."""
        return (found.st_dev, found.st_ino) == (self.device, self.inode)

    def remove(self) -> None:
        """Remove the file, if it is still ours and this process made it. May be called twice."""
        if os.getpid() != self.maker:
            return
        try:
            if self.is_at(os.lstat(self.path)):
                os.unlink(self.path)
        except OSError:
            pass  # removed by somebody else already, or its directory was


def owner_of(endpoint: Endpoint) -> tuple[int, int]:
    """
    Return the user and the group that ``owner=user:group`` means; -1 for what it leaves out.

    Raises: StartError: this machine has no such user or group.
    """
    user, _, group = endpoint.owner.partition(":")
    try:
        return (
            int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid if user else -1,
            int(group) if group.isdigit() else grp.getgrnam(group).gr_gid if group else -1,
        )
    except KeyError as error:
        raise StartError(
            f"cannot listen on {endpoint}: owner={endpoint.owner} names a user or a group that this machine does not"
            " have; correct it."
        ) from error


def reason(endpoint: Endpoint, error: OSError) -> str:
    """Say why the file of a socket cannot be made or given away, and what to do."""
    folder = os.path.dirname(endpoint.path)
    if error.errno == errno.ENOENT:
        return f"there is no directory {folder}; make it, or set another path"
    if error.errno == errno.EEXIST:
        return "another process has just begun to listen there; stop it, or set another path"
    if error.errno == errno.ENOTDIR:
        return f"{folder} is no directory; set another path"
    if error.errno == errno.EPERM and endpoint.owner:
        return f"this user may not give the socket to owner={endpoint.owner}; start as root, or leave owner out"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not make files in {folder}; change its rights, or set another path"
    if error.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
        return f"no file can be made in {folder} ({error.strerror}); make room there, or set another path"
    return f"the system refuses it ({error.strerror}); set another path"


def rehearse(endpoint: Endpoint) -> None:
    """
    Give a file beside the socket to the owner that the socket is to get, and remove it.

    Raises: StartError: this process may not do that; the sentence says what to change.
    """
    owner = _whole_owner(endpoint)
    try:
        with tempfile.NamedTemporaryFile(prefix=".pastepool-", dir=os.path.dirname(endpoint.path)) as file:
            os.chown(file.fileno(), *owner)
    except OSError as error:
        raise StartError(f"cannot change the owner of {endpoint}: {reason(endpoint, error)}.") from error


def change(file: SocketFile, before: Endpoint, wanted: Endpoint) -> None:
    """
    Give the file of a socket that is in use another owner and mode. In between only those may connect who may do it
    before and after.

    Raises: OSError: this process may not do that, or the file is not there any more.
    """
    with _held(file) as path:
        os.chmod(path, before.mode & wanted.mode)
        if before.owner != wanted.owner:
            os.chown(path, *_whole_owner(wanted))
        os.chmod(path, wanted.mode)


@contextlib.contextmanager
def _held(file: SocketFile) -> Iterator[str]:
    """Return a path that leads to a file, on Linux whatever others put in its place meanwhile. Raises: OSError."""
    is_linux = hasattr(os, "O_PATH")
    descriptor = os.open(file.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC) if is_linux else -1
    try:
        found = os.lstat(file.path) if descriptor < 0 else os.fstat(descriptor)
        if not file.is_at(found):
            raise FileNotFoundError(errno.ENOENT, "another file is in its place", file.path)
        yield file.path if descriptor < 0 else f"/proc/self/fd/{descriptor}"
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _whole_owner(endpoint: Endpoint) -> tuple[int, int]:
    """Return the user and the group of an endpoint; those of this process for what it leaves out."""
    user, group = owner_of(endpoint)
    return (os.geteuid() if user == -1 else user), (os.getegid() if group == -1 else group)
