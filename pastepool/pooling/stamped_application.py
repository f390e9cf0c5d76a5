"""A WSGI application whose requests the pool knows, where the server above it does not tell the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Protocol

from pastepool.pooling.stamp import Stamp


class StampingPool(Protocol):
    """The pool, as far as it is needed here."""

    def request(self, environ: MutableMapping[str, Any]) -> Stamp: ...


class StampedApplication:
    """
    ``application``, with each request in a stamp from its call to the end of its response.

    On a thread that is no worker of ``pool`` it changes nothing.
    """

    def __init__(self, pool: StampingPool, application: Callable[..., Any]) -> None:
        self._pool = pool
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        stamp = self._pool.request(environ)
        stamp.__enter__()
        response = _Response(stamp)
        try:
            response.iterable = stamp.call(self._application, environ, start_response)
        except BaseException:
            response.end()
            raise
        return response


class _Response:
    """An iterable inside of a stamp."""

    def __init__(self, stamp: Any) -> None:
        self.iterable: Any = ()
        self._iterator: Iterator[bytes] | None = None
        self._stamp = stamp

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = self._stamp.call(iter, self.iterable)
            return self._stamp.call(next, self._iterator)  # type: ignore[no-any-return]
        except StopIteration:
            raise
        except BaseException:
            # A server may not close what has failed.
            self.close()
            raise

    def close(self) -> None:
        """Close the iterable, and end the stamp."""
        iterable, self.iterable = self.iterable, ()
        try:
            if hasattr(iterable, "close"):
                self._stamp.call(iterable.close)
        finally:
            self.end()

    def end(self) -> None:
        """End the stamp, once."""
        stamp, self._stamp = self._stamp, _Ended()
        stamp.__exit__(None, None, None)


class _Ended:
    """Stands in the place of a stamp that has ended."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def __exit__(self, *ignored: object) -> None:
        """Do nothing."""
