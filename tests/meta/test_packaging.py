"""What is installed is what setup.cfg promises."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import pastepool
from pastepool import demo, entrypoints
from tests.meta.repository import ROOT, lines_of, setup_cfg, sources
from tests.server.installed import SITE, Environment


def test_entry_points_load() -> None:
    """Paste Deploy finds the server under both names, and the demonstration."""
    servers = {
        point.name: point.load() for point in entry_points(group="paste.server_factory", module="pastepool.entrypoints")
    }
    flup = {
        f"{name}{suffix}": getattr(entrypoints, name) for name in ("fcgi", "scgi", "ajp") for suffix in ("", "_thread")
    }
    assert servers == {"http": entrypoints.http, "main": entrypoints.main, **flup}
    (point,) = (
        point for point in entry_points(group="paste.app_factory", name="demo") if point.module == "pastepool.demo"
    )
    assert point.load() is demo.make_app


def test_installed_version_is_the_source_version() -> None:
    """The installed metadata is of this source."""
    assert metadata("pastepool")["Version"] == pastepool.__version__


def test_hard_dependencies_are_three() -> None:
    """Serving takes PasteDeploy, httptools and WebOb, and nothing else."""
    hard = {line.split(">")[0].strip().lower() for line in requires("pastepool") or [] if "extra ==" not in line}
    assert hard == {"pastedeploy", "httptools", "webob"}


def test_every_dependency_has_a_tested_version_that_is_allowed() -> None:
    """constraints.txt has a version of each distribution that setup.cfg names, but for the other servers of benchmarks."""
    pinned: dict[str, list[Version]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            one = Requirement(line)
            (pin,) = one.specifier
            assert pin.operator == "==", line
            pinned.setdefault(canonicalize_name(one.name), []).append(Version(pin.version))
    extras = [name for name in setup_cfg()["options.extras_require"] if name != "bench"]
    named = [line for extra in extras for line in lines_of("options.extras_require", extra)]
    needed = [Requirement(line) for line in named + lines_of("options", "install_requires") if not line.startswith("#")]
    assert len(needed) > 20
    for each in needed:
        if each.name != "pastepool":
            versions = pinned.get(canonicalize_name(each.name), [])
            assert versions, f"{each.name} is not in constraints.txt; `make pins` writes it"
            assert all(each.specifier.contains(version) for version in versions), each


def test_every_cpython_that_is_promised_is_tested() -> None:
    """The classifiers name the CPythons that tox tests."""
    told = re.findall(r":: 3\.(\d+)$", setup_cfg()["metadata"]["classifiers"], re.MULTILINE)
    for line in lines_of("tox:tox", "labels"):
        if line.startswith("pythons ="):
            assert re.findall(r"py3(\d+)", line) == told
    assert "py{" + ",".join(f"3{minor}" for minor in told) + "}" in setup_cfg()["tox:tox"]["env_list"]


def test_paster_extra_brings_a_setuptools_it_runs_with() -> None:
    """PasteScript needs pkg_resources: a setuptools new enough for Python 3.12, old enough to have it without a warning."""
    assert "setuptools>=78.1.1,<80.9" in setup_cfg()["options.extras_require"]["paster"]


def test_wheel_has_every_module_and_the_marker_of_types(tmp_path: Path) -> None:
    """A wheel built from a clean copy has all modules, the page's files, py.typed, the licence, no tests, no warning."""
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pastepool", "dropins"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(copy),
    ]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    said = built.stdout + built.stderr
    assert "Building wheel" in said
    assert not re.findall(r"\w*Warning\b.*", said)
    (wheel,) = tmp_path.glob("pastepool-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [path for path in (ROOT / "pastepool" / "watch" / "static").iterdir() if path.is_file()]
    assert data
    expected = {str(path.relative_to(ROOT)) for path in [*sources(), *data]} | {"pastepool/py.typed"}
    expected.add("twisted/plugins/pastepool_plugin.py")
    assert expected <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert {name for name in names if not name.startswith(("pastepool/", "pastepool-"))} == {
        "twisted/plugins/pastepool_plugin.py"
    }
    _plugin_is_found(wheel, tmp_path)


def _plugin_is_found(wheel: Path, folder: Path) -> None:
    """
    In a fresh environment with this wheel twistd knows the plugin. Without Twisted the adapter says what is missing,
    although the folder of the plugin is there.
    """
    environment = Environment(folder, beside=())
    environment.install(wheel)
    alone = environment.run("-c", "import pastepool.adapters.twisted")
    assert "ImportError: twisted is not installed, and its adapter needs it: pip install" in alone, alone
    environment.look_beside(SITE)
    code = "import pastepool; print(pastepool.__file__); from twisted.scripts.twistd import run; run()"
    told = environment.run("-c", code, "pastepool", "--help")
    assert told.startswith(str(environment.site)), told
    assert "--config FILE [NAME=VALUE ...]" in told and "-c, --config=" in told, told
