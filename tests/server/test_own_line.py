"""
The place that is shown for a hung request is the application's own line, however the application is installed.

Each application here hangs in the standard library, below a function ``own_line`` of its own. Log, page, JSON and text
must name this function, and none of the calls below it.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.server.commands import Command, get
from tests.server.installed import Environment, project
from tests.waiting import PROGRAM_WATCHDOG, until

pytestmark = pytest.mark.timeout(300)

SHOWN = re.compile(r"threads are shown on http://127\.0\.0\.1:(\d+)")
SERVING = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")
SERVER = """\
[server:main]
use = egg:pastepool#http
port = 0
admin_listen = 127.0.0.1:0
threadpool_workers = 3
threadpool_hung_thread_limit = 0.3
shutdown_timeout = 0.2
"""
HANGS = """\
import threading

def own_line():
    threading.Event().wait()
"""
PLAIN = """\
from {hangs} import own_line

def application(environ, start_response):
    own_line()

def make(global_conf, **local_conf):
    return application
"""
MIDDLEWARE = """\
class Middleware:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)

def make(global_conf, **local_conf):
    from shop.wsgi import application
    return Middleware(application)
"""
FLASK = """\
from flask import Flask
from shop.hangs import own_line

app = Flask(__name__)

@app.route("/")
def view():
    own_line()

def make(global_conf, **local_conf):
    return app
"""
PYRAMID = """\
from pyramid.config import Configurator
from shop.hangs import own_line

def view(request):
    own_line()

def make(global_conf, **local_conf):
    config = Configurator()
    config.add_route("home", "/")
    config.add_view(view, route_name="home")
    return config.make_wsgi_app()
"""
DJANGO_SETTINGS = """\
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
"""
DJANGO_URLS = """\
from django.urls import path
from shop.hangs import own_line

def view(request):
    own_line()

urlpatterns = [path("", view)]
"""
DJANGO = """\
import os

def make(global_conf, **local_conf):
    os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    from django.core.wsgi import get_wsgi_application
    return get_wsgi_application()
"""


def shop(wsgi: str = PLAIN.format(hangs="shop.hangs"), **more: str) -> dict[str, str]:
    """The files of an application in one package."""
    files = {"shop/__init__.py": "", "shop/hangs.py": HANGS, "shop/wsgi.py": wsgi}
    return {**files, **{f"shop/{name}.py": text for name, text in more.items()}}


def hung(environment: Environment, ini: Path) -> dict[str, Any]:
    """Serve a file, hang a request of it, and return what is told about it: JSON, text, HTML and the log."""
    with Command(environment.serve(ini), ini.parent) as command:
        port = int(command.read_until(SERVING)[1])
        admin = int(command.read_until(SHOWN)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROGRAM_WATCHDOG)
        asking = threading.Thread(target=_ask, args=(connection,), daemon=True)
        asking.start()
        try:
            told: dict[str, Any] = {}

            def is_hung() -> bool:
                told["state"] = json.loads(get(admin, "/api/v1/state")[1])
                return any(row["status"] == "hung" for row in told["state"]["workers"])

            until(is_hung, "the request is hung", PROGRAM_WATCHDOG)
            command.read_until(re.compile(r"is hung|hung for"))
            told["html"] = get(admin, "/")[1].decode()
            command.end()
            told["log"] = command.said
        finally:
            asking.join(PROGRAM_WATCHDOG)
            connection.close()
        return told


def _ask(connection: http.client.HTTPConnection) -> None:
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass  # the server has ended meanwhile


def assert_own_line(told: dict[str, Any], file: str = "shop/hangs.py") -> None:
    """Every account of the hung request names the application's own line."""
    (row,) = [row for row in told["state"]["workers"] if row["status"] == "hung"]
    assert re.fullmatch(rf"\S*{file}:4 own_line", row["place"]), row["place"]
    assert f"{file}:4 own_line" in row["sentence"]
    stack = told["state"]["stacks"][row["stack"]]
    assert stack["frames"][stack["telling"]]["function"] == "own_line"
    assert stack["frames"][stack["telling"]]["kind"] == "own"
    assert f"{file}:4 own_line" in told["html"]
    assert re.search(rf"hung for .*{file}:4 own_line", told["log"]), told["log"]


