"""One call in a thread, as Twisted's pool makes it. Names in this module are Twisted's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python import log
from twisted.python.failure import Failure

from pastepool import CallableWork

OnResult = Callable[[bool, Any], object]


class Call(CallableWork):
    """
    A call in a thread. ``on_result`` is told the outcome by its worker, when no kill can land any more.

    Function, arguments and result are let go of as early as in Twisted.
    """

    def __init__(self, called: Callable[[], object], name: str, on_result: OnResult | None) -> None:
        super().__init__(called)
        self._name = name
        self._on_result = on_result
        self._failure: Any = None

    def title(self) -> str:
        return self._name

    def failed(self, error: BaseException) -> None:
        self._failure = Failure(error, type(error), error.__traceback__)

    def finished(self) -> None:
        on_result, self._on_result = self._on_result, None
        failure, self._failure = self._failure, None
        result, self.result = self.result, None
        try:
            if on_result is not None:
                on_result(failure is None, result if failure is None else failure)
            elif failure is not None:
                log.err(failure)
        except Exception:
            log.err()

    def refused(self, reason: str) -> None:
        log.msg(f"{self._name} was not run: {reason}")
