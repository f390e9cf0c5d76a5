"""
Kill requests that write with one library, and print the account as JSON.

``python -m tests.slow.databases LIBRARY KILLS FOLDER [ADDRESS]``: the name of a class of ``libraries``, how many kills,
an empty folder, and the address of a PostgreSQL.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tests.slow.databases import libraries
from tests.slow.databases.killing import kill_many, report

logging.disable(logging.CRITICAL)  # a line for each kill, with a stack
name, kills, folder, *address = sys.argv[1:]
application = getattr(libraries, name)(Path(folder), *(address or [""]))
sys.stdout.write(report(kill_many(application, int(kills))) + "\n")