def ini_of(folder: Path, app: str) -> Path:
    """An INI file as in production: in a folder of its own, which holds no code."""
    ini = folder / "etc" / "site.ini"
    ini.parent.mkdir()
    ini.write_text(f"{SERVER}\n{app}")
    return ini


USE_EGG = "[app:main]\nuse = egg:shop"
FACTORIES = "main = shop.wsgi:make"


@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_installed_application_is_named(tmp_path: Path, editable: bool) -> None:
    """A wheel in site-packages, and an editable installation outside of it."""
    environment = Environment(tmp_path)
    environment.install(project(tmp_path, "shop", shop(), FACTORIES), editable=editable)
    assert_own_line(hung(environment, ini_of(tmp_path, USE_EGG)))


@pytest.mark.parametrize(
    "app",
    [
        "[app:main]\nuse = call:shop.wsgi:make",
        "[app:main]\npaste.app_factory = shop.wsgi:make",
        "[composite:main]\nuse = egg:Paste#urlmap\n/ = shop\n[app:shop]\nuse = egg:shop",
        "[app:main]\nuse = config:other.ini",
    ],
    ids=["call", "factory", "urlmap", "another file"],
)
def test_application_is_found_however_the_file_names_it(tmp_path: Path, app: str) -> None:
    """Each way of Paste Deploy to name an application."""
    environment = Environment(tmp_path)
    environment.install(project(tmp_path, "shop", shop(), FACTORIES))
    ini = ini_of(tmp_path, app)
    (ini.parent / "other.ini").write_text(USE_EGG)
    assert_own_line(hung(environment, ini))


def test_namespace_package_is_told_from_its_neighbour(tmp_path: Path) -> None:
    """``acme.shop`` is the application and ``acme.core`` of another distribution is not, though one folder holds both."""
    environment = Environment(tmp_path)
    shop_files = {
        "acme/shop/__init__.py": "",
        "acme/shop/hangs.py": "from acme.core.helper import held\n\n\ndef own_line(): held()\n",
        "acme/shop/wsgi.py": PLAIN.format(hangs="acme.shop.hangs"),
    }
    core_files = {
        "acme/core/__init__.py": "",
        "acme/core/helper.py": "import threading\n\ndef held():\n    threading.Event().wait()\n",
    }
    environment.install(project(tmp_path, "acme-shop", shop_files, "main = acme.shop.wsgi:make"))
    environment.install(project(tmp_path, "acme-core", core_files))
    told = hung(environment, ini_of(tmp_path, "[app:main]\nuse = egg:acme-shop"))
    assert_own_line(told, "acme/shop/hangs.py")


@pytest.mark.parametrize("framework", ["flask", "pyramid", "django", "middleware"])
def test_application_of_a_framework_is_named(tmp_path: Path, framework: str) -> None:
    """
    The server calls the framework, and the framework calls the application. Named by a file of a third distribution, so
    that only what the server calls says whose it is.
    """
    environment = Environment(tmp_path)
    files = {
        "flask": shop(FLASK),
        "pyramid": shop(PYRAMID),
        "django": shop(DJANGO, settings=DJANGO_SETTINGS, urls=DJANGO_URLS),
        "middleware": shop(middle=MIDDLEWARE),
    }[framework]
    module = "shop.middle" if framework == "middleware" else "shop.wsgi"
    environment.install(project(tmp_path, "shop", files))
    start = f"from {module} import make\n\ndef start(global_conf, **local_conf):\n    return make(global_conf)\n"
    environment.install(project(tmp_path, "starter", {"starter/__init__.py": start}, "main = starter:start"))
    assert_own_line(hung(environment, ini_of(tmp_path, "[app:main]\nuse = egg:starter")))
