"""``python -m pastepool`` is the command ``pastepool``."""

from __future__ import annotations

import sys

from pastepool.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
