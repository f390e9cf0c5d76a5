"""
The loggers of the server, and where their lines go if nobody has configured ``logging``.

Every line of the server leaves through this module. If a handler was configured for its logger, the line goes there, and
this module does nothing else. If there is none, as with an INI file without ``[loggers]``, the line goes to standard
error with the time before it, from INFO on. Python by itself would show warnings only, and no time.

This adds no handler to a logger and changes no level. It looks for handlers again with each line. So an application may
configure ``logging`` at any time, and no line is ever written twice.

``logging.basicConfig()`` without arguments does not count as a configuration. ``pserve`` calls it for a file without
``[loggers]``; ``logging.warning()`` and its like call it in the middle of an application. The lines of the server then go
to the stream of its handler, in our form.

Runs on: any thread that may wait for a log handler.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

ACCESS = "pastepool.access"
"""The logger of the access log. Its lines have their time in them, and are the whole line for programs that read them."""

_FORM = logging.Formatter("%(asctime)s %(levelname)-7s [%(name)s] %(message)s", "%Y-%m-%d %H:%M:%S")
_BARE = logging.Formatter("%(message)s")


class OwnLogger(_Adapter):
    """A logger of the server. Its methods are those of ``logging.Logger``; ``exc_info`` is the only keyword it reads."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line. All other methods of the adapter call this one."""
        logger = self.logger
        if not is_wanted(logger, level):
            return
        exc_info = kwargs.get("exc_info")
        if isinstance(exc_info, BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        elif exc_info:
            exc_info = sys.exc_info()
        frame = sys._getframe(2)
        code = frame.f_code
        self._write(
            logger.makeRecord(
                logger.name, level, code.co_filename, frame.f_lineno, msg, args, exc_info or None, code.co_name
            )
        )

    def _write(self, record: logging.LogRecord) -> None:
        handle(self.logger, record)


def own_logger(name: str) -> OwnLogger:
    """Return the logger of that name, for lines of the server."""
    return OwnLogger(logging.getLogger(name), {})


def is_wanted(logger: logging.Logger, level: int) -> bool:
    """Say whether a line of that level is to be made: the configuration wants it, or there is none and it is INFO."""
    if logger.isEnabledFor(level):
        return True
    silenced = logger.disabled or logger.manager.disable >= level
    return level >= logging.INFO and not silenced and not _has_level(logger) and _fallback(logger) is not None


def handle(logger: logging.Logger, record: logging.LogRecord) -> None:
    """
    Write a line: with the handlers of its logger, or to standard error if nobody configured one.

    Raises nothing: the exception of a broken handler goes to ``sys.excepthook``.
    """
    try:
        stream = _fallback(logger)
        if stream is None:
            logger.handle(record)
            return
        kept: object = False if logger.disabled else logger.filter(record)
        if kept:
            shown = kept if isinstance(kept, logging.LogRecord) else record  # since 3.12 a filter may replace it
            write_line(stream, (_BARE if logger.name == ACCESS else _FORM).format(shown))
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            sys.excepthook(*sys.exc_info())  # a handler that the application installed is broken


def _has_level(logger: logging.Logger) -> bool:
    """Say whether somebody set the level of a logger or of one above it. WARNING is what the root logger begins with."""
    each: logging.Logger | None = logger
    while each is not None and each.parent is not None:
        if each.level:
            return True
        each = each.parent
    return each is not None and each.level != logging.WARNING


def _fallback(logger: logging.Logger) -> TextIO | None:
    """Return the stream for the lines of a logger that nobody configured; None if somebody did."""
    each = logger
    while each.parent is not None:
        if each.handlers or not each.propagate:
            return None
        each = each.parent
    handlers = each.handlers
    if not handlers:
        return sys.stderr
    only = handlers[0]
    if len(handlers) > 1 or _has_level(each) or not isinstance(only, logging.StreamHandler):
        return None
    return only.stream if _is_made_without_arguments(only) else None


def _is_made_without_arguments(handler: logging.StreamHandler[TextIO]) -> bool:
    """Say whether a handler looks like the one of ``logging.basicConfig()``."""
    form = handler.formatter
    return (
        type(handler) is logging.StreamHandler
        and not handler.level
        and not handler.filters
        and type(form) is logging.Formatter
        and form._fmt == logging.BASIC_FORMAT
        and form.datefmt is None
    )


def write_line(stream: TextIO | None, line: str) -> None:
    """
    Write a line, or several, to a standard stream, and flush it. Raises nothing, even if the stream is closed or None.

    Characters that the stream's encoding does not have are escaped (``PYTHONIOENCODING=ascii``, a locale without UTF-8).
    """
    if stream is None:
        return
    with contextlib.suppress(Exception):  # the application may have put anything there, and there is no other stream
        try:
            stream.write(line + "\n")
        except UnicodeError:
            stream.write(line.encode("ascii", "backslashreplace").decode("ascii") + "\n")
        stream.flush()
