"""
Configure ``logging`` in a worker process from the file as it is now.

The commands do that before they load the server, so in the parent, and only at the start. A worker of a later generation
does it for itself. ``gearbox`` does it in each worker anyway, a second time.
"""

from __future__ import annotations

import configparser
import logging
import logging.config
import os
from collections.abc import Mapping

from pastepool.errors import SettingsError


def configure_logging_again(config_file: str, variables: Mapping[str, str]) -> None:
    """
    Take the handlers and levels of the start away, and configure what the sections of the file say.

    A file without ``[loggers]`` changes nothing. ``variables``: those of the command line. Raises: SettingsError: the
    sections cannot be used; the operator must correct them. Runs on: the only thread of a worker, before anything is
    loaded.
    """
    parser = configparser.RawConfigParser(strict=False)
    file = os.path.abspath(config_file)
    try:
        parser.read([file])
        if not parser.has_section("loggers"):
            return
        _forget_all()
        defaults = {**variables, "__file__": file, "here": os.path.dirname(file)}
        logging.config.fileConfig(file, defaults, disable_existing_loggers=False)
    except Exception as error:  # handlers are made by whatever code the file names
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(
            f"{config_file}: the sections for logging cannot be used ({reason}); correct them."
        ) from error


def _forget_all() -> None:
    """Undo what was configured: otherwise a logger that the file does not name any more would keep its handlers."""
    for logger in [logging.getLogger(), *logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET if logger.parent else logging.WARNING)
            logger.propagate = True
            logger.disabled = False
