"""Applications as they are installed in production: built into a package, with an environment of their own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tests.server.commands import ROOT, environment
from tests.waiting import PROGRAM_WATCHDOG

SITE = sysconfig.get_path("purelib")
"""Where the packages are with which the tests run."""

SETUP = """\
from setuptools import setup
setup(name={name!r}, version="1.0", packages={packages!r}, entry_points={{"paste.app_factory": {factories!r}}})
"""


def project(folder: Path, name: str, files: dict[str, str], *factories: str) -> Path:
    """Write the sources of a distribution. ``files``: by path. Every folder of a file is a package of its own."""
    source = folder / f"source-{name}"
    for path, text in files.items():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
    packages = sorted({str(Path(path).parent).replace("/", ".") for path in files})
    (source / "setup.py").write_text(SETUP.format(name=name, packages=packages, factories=list(factories)))
    return source


class Environment:
    """
    A fresh environment in which applications are installed. ``site``: its folder of installed packages.

    ``beside``: folders in which packages are found, behind its own: what pastepool needs, and pastepool.
    """

    def __init__(self, folder: Path, beside: Sequence[str] = (SITE, str(ROOT))) -> None:
        self.folder = folder / "env"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.folder)], check=True, timeout=120)
        here = {"base": str(self.folder), "platbase": str(self.folder)}
        self.site = Path(sysconfig.get_path("purelib", "venv" if sys.version_info >= (3, 11) else "posix_prefix", here))
        self.python = str(self.folder / "bin" / "python")
        self.look_beside(*beside)

    def look_beside(self, *folders: str) -> None:
        """Have packages found in these folders too, behind its own."""
        (self.site / "tests.pth").write_text("".join(f"{folder}\n" for folder in folders))

    def run(self, *words: str) -> str:
        """Run Python with these words to its end. Returns what it has printed."""
        done = subprocess.run(
            [self.python, "-W", "ignore", *words],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROGRAM_WATCHDOG,
            check=False,
        )
        return done.stdout

    def install(self, source: Path, *, editable: bool = False) -> None:
        """Install a distribution, its sources or a wheel of it, with pip and without a network."""
        words = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-index", "--no-deps"]
        how = ["--editable", str(source)] if editable else [str(source)]
        done = subprocess.run(
            [*words, "--no-build-isolation", *how],
            env={**environment(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=4 * PROGRAM_WATCHDOG,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def serve(self, ini: Path) -> list[str]:
        """Return the words of the command that serves a file."""
        return [
            self.python,
            "-c",
            "import sys; from paste.script.command import run; sys.exit(run())",
            "serve",
            str(ini),
        ]
