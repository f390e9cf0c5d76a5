"""The composition root: settings to objects (``assembly``), their life (``life``), what people are told (``announcing``)."""

from pastepool.server.life import Server

__all__ = ["Server"]
