"""pastepool: the Paste Deploy server that does not hang. Importing it does nothing."""

__version__ = "0.1.0"
