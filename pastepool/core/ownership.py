"""
Decide whose code a source file is: the application's, a library's, the standard library's, or ours.

The page, the log, and the rule that no kill may land in our own code all use this module. Our own code is every file in
the folder of this package. It does not matter where the package is installed or how its rooms are named. The answers
depend only on the path and on what was marked and claimed before. Any thread.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Iterable
from pathlib import PurePath
from types import CodeType
from typing import TypeVar

PACKAGE_ROOT = str(PurePath(__file__).parents[1])
"""The folder of the package ``pastepool`` that is running."""

_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]", re.IGNORECASE)
_INSTALLED_AS = re.compile(r".*[/\\](?:site-packages|dist-packages)[/\\]([^/\\]+?)(?:\.py)?(?:[/\\]|$)", re.IGNORECASE)
_STDLIB = re.compile(r"^<|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]python\d+[/\\]lib[/\\]", re.IGNORECASE)

_DEMONSTRATION = ("demo",)
_APPLICATIONS = ("demo", "watch")
"""Rooms of the package that are WSGI applications. A worker runs them like any other application."""

_FRAMEWORKS = frozenset(
    """
    aiohttp alembic amqp anyio asgiref attr babel beaker billiard boto3 botocore bottle cassandra celery certifi cffi
    chameleon charset_normalizer cheroot cherrypy click colander cryptography ddtrace deform django dns
    djangorestframework dogpile elasticsearch eventlet falcon flask formencode gearbox gevent google graphql greenlet
    grpc gunicorn h11 html5lib httpcore httplib2 httpx hupper idna itsdangerous jinja2 jose jsonschema jwt kombu ldap
    ldap3 lxml mako markupsafe marshmallow mod_wsgi mongoengine mysql mysqldb newrelic numpy oauthlib openid
    opentelemetry paramiko paste paste_deploy pastedeploy pastescript pastepool peewee pika pip pkg_resources plaster
    plaster_pastedeploy psycopg psycopg2 psycopg_pool pycurl pydantic pylons pymongo pymssql pymysql pyodbc pyramid
    pyramid_debugtoolbar pyramid_jinja2 pyramid_mako pyramid_tm raven redis repoze requests rest_framework routes
    s3transfer sentry_sdk setuptools simplejson six soupsieve sqlalchemy sqlparse suds tg thrift tornado transaction
    translationstring turbogears2 twisted typing_extensions urllib3 venusian waitress webassets weberror webhelpers2 webob
    webtest websocket werkzeug whitenoise wrapt wsgiproxy wtforms yaml zeep zmq zodb zope zope2
    """.split()
)
"""
Packages that call applications, or that applications call and wait in: frameworks, servers, drivers, clients. A request
may hang inside of them, but they do not say why.
"""

_Function = TypeVar("_Function", bound=Callable[..., object])

_calls_applications: set[CodeType] = set()
_claimed: set[str] = set()
_runs_tasks: set[CodeType] = set()


class Owner(enum.Enum):
    """Whose code a call is. ``OWN``: the application's. ``SERVER``: ours. The page folds all but ``OWN``."""

    OWN = "own"
    LIBRARY = "library"
    STDLIB = "stdlib"
    SERVER = "server"


@functools.lru_cache(maxsize=4096)
def owner_of(file: str, app_root: str = "") -> Owner:
    """
    Say whose code a file is, by its path; a file that was claimed is the application's wherever it lies.

    Args:
        file: its path, as a code object names it.
        app_root: the application's folder, if it is known. The files below it are the application's, except for those
            of an environment of libraries in it.
    """
    if _is_inside(file) and not _is_inside(file, _DEMONSTRATION):
        return Owner.SERVER
    if file in _claimed:
        return Owner.OWN
    judged = below(file, app_root)
    if _LIBRARY.search(judged):
        return Owner.LIBRARY
    return Owner.STDLIB if _STDLIB.search(judged) else Owner.OWN


def claim(files: Iterable[str]) -> None:
    """
    Say which installed files are the application's; see ``server.belonging``. Runs on: the thread that serves,
    before the first look at a stack. Files that were claimed before stay so, because a process may have several servers.
    """
    _claimed.update(files)
    owner_of.cache_clear()
    is_unknown_library.cache_clear()


def is_at_home(file: str, app_root: str = "") -> bool:
    """Say whether a file is known to be the application's: claimed, or below its folder."""
    return file in _claimed or (bool(app_root) and below(file, app_root) != file)


def is_installed(file: str) -> bool:
    """Say whether a file lies where packages are installed."""
    return bool(_LIBRARY.search(file))


def is_framework(name: str) -> bool:
    """Say whether a package or a distribution is known to be no application."""
    return name.replace("-", "_").casefold() in _FRAMEWORKS


@functools.lru_cache(maxsize=4096)
def is_unknown_library(file: str) -> bool:
    """Say whether a file is of an installed package that may be the application: it is no known framework."""
    found = _INSTALLED_AS.match(file)
    return found is not None and owner_of(file) is Owner.LIBRARY and not is_framework(found[1])


def below(file: str, root: str) -> str:
    """Return a file's path relative to a folder. The path is unchanged if it lies elsewhere or no folder is given."""
    base = root.rstrip("/\\")
    if base and file.startswith(base) and file[len(base) : len(base) + 1] in ("/", "\\"):
        return file[len(base) + 1 :]
    return file


def calls_application(function: _Function) -> _Function:
    """
    Mark a function of ours that calls the application: a kill may land in it, although it is ours.

    While the application runs a callable written in C, the marked function is the innermost Python function of its
    thread. If kills were forbidden there, they could not reach such an application.
    """
    _calls_applications.add(function.__code__)
    return function


def runs_tasks(function: _Function) -> _Function:
    """
    Mark a function of ours that runs tasks. What it calls belongs to the task, so a kill may land there.

    No kill may land in the function itself.
    """
    _runs_tasks.add(function.__code__)
    return function


def is_task_boundary(code: CodeType) -> bool:
    """Say whether a function was marked with ``runs_tasks``."""
    return code in _runs_tasks


def is_application_boundary(code: CodeType) -> bool:
    """Say whether a function was marked with ``calls_application``: what it calls is the application."""
    return code in _calls_applications


def must_not_be_hit(code: CodeType) -> bool:
    """Say whether a kill that landed in this code would break our own bookkeeping."""
    if code in _calls_applications or not _is_inside(code.co_filename):
        return False
    return not _is_inside(code.co_filename, _APPLICATIONS)


def own_file(name: str) -> str:
    """Return the full path of one of our modules. ``name``: its path in the package, such as ``wsgi/call.py``."""
    return str(PurePath(PACKAGE_ROOT, name))


def _is_inside(file: str, rooms: tuple[str, ...] = ()) -> bool:
    """Say whether a file lies in the package or, if ``rooms`` are given, in one of those rooms of the package."""
    name = below(file, PACKAGE_ROOT)
    if name == file:
        return False
    return not rooms or PurePath(name).parts[0] in rooms
