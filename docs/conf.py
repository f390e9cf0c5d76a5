"""How the manual is built: Sphinx, Markdown, warnings as errors (``make docs``)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parent.parent)]

import pastepool  # noqa: E402

project = "pastepool"
author = "the pastepool developers"
copyright = author
release = version = pastepool.__version__

extensions = ["myst_parser", "foreign_table", "option_table", "states_diagram", "packages_diagram", "when_made"]
exclude_patterns = ["_build", "_generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
highlight_language = "ini"

html_theme = "furo"
html_title = "pastepool"
html_show_sphinx = False
