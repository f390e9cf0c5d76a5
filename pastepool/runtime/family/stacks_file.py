"""
The file that takes the stacks of one child process.

C code of the child (``faulthandler``) writes them when it gets SIGUSR2. That works although no Python code of it runs. The
parent opens the file before it forks the child; so both have the same position in it, and the desk is sent it too.
"""

from __future__ import annotations

import os
import tempfile

_LONGEST = 65536


class StacksFile:
    """In memory where the system can do that. Raises: OSError: the process may not have more descriptors."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._descriptor = os.memfd_create("pastepool stacks")
        else:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def clear(self) -> None:
        """Forget what was written, so that what comes next stands in its place."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.ftruncate(self._descriptor, 0)

    def read(self) -> str:
        """Return what was written last; a sentence if that is nothing."""
        return stacks_in(self._descriptor) or "no stack could be written"

    def close(self) -> None:
        """Close what this process has of it."""
        os.close(self._descriptor)


def stacks_in(descriptor: int) -> str:
    """Return what such a file has now; empty for nothing. Raises: OSError: it is closed."""
    return os.pread(descriptor, _LONGEST, 0).decode("utf-8", "replace").strip("\0\n ")
