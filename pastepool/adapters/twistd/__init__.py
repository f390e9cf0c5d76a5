"""
Our server in a program of Twisted: ``Service``, and the plugin with which ``twistd`` serves an INI file.

It is not the adapter of the pool, which is ``pastepool.adapters.twisted``, and uses nothing of it.
"""

from __future__ import annotations

import importlib

from pastepool.adapters.missing import needs

with needs("twisted"):
    importlib.import_module("twisted.internet")  # the folder of our plugin alone passes for ``twisted``
