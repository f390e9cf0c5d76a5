"""
Fetch CPythons that this machine does not have from Debian's suite sid into ``.tox/sid``, beside the machine's own files.

Nothing is installed and root is not needed: ``apt-get`` downloads the packages with lists of its own, and they are
unpacked into the folder, with the headers that the accelerator is built with. They need a newer libc than the machine's.
Therefore each interpreter is a script that starts the program with the folder's own loader and libraries; what it starts
in turn gets the machine's.

``python .ci/sid.py 3.14 3.15`` prints the path of each interpreter, or the reason why it is not there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(".tox/sid").absolute()
ROOT = FOLDER / "root"
LINKED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr in every Debian since 2023, and that packages still name."""

PATIENCE = 600.0
"""Seconds for one command. 40 MB are fetched in two seconds here; a slow mirror may take minutes."""

SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

TRIAL = "import ctypes, lzma, ssl, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"
"""Imports what needs a library of the folder, so that an interpreter of which half is missing is noticed."""

SCRIPT = """\
#!/bin/sh
exec "{loader}" --library-path "{libraries}" --argv0 "$0" "{program}" "$@"
"""


class NotToBeHad(Exception):
    """An interpreter cannot be had here. The text is the reason, in a few words."""


def fetch(wanted: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """
    Return the paths of the interpreters that could be fetched, and for each of the others the reason, by version.

    An interpreter that was fetched before and runs is not fetched again, if its headers are there too.
    """
    had = {
        version: path
        for version in wanted
        if runs(path := interpreter(version), version) and (headers(version) / "pyconfig.h").exists()
    }
    refused: dict[str, str] = {}
    missing = [version for version in wanted if version not in had]
    if not missing:
        return had, refused
    try:
        prepare()
    except (NotToBeHad, OSError, subprocess.TimeoutExpired) as reason:
        return had, dict.fromkeys(missing, str(reason))
    for version in missing:
        try:
            had[version] = install(version)
        except (NotToBeHad, OSError, subprocess.TimeoutExpired) as reason:
            refused[version] = str(reason)
    return had, refused


def interpreter(version: str) -> Path:
    """Return the place of an interpreter. CPython finds its library from the folder that this is in."""
    return ROOT / "usr/bin" / f"python{version}"


def headers(version: str) -> Path:
    """Return the folder in which a compiler looks for the headers of an interpreter."""
    return ROOT / "usr/include" / f"python{version}"


def runs(path: Path, version: str) -> bool:
    """Return whether an interpreter starts, is of this version, and imports what needs libraries."""
    try:
        answer = subprocess.run([path, "-I", "-c", TRIAL], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == version


def prepare() -> None:
    """
    Make the folder, and fetch the list of sid's packages with a configuration that leaves the machine's alone.

    Raises: NotToBeHad if this is no Debian with apt or the list does not come.
    """
    for tool in ("apt-get", "dpkg-deb", "tar"):
        if shutil.which(tool) is None:
            raise NotToBeHad(f"there is no {tool}")
    if not KEYRING.exists():
        raise NotToBeHad(f"there is no {KEYRING}")
    mirror = own_mirror()
    for name in ("lists/partial", "cache/archives/partial", "state"):
        (FOLDER / "apt" / name).mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (ROOT / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (ROOT / name).is_symlink():
            (ROOT / name).symlink_to(f"usr/{name}")
    apt = FOLDER / "apt"
    (apt / "state/status").touch()
    (apt / "sid.list").write_text(f"deb [signed-by={KEYRING}] {mirror} sid main\n")
    (apt / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{apt}/sid.list";\n'
        'Dir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{apt}/lists";\n'
        f'Dir::State::status "{apt}/state/status";\n'
        f'Dir::Cache "{apt}/cache";\n'
        'APT::Install-Recommends "false";\n'
        'APT::Sandbox::User "";\n'
        'Acquire::Retries "2";\n'
        'Acquire::Languages "none";\n'
    )
    command("apt-get", "-q", "update", "--error-on=any")


def own_mirror() -> str:
    """
    Return the address from which this machine gets Debian's packages.

    Raises: NotToBeHad if it names none.
    """
    for name in SOURCES:
        try:
            text = Path(name).read_text()
        except OSError:
            continue
        found = re.search(r"^(?:URIs:|deb(?: \[.*?\])?) *(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
        if found:
            return found[1]
    raise NotToBeHad(f"none of {', '.join(SOURCES)} names a mirror of Debian")


def install(version: str) -> Path:
    """
    Download and unpack an interpreter and what it depends on, and write the script that starts it.

    Raises: NotToBeHad if sid has no such package, or the interpreter does not run.
    """
    archives = FOLDER / "apt/cache/archives"
    command("apt-get", "-q", "-y", "--download-only", "install", f"python{version}")
    command("apt-get", "-q", "download", f"libpython{version}-dev", folder=archives)
    for package in sorted(archives.glob("*.deb")):
        unpack(package)
        package.unlink()
    gather_headers(version)
    path = interpreter(version)
    program = path.with_suffix(path.suffix + ".program")
    path.rename(program)
    (loader,) = sorted((ROOT / "usr/lib").glob("*-linux-gnu*/ld-linux*.so.*"))
    path.write_text(SCRIPT.format(loader=loader, libraries=loader.parent, program=program))
    path.chmod(0o755)
    if not runs(path, version):
        raise NotToBeHad(f"{path} does not run")
    return path


def gather_headers(version: str) -> None:
    """
    Put the headers of an interpreter into one folder, so that a compiler finds all of them there.

    Debian has those of one architecture elsewhere, and a header that includes them from ``/usr/include``.
    """
    for header in sorted(ROOT.glob(f"usr/include/*-linux-gnu*/python{version}/*.h")):
        header.replace(headers(version) / header.name)


def unpack(package: Path) -> None:
    """Unpack one package into the folder. Its installation scripts do not run."""
    content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    try:
        command("tar", "x", "--keep-directory-symlink", "--no-same-owner", "-C", str(ROOT), stdin=content.stdout)
    finally:
        assert content.stdout is not None
        content.stdout.close()
        content.wait()
    if content.returncode:
        raise NotToBeHad(f"dpkg-deb does not read {package.name}")


def command(*words: str, stdin: object = subprocess.DEVNULL, folder: Path | None = None) -> None:
    """
    Run a command with apt's own configuration, in a folder if one is given.

    Raises: NotToBeHad with the first line in which the command says what is wrong.
    """
    environment = {**os.environ, "APT_CONFIG": str(FOLDER / "apt/apt.conf"), "LC_ALL": "C.UTF-8"}
    answer = subprocess.run(
        words, stdin=stdin, capture_output=True, text=True, timeout=PATIENCE, env=environment, cwd=folder
    )  # type: ignore[call-overload]
    if answer.returncode:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or [f"status {answer.returncode}"]
        told = next((line for line in lines if line.startswith("E: ")), lines[-1])
        raise NotToBeHad(f"{words[0]}: {told.removeprefix('E: ')}")


def main() -> int:
    """Fetch the versions given as arguments. Returns 1 if one could not be had."""
    had, refused = fetch(sys.argv[1:])
    for version, path in sorted(had.items()):
        print(f"{version} {path}")
    for version, reason in sorted(refused.items()):
        print(f"{version} cannot be had: {reason}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
