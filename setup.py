"""
Build the accelerator where that is possible, and name the packages. Everything else is in setup.cfg.

``optional``: without a compiler the installation goes on, and pastepool runs without it. A build without the GIL has no
GIL to keep. The sources use the limited API alone; all the same each CPython builds its own binary: one that was built
with the headers of 3.13 crashes on 3.10.

One module is no part of our package: the plugin of twistd goes into the folder of all such plugins, beside Twisted's own.
setup.cfg can name the packages of one folder only.
"""

from __future__ import annotations

import sysconfig
from glob import glob

from setuptools import Extension, find_packages, setup

ACCELERATOR = Extension(
    "pastepool._fast._native",
    sorted(glob("pastepool/_fast/*.c")),
    depends=["pastepool/_fast/fast.h"],
    define_macros=[("Py_LIMITED_API", "0x030A0000")],
    optional=True,
)

setup(
    packages=[*find_packages(include=["pastepool", "pastepool.*"]), "twisted.plugins"],
    package_dir={"twisted.plugins": "dropins/twisted/plugins"},
    ext_modules=[] if sysconfig.get_config_var("Py_GIL_DISABLED") else [ACCELERATOR],
)
