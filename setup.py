"""
Build the accelerator where that is possible. Everything else is in setup.cfg.

``optional``: without a compiler the installation goes on, and pastepool runs without it. The limited API makes one
binary for CPython 3.10 and later. A build without the GIL has no limited API, and no GIL to keep.
"""

from __future__ import annotations

import sysconfig
from glob import glob

from setuptools import Extension, setup

ACCELERATOR = Extension(
    "pastepool._fast._native",
    sorted(glob("pastepool/_fast/*.c")),
    depends=["pastepool/_fast/fast.h"],
    define_macros=[("Py_LIMITED_API", "0x030A0000")],
    py_limited_api=True,
    optional=True,
)

setup(ext_modules=[] if sysconfig.get_config_var("Py_GIL_DISABLED") else [ACCELERATOR])
