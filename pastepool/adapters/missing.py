"""Say which extra is missing, where the library of an adapter is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needs(library: str) -> Iterator[None]:
    """Import a library inside of this. Raises: ImportError: it is not installed; the sentence names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise ImportError(
            f"{library} is not installed, and its adapter needs it: pip install 'pastepool[{library}]'.", name=library
        ) from error
