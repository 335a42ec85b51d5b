"""What servers and caches in front of the application see, and what they give it: sub-interpreters,
caches, a middleware inside another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from wsgi_sessions import (
    ConfigurationError,
    MemcachedStore,
    MemoryStore,
    MongoDBStore,
    RedisStore,
    SessionManager,
    SessionMiddleware,
    open_store,
)
from wsgi_sessions.observe import PrometheusObserver
from wsgi_sessions.record import RecordCipher
from wsgi_sessions.record.encryption import _cryptography

SECRET = "the signing secret of the tests"

# Caches


def answer(*cache_control: str, put: bool = False, cookie: str = "") -> list[str]:
    """The ``Cache-Control`` of a page that looks at its session, and changes it if *put*."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        session = environ["wsgi.session"]
        session.get("x")
        if put:
            session["x"] = 1
        start_response("200 OK", [("Cache-Control", value) for value in cache_control])
        return [b""]

    app = SessionMiddleware(application, MemoryStore(), secret=SECRET, cookie_secure=True)
    client = Client(app, use_cookies=False)
    return client.get("/", headers={"Cookie": cookie} if cookie else {}).headers.getlist(
        "Cache-Control"
    )


@pytest.mark.parametrize(
    "cookie",
    ["", "sidebar=open", "mysid=1", "a=sid", "a=sid=1", "a=b; sidebar=1", "a=1; xsid=2", "SID=1"],
)
@pytest.mark.parametrize("said", [(), ("public, max-age=60",), ("max-age=60", "immutable")])
def test_a_page_without_a_cookie_of_ours_keeps_its_cache_control(
    cookie: str, said: tuple[str, ...]
) -> None:
    assert answer(*said, cookie=cookie) == list(said)


@pytest.mark.parametrize(
    "cookie", ["sid=1", "a=1; sid=2", "a=1;sid=2", "a=1, sid=2", "a=1;\tsid=2", "sidebar=1; sid="]
)
def test_a_page_for_a_request_with_our_cookie_is_private(cookie: str) -> None:
    assert answer(cookie=cookie) == ["private"]
    assert answer("max-age=60", cookie=cookie) == ["max-age=60"]


@pytest.mark.parametrize(
    "said", ["no-store", "No-Store, max-age=0", "private, no-store", "no-cache, no-store"]
)
def test_a_page_that_says_no_store_already_is_not_rewritten(said: str) -> None:
    assert answer(said, put=True) == [said]


# Sub-interpreters

PROGRAM = """
import sys
sys.path[:] = {path!r}
from wsgi_sessions import SessionManager, SQLiteStore
try:
    SessionManager(SQLiteStore({file!r}), secret="s" * 40, encryption_keys=["00" * 32])
    said = "works"
except Exception as error:
    said = f"{{type(error).__name__}}: {{error}}"
open({out!r}, "w").write(said)
"""
OUTER = """
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
import sys
exec(sys.argv[1], {})
try:
    id = interpreters.create(isolated=False)
except TypeError:
    id = interpreters.create("legacy")
interpreters.run_string(id, sys.argv[1])
"""


def test_encryption_in_a_sub_interpreter_works_or_says_how_it_would(tmp_path: Path) -> None:
    """mod_wsgi gives one to each site; the second import in a process is refused."""
    out = tmp_path / "out"
    program = PROGRAM.format(path=sys.path, file=str(tmp_path / "s.db"), out=str(out))
    subprocess.run([sys.executable, "-c", OUTER, program], check=True, timeout=120)
    said = out.read_text()
    assert said == "works" or ("WSGIApplicationGroup" in said and "pip install" not in said)


class Refusing(MetaPathFinder):
    """Makes the import of *package* fail as PyO3's modules do in a sub-interpreter."""

    def __init__(self, package: str, error: ImportError) -> None:
        self._package, self._error = package, error

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self._package:
            raise self._error


LIBRARIES: dict[str, Callable[[], object]] = {
    "cryptography": lambda: RecordCipher([b"k" * 32]),
    "redis": RedisStore,
    "hiredis": RedisStore,
    "pymongo": lambda: MongoDBStore("mongodb://localhost/x"),
    "pymemcache": MemcachedStore,
    "psycopg": lambda: open_store("postgresql+psycopg://localhost/x"),
    "boto3": lambda: open_store("dynamodb://eu-central-1/sessions"),
    "prometheus_client": PrometheusObserver,
}


def refuse(monkeypatch: pytest.MonkeyPatch, package: str, error: ImportError) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(package, error), *sys.meta_path])


@pytest.mark.parametrize("package", LIBRARIES)
def test_a_library_that_refuses_a_sub_interpreter_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    _cryptography.cache_clear()
    refuse(monkeypatch, package, ImportError("PyO3 modules do not support subinterpreters"))
    with pytest.raises(ConfigurationError, match="WSGIApplicationGroup") as caught:
        LIBRARIES[package]()
    assert "pip install" not in str(caught.value)


@pytest.mark.parametrize("package", LIBRARIES)
def test_a_library_that_is_missing_or_broken_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    _cryptography.cache_clear()
    refuse(monkeypatch, package, ImportError("no shared library"))
    with pytest.raises(ConfigurationError, match=r"no shared library.*pip install"):
        LIBRARIES[package]()
    monkeypatch.undo()
    refuse(monkeypatch, package, ModuleNotFoundError(f"No module named {package!r}"))
    with pytest.raises(ConfigurationError, match="pip install") as caught:
        LIBRARIES[package]()
    assert "No module" not in str(caught.value)


# A middleware inside another


def nested(inner: dict[str, Any], outer: dict[str, Any]) -> Client:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.session"].get("x")
        start_response("200 OK", [])
        return [b""]

    app = SessionMiddleware(application, **inner)
    return Client(SessionMiddleware(app, **outer))


def test_options_of_an_inner_middleware_that_are_ignored_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By name: values may be secrets. What was left at its default was not said."""
    inner = {
        "store": MemoryStore(),
        "secret": "another signing secret",
        "cookie_name": "admin",
        "lifetime": 900,
    }
    client = nested(inner, {"store": MemoryStore(), "secret": SECRET, "cookie_path": "/shop"})
    for _ in range(3):
        client.get("/")
    [entry] = [record.getMessage() for record in caplog.records]
    assert "store, secret, cookie_name, lifetime;" in entry
    assert "another" not in entry.replace("inside another", "").replace("give it another", "")
    assert "cookie_path" not in entry


def test_an_inner_middleware_with_the_same_options_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    nested({"store": store, "secret": SECRET}, {"store": store, "secret": SECRET}).get("/")
    nested({"store": store}, {"store": store, "secret": SECRET, "lifetime": 900}).get("/")
    assert not caplog.records


def test_what_a_manager_registers_does_not_keep_it_alive() -> None:
    import gc
    import weakref

    manager = SessionManager(MemoryStore(), secret=SECRET)
    repository = weakref.ref(manager.repository)
    del manager
    gc.collect()
    assert repository() is None
