"""
Build a server from settings (``assembly``), start and stop it (``life``), and tell people about it (``announcing``).
"""

from pastepool.server.life import Server, claim_files_of

__all__ = ["Server", "claim_files_of"]
