"""
Where the lines of the server go under twistd: as the file says, or into Twisted's own log.

Without this they would be in Twisted's log too, but as errors: Twisted puts there what is written to standard error.
"""

from __future__ import annotations

import configparser
import logging
import logging.config
import os

from twisted.logger import Logger, LogLevel

_LEVELS = (
    (logging.CRITICAL, LogLevel.critical),
    (logging.ERROR, LogLevel.error),
    (logging.WARNING, LogLevel.warn),
    (logging.INFO, LogLevel.info),
)


def configure(file: str) -> None:
    """
    Configure ``logging`` with the file, as ``paster serve`` does, if it has [loggers]; else send it to Twisted's log.

    A program that has configured ``logging`` is left alone.
    """
    parser = configparser.RawConfigParser(strict=False)
    parser.read(file, encoding="utf-8")
    path = os.path.abspath(file)
    if parser.has_section("loggers"):
        defaults = {"__file__": path, "here": os.path.dirname(path)}
        logging.config.fileConfig(path, defaults, disable_existing_loggers=False)
    elif not logging.root.handlers:
        logging.root.addHandler(_ToTwisted())
        logging.root.setLevel(logging.INFO)


class _ToTwisted(logging.Handler):
    """Gives each line to Twisted's log, with its level and the name of its logger."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((theirs for least, theirs in _LEVELS if record.levelno >= least), LogLevel.debug)
        try:
            Logger(record.name).emit(level, "{text}", text=self.format(record))
        except Exception:
            self.handleError(record)
