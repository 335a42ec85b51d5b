"""Every mistake in the constructor's arguments is an error there, which names the remedy."""

from __future__ import annotations

import logging
import math
import os
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis
import redis.asyncio
import sqlalchemy
from flask import Flask
from pymongo import AsyncMongoClient, MongoClient
from webob.dec import wsgify
from werkzeug.wrappers import Request, Response

from wsgi_sessions import (
    ConfigurationError,
    CookieStore,
    DynamoDBStore,
    FileStore,
    MemcachedStore,
    MemoryStore,
    MongoDBStore,
    MsgpackCodec,
    RedisStore,
    SessionManager,
    SessionMiddleware,
    SQLAlchemyStore,
    SQLiteStore,
    open_store,
)
from wsgi_sessions.flask import FlaskSessionInterface, FlaskSessions
from wsgi_sessions.flask_session import Session as FlaskSession
from wsgi_sessions.manager import options_from_text, settings_of
from wsgi_sessions.migration import FlaskCookieReader
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"

Mistake = tuple[dict[str, Any], type[Exception], str]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    raise AssertionError("it is never called")


# Options

TYPES: list[Mistake] = [
    *(
        ({name: wrong}, TypeError, rf"^{name} must be True or False.* not ")
        for name in ("cookie_httponly", "cookie_partitioned", "permanent")
        for wrong in ("false", "True", 1, 0, None, [])
    ),
    *(
        ({"cookie_secure": wrong}, TypeError, "^cookie_secure must be True, False or None, not ")
        for wrong in ("false", "", 1, 0)
    ),
    *(
        ({name: wrong}, TypeError, rf"^{name} must be a str")
        for name in ("cookie_name", "cookie_path", "environ_key")
        for wrong in (None, b"sid", 1, Path("/"))
    ),
    *(
        ({name: wrong}, TypeError, rf"^{name} must be a str or None")
        for name in ("cookie_domain", "cookie_samesite")
        for wrong in (False, 1, b"Lax")
    ),
    *(
        ({name: wrong}, TypeError, rf"^{name} must be seconds or a timedelta, not ")
        for name in ("lifetime", "permanent_lifetime", "absolute_lifetime")
        for wrong in ("3600", "30 days", True, [60])
    ),
    *(
        ({name: None}, TypeError, rf"^{name} must be seconds or a timedelta, not None")
        for name in ("lifetime", "permanent_lifetime")
    ),
    *(
        ({name: wrong}, ConfigurationError, rf"^{name} is .*: more than 0 seconds")
        for name in ("lifetime", "permanent_lifetime", "absolute_lifetime")
        for wrong in (0, -1, math.nan, math.inf, timedelta(0), timedelta(days=-1), 1e12)
    ),
    *(
        ({"max_bytes": wrong}, TypeError, "^max_bytes must be a number of bytes, an int")
        for wrong in ("1M", 1.5, True, None)
    ),
    *(
        ({"max_bytes": wrong}, ConfigurationError, "^max_bytes is .*: .* positive")
        for wrong in (0, -1)
    ),
    *(({"secret": wrong}, TypeError, "^secret must be str or bytes") for wrong in (1, ["x"], True)),
    *(
        ({"secret": wrong}, ConfigurationError, "^secret is empty.*token_hex")
        for wrong in ("", b"")
    ),
    *(
        ({"fallback_secrets": wrong}, TypeError, "^fallback_secrets is a sequence .* into a list")
        for wrong in ("older", b"older", "")
    ),
    *(
        ({"fallback_secrets": wrong}, TypeError, "^fallback_secrets is a sequence of keys, not ")
        for wrong in (None, 1, {"old": 1})
    ),
    ({"fallback_secrets": ["older", 1]}, TypeError, "^fallback_secrets must be str or bytes"),
    ({"fallback_secrets": [""]}, ConfigurationError, "^fallback_secrets is empty"),
    ({"encryption_keys": b"k" * 32}, TypeError, "^encryption_keys is a sequence .* into a list"),
    ({"encryption_keys": []}, ConfigurationError, "^encryption_keys is empty"),
    ({"encryption_keys": [1]}, TypeError, "an encryption key is bytes or str"),
    ({"on_store_error": "ignore"}, ConfigurationError, "'raise' or 'anonymous'"),
    ({"on_store_error": None}, ConfigurationError, "'raise' or 'anonymous'"),
    ({"environ_key": ""}, ConfigurationError, "^environ_key is empty"),
    ({"codec": MsgpackCodec}, TypeError, r"^codec is the class MsgpackCodec: write MsgpackCodec\("),
    ({"codec": None}, TypeError, "^codec is a NoneType, which has no dumps, loads"),
    (
        {"migrate_from": FlaskCookieReader},
        TypeError,
        "class FlaskCookieReader: write",
    ),
    ({"migrate_from": [FlaskCookieReader]}, TypeError, "class FlaskCookieReader"),
    ({"migrate_from": object()}, TypeError, "^migrate_from is a object, which has no cookie_name"),
    ({"migrate_from": MemoryStore}, TypeError, "^migrate_from is the class MemoryStore"),
    ({"login_keys": "user_id"}, TypeError, "^login_keys is a sequence of str: put the one into"),
    ({"login_keys": [7]}, TypeError, "^one of login_keys must be a str"),
    ({"merge_keys": 7}, TypeError, "^merge_keys is a sequence of str, not int"),
    ({"former_cookie_names": [""]}, ConfigurationError, "^one of former_cookie_names is empty"),
    ({"owner": "ann"}, TypeError, "^owner must be a function or None"),
    ({"renews": True}, TypeError, "^renews must be a function or None"),
    ({"clock": ManualClock}, TypeError, "^clock is the class ManualClock: write"),
    ({"clock": datetime.now}, TypeError, "^clock gives a datetime: seconds"),
    ({"clock": 1.0}, TypeError, "^clock is a float"),
    ({"clock": None}, TypeError, "^clock is a NoneType"),
    ({"clock": lambda: 1_800_000_000_000}, ConfigurationError, "^clock gives 18.*: seconds"),
    ({"clock": lambda: math.nan}, ConfigurationError, "^clock gives nan"),
    ({"clock": lambda: -1}, ConfigurationError, "^clock gives -1"),
]

COMBINATIONS: list[Mistake] = [
    *(
        ({"cookie_samesite": "None", **secure}, ConfigurationError, "needs cookie_secure=True")
        for secure in ({}, {"cookie_secure": None}, {"cookie_secure": False})
    ),
    (
        {"cookie_samesite": "none"},
        ConfigurationError,
        "^cookie_samesite='None' needs ",
    ),
    ({"cookie_samesite": "lax "}, ConfigurationError, "^cookie_samesite is 'lax '"),
    ({"cookie_partitioned": True}, ConfigurationError, "^cookie_partitioned needs "),
    ({"cookie_name": "__Host-sid"}, ConfigurationError, "^cookie_name .* needs cookie_secure=True"),
    ({"cookie_name": "__Secure-sid"}, ConfigurationError, "needs cookie_secure=True"),
    (
        {"cookie_name": "__Host-sid", "cookie_secure": True, "cookie_domain": "e.org"},
        ConfigurationError,
        "no cookie_domain",
    ),
    ({"cookie_name": ""}, ConfigurationError, "^cookie_name '' is not a token"),
    ({"cookie_path": "shop"}, ConfigurationError, "^cookie_path 'shop' must start with '/'"),
    *(
        ({"cookie_domain": wrong}, ConfigurationError, "^cookie_domain .* is not a domain name")
        for wrong in ("", ".", "https://e.org", "e.org/", "e.org:8000", "e org", "e..org", "é.org")
    ),
]

NAMES: list[Mistake] = [
    ({"cookie_secur": True}, TypeError, "'cookie_secur': did you mean cookie_secure"),
    ({"samesite": "Lax"}, TypeError, "did you mean cookie_samesite"),
    ({"secure": True}, TypeError, "did you mean cookie_secure"),
    ({"secret_key": "x"}, TypeError, "did you mean secret"),
    ({"encryption_key": "x"}, TypeError, "did you mean encryption_keys"),
    ({"SECRET": "x"}, TypeError, "known are secret, "),
    ({"max_age": 1}, TypeError, "no option 'max_age'"),
    ({"xyzzy": 1}, TypeError, "known are secret, fallback_secrets, "),
]


@pytest.mark.parametrize(("options", "error", "message"), [*TYPES, *COMBINATIONS, *NAMES])
def test_a_wrong_option_is_refused_when_the_manager_is_built(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SessionManager(MemoryStore(), **{"secret": SECRET, **options})


@pytest.mark.parametrize(("options", "error", "message"), [*TYPES, *NAMES])
@pytest.mark.parametrize("constructor", [FlaskSessions, FlaskSession])
def test_extensions_refuse_it_before_they_have_an_application(
    constructor: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    if options == {"permanent": None} and constructor is FlaskSession:
        return  # as if it was not given: Flask-Session has it so
    with pytest.raises(error, match=message):
        constructor(**options)


def test_settings_have_one_type_each_and_cannot_change() -> None:
    """Seconds are floats, keys bytes, sequences tuples; doubles are dropped."""
    reader = FlaskCookieReader(SECRET)
    settings = settings_of(
        {
            "lifetime": timedelta(hours=1),
            "permanent_lifetime": 60,
            "absolute_lifetime": None,
            "fallback_secrets": ["a", b"b", "a"],
            "encryption_keys": ["00" * 32, bytes(32), "11" * 32],
            "migrate_from": [reader],
        }
    )
    assert (settings.lifetime, settings.permanent_lifetime) == (3600.0, 60.0)
    assert type(settings.permanent_lifetime) is float
    assert settings.lifetimes == (3600.0, 60.0, None)
    assert settings.fallback_secrets == ("a", b"b")
    assert settings.encryption_keys == (bytes(32), b"\x11" * 32)
    assert settings.migrate_from == (reader,)
    assert settings_of({"migrate_from": reader}).migrate_from == (reader,)
    with pytest.raises(AttributeError):
        settings.lifetime = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("key", [SECRET, SECRET.encode()])
def test_no_message_holds_a_key(key: Any) -> None:
    """Not even where it is given in a wrong way."""
    wrong: list[dict[str, Any]] = [
        {"secret": [key]},
        {"fallback_secrets": key},
        {"fallback_secrets": [[key]]},
        {"encryption_keys": [key]},
    ]
    for options in wrong:
        with pytest.raises((TypeError, ConfigurationError)) as caught:
            SessionManager(MemoryStore(), **options)
        assert SECRET not in str(caught.value)


# Keys


def test_a_short_key_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """For each manager, of whichever key; 16 characters are long enough."""
    for options in ({"secret": "x" * 15}, {"secret": SECRET, "fallback_secrets": ["a", "b"]}):
        SessionManager(MemoryStore(), **options)  # type: ignore[arg-type]
        assert len(caplog.messages) == 1
        assert "shorter than 16 characters" in caplog.text
        caplog.clear()
    SessionManager(MemoryStore(), secret="x" * 16, fallback_secrets=[b"y" * 16])
    SessionManager(MemoryStore())
    assert caplog.messages == []


def test_a_short_key_is_refused_where_it_is_everything() -> None:
    """In the cookie itself."""
    for options in ({"secret": "x" * 15}, {"secret": SECRET, "fallback_secrets": ["short"]}):
        with pytest.raises(ConfigurationError, match=r"16 characters.*token_hex"):
            SessionManager(CookieStore(), **options)  # type: ignore[arg-type]


def test_the_environment_gives_older_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """With blanks between them, where the program gives none."""
    monkeypatch.setenv("WSGI_SESSIONS_FALLBACK_SECRETS", f"  {SECRET.replace(' ', '-')}  other\n")
    assert settings_of({}).fallback_secrets == (SECRET.replace(" ", "-"), "other")
    assert settings_of({"secret": "new"}).fallback_secrets[1] == "other"
    assert settings_of({"fallback_secrets": ()}).fallback_secrets == ()
    monkeypatch.setenv("WSGI_SESSIONS_FALLBACK_SECRETS", " ")
    assert settings_of({}).fallback_secrets == ()


def test_an_older_key_of_the_environment_opens_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rotation by the environment alone."""
    store = MemoryStore()
    monkeypatch.setenv("WSGI_SESSIONS_SECRET", "the-older-signing-key")
    manager = SessionManager(store)
    session = manager.open("")
    session["x"] = 1
    cookie = manager.commit(session)[0][1].partition(";")[0]
    monkeypatch.setenv("WSGI_SESSIONS_SECRET", "the-newer-signing-key")
    assert SessionManager(store).open(cookie).copy() == {}
    monkeypatch.setenv("WSGI_SESSIONS_FALLBACK_SECRETS", "the-older-signing-key")
    assert SessionManager(store).open(cookie).copy() == {"x": 1}


# Text


def test_options_from_text() -> None:
    """From an ini file or the environment, of every kind."""
    texts = {
        "secret": "a b",
        "fallback_secrets": "one two\nthree",
        "cookie_name": "id",
        "cookie_domain": "",
        "cookie_secure": "yes",
        "cookie_samesite": "None",
        "cookie_partitioned": "on",
        "lifetime": "15m",
        "permanent_lifetime": "30 days",
        "absolute_lifetime": "never",
        "max_bytes": "65536",
        "encryption_keys": f"{'00' * 32} {'11' * 32}",
        "on_store_error": "anonymous",
    }
    settings = SessionManager(MemoryStore(), **options_from_text(texts)).options
    assert settings.secret == "a b"
    assert settings.fallback_secrets == ("one", "two", "three")
    assert (settings.cookie_name, settings.cookie_domain) == ("id", None)
    assert (settings.cookie_secure, settings.cookie_partitioned) == (True, True)
    assert settings.lifetimes == (900.0, 30 * 86_400.0, None)
    assert settings.max_bytes == 65_536
    assert settings.encryption_keys == (bytes(32), b"\x11" * 32)
    assert settings.on_store_error == "anonymous"


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ({"lifetime": "1 month"}, ConfigurationError, "^lifetime is '1 month'"),
        ({"lifetime": "none"}, ConfigurationError, "^lifetime is 'none'"),
        (
            {"cookie_secure": "maybe"},
            ConfigurationError,
            "^cookie_secure is 'maybe': true",
        ),
        ({"max_bytes": "1 MB"}, ConfigurationError, "^max_bytes is '1 MB': a whole number"),
        ({"codec": "json"}, ConfigurationError, "^codec cannot be given as text"),
        ({"clock": "now"}, ConfigurationError, "^clock cannot be given as text"),
        ({"cookie_nmae": "sid"}, TypeError, "did you mean cookie_name"),
    ],
)
def test_a_wrong_text_is_refused_by_name_and_value(
    texts: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        options_from_text(texts)


@pytest.mark.parametrize("name", settings_of({}).__dataclass_fields__)
def test_every_option_can_be_read_from_text_or_says_that_it_cannot(name: str) -> None:
    """So does one that is added later."""
    if name in (
        *("codec", "owner", "renews", "describe_device"),
        *("migrate_from", "observer", "clock"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{name} cannot be given as text"):
            options_from_text({name: "1"})
    else:
        assert name in options_from_text({name: "1"})


# The store


class Half:
    def load(self, key: str) -> None:
        """All that it has."""


class Asynchronous(MemoryStore):
    async def load(self, key: str) -> None:  # type: ignore[override]
        """As a store for asyncio has it."""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (MemoryStore, r"^the store is the class MemoryStore: write MemoryStore\("),
        (CookieStore, "class CookieStore"),
        (Half(), "^the store is a Half, which has no save, delete"),
        (object(), "which has no load, save, delete"),
        (1, "^the store is a int"),
        ({}, "^the store is a dict"),
        (b"redis://", "^the store is a bytes"),
        (Asynchronous(), "whose methods are coroutines"),
        (app, "the application, is the first argument"),
        (MemoryStore().load, "has no load"),
        (redis.Redis(), r"write RedisStore\(client\)"),
        (redis.asyncio.Redis(), r"write RedisStore\(client\)"),
        (sqlalchemy.create_engine("sqlite://"), r"write SQLAlchemyStore\(engine\)"),
        (sqlite3.connect(":memory:"), r"write SQLiteStore\(path\)"),
        (Path("sessions"), r"write SQLiteStore\(path\) or FileStore\(directory\)"),
    ],
)
@pytest.mark.parametrize(
    "build",
    [
        SessionManager,
        lambda store: SessionMiddleware(app, store),
        lambda store: FlaskSessions(Flask("application"), store),
        lambda store: FlaskSessions(store=store),
    ],
)
def test_what_is_no_store_is_refused(build: Callable[[Any], Any], wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        build(wrong)


def test_a_url_is_taken_as_a_store(tmp_path: Path) -> None:
    """By every constructor; what is wrong with it is said as by ``open_store``."""
    url = f"sqlite:///{tmp_path}/sessions.db"
    assert isinstance(SessionManager(url).store, SQLiteStore)
    assert isinstance(SessionMiddleware(app, url).manager.store, SQLiteStore)
    flask = Flask("application")
    FlaskSessions(flask, url)
    assert isinstance(flask.extensions["wsgi_sessions"].manager.store, SQLiteStore)
    assert os.listdir(tmp_path) == []
    for wrong in ("oracle://host", "sessions.db", ""):
        with pytest.raises(ConfigurationError, match="a store's URL begins with one of"):
            SessionMiddleware(app, wrong)


def test_without_a_store_the_environment_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An empty variable is none."""
    monkeypatch.setenv("WSGI_SESSIONS_STORE", "memory://")
    assert isinstance(SessionManager().store, MemoryStore)
    assert isinstance(open_store(None), MemoryStore)
    monkeypatch.setenv("WSGI_SESSIONS_STORE", "")
    monkeypatch.chdir(tmp_path)
    assert isinstance(SessionManager().store, SQLiteStore)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: RedisStore(redis.asyncio.Redis()), ConfigurationError, "is for asyncio"),
        (lambda: RedisStore(redis.Redis), ConfigurationError, "Redis is a class"),  # type: ignore[arg-type]
        (lambda: RedisStore(redis), ConfigurationError, "redis is a module"),  # type: ignore[arg-type]
        (lambda: MemcachedStore(redis), ConfigurationError, "redis is a module"),
        (lambda: MemcachedStore(dict), ConfigurationError, "dict is a class"),
        (lambda: MongoDBStore(AsyncMongoClient()), ConfigurationError, "is for asyncio"),  # type: ignore[arg-type]
        (lambda: MongoDBStore(MongoClient), ConfigurationError, "MongoClient is a class"),  # type: ignore[arg-type]
        (lambda: DynamoDBStore(boto3), ConfigurationError, "boto3 is a module"),  # type: ignore[arg-type]
        (lambda: SQLAlchemyStore(sqlalchemy), ConfigurationError, "an Engine or a URL, not module"),  # type: ignore[arg-type]
        (lambda: SQLiteStore(1), TypeError, "SQLiteStore takes a path"),  # type: ignore[arg-type]
        (lambda: SQLiteStore("sqlite:///a.db"), ConfigurationError, "not a URL: .*open_store"),
        (lambda: FileStore(None), TypeError, "FileStore takes a path"),  # type: ignore[arg-type]
        (lambda: FileStore("file:///a"), ConfigurationError, "not a URL: .*open_store"),
        (lambda: FileStore(""), ConfigurationError, "FileStore needs a path"),
    ],
)
def test_a_store_refuses_what_it_cannot_use(
    build: Callable[[], Any], error: type[Exception], message: str
) -> None:
    """A client for asyncio, a class, a module, a URL where it takes a path."""
    with pytest.raises(error, match=message):
        build()


def test_a_store_for_asyncio_over_sqlalchemy_is_refused() -> None:
    """By its class and by its driver."""
    from sqlalchemy.ext.asyncio import AsyncEngine

    sync = sqlalchemy.create_engine("sqlite://")
    with pytest.raises(ConfigurationError, match="not AsyncEngine"):
        SQLAlchemyStore(AsyncEngine.__new__(AsyncEngine))  # type: ignore[arg-type]
    sync.dispose()


# The place


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that cannot be written to, for root neither."""
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not str(path).endswith("sealed")
    )
    directory = tmp_path / "sealed"
    directory.mkdir()
    return directory


@pytest.mark.parametrize(
    "build", [lambda: SessionMiddleware(app), lambda: FlaskSessions(Flask("application"))]
)
def test_a_default_store_that_cannot_be_written_is_refused_at_the_start(
    build: Callable[[], object], sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the place and the variable that names another; nothing is created."""
    monkeypatch.delenv("WSGI_SESSIONS_STORE", raising=False)
    monkeypatch.chdir(sealed)
    with pytest.raises(ConfigurationError, match=rf"{sealed} cannot be .* WSGI_SESSIONS_STORE"):
        build()
    assert os.listdir(sealed) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc on this system")
def test_where_root_could_write_and_nothing_can_be_created(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel permits it, and the file system has no room for a file."""
    monkeypatch.delenv("WSGI_SESSIONS_STORE", raising=False)
    monkeypatch.chdir("/proc")
    with pytest.raises(ConfigurationError, match="WSGI_SESSIONS_STORE"):
        SessionMiddleware(app)


def test_a_place_that_cannot_be_is_refused_at_the_start(sealed: Path, tmp_path: Path) -> None:
    """For a URL and for a store; a manager by itself does not ask."""
    missing = f"sqlite:///{tmp_path}/missing/sessions.db"
    with pytest.raises(ConfigurationError, match=r"missing .* does not exist: create it"):
        SessionMiddleware(app, missing)
    with pytest.raises(ConfigurationError, match="does not exist"):
        SessionMiddleware(app, open_store(missing))
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        SessionMiddleware(app, f"file://{sealed}/below/it")
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        SessionMiddleware(app, FileStore(sealed))
    SessionManager(missing)
    SessionMiddleware(app, f"file://{tmp_path}/made/later")
    assert sorted(os.listdir(tmp_path)) == ["sealed"]


def test_an_existing_file_that_is_read_only_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another user, for example."""
    (tmp_path / "sessions.db").touch()
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not str(path).endswith(".db")
    )
    with pytest.raises(ConfigurationError, match=r"sessions\.db cannot be written to"):
        SessionMiddleware(app, f"sqlite:///{tmp_path}/sessions.db")


# The application


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """As ASGI 3 has it."""


class AsgiFramework:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As Starlette, FastAPI and Quart have it."""


class Framework:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class IsCalledTwice:
    """PEP 3333's own example of an application that is a class."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        """What is called once a request."""

    def __iter__(self) -> Any:
        yield b""


async def coroutine(environ: Any, start_response: Any) -> None:
    """An asynchronous view, perhaps."""


async def stream(environ: Any, start_response: Any) -> Any:
    yield b""


def create_app() -> Framework:
    return Framework()


@Request.application
def of_werkzeug(request: Request) -> Response:
    """Werkzeug's decorator says by ``__wrapped__`` that it takes what this function does."""
    return Response("hello")


@wsgify
def of_webob(request: Any) -> str:
    return "hello"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (MemoryStore(), r"^the first argument is the application, not a MemoryStore: Session"),
        ("redis://localhost", "the first argument is the application, not a str"),
        (None, "^the application is a NoneType, which cannot be called"),
        (object(), "which cannot be called"),
        (os, "a module, which cannot be called"),
        (MemoryStore, "the application, not the class MemoryStore"),
        (Flask, r"^the application is the class Flask: write Flask\("),
        (Framework, r"^the application is the class Framework: write Framework\("),
        (AsgiFramework, "class AsgiFramework"),
        *(
            (one, "is asynchronous, and this is WSGI; for ASGI see")
            for one in (
                *(asgi, AsgiFramework(), coroutine, stream, lambda scope: None),
                *(lambda scope, receive, send: None, AsgiFramework().__call__),
            )
        ),
        (create_app, "a factory has to be called"),
        (lambda environ: [], "does not take"),
    ],
)
def test_what_is_no_wsgi_application_is_refused(wrong: Any, message: str) -> None:
    """Swapped arguments, nothing, a class, a factory, an application for ASGI."""
    with pytest.raises(TypeError, match=message):
        SessionMiddleware(wrong, MemoryStore())


def test_a_missing_application_is_named() -> None:
    """By Python itself."""
    with pytest.raises(TypeError, match="'app'"):
        SessionMiddleware(store=MemoryStore())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "right",
    [
        app,
        Framework(),
        Framework().__call__,
        IsCalledTwice,
        Flask("application"),
        lambda *arguments: [],
        lambda environ, start_response, more=None: [],
        SessionMiddleware(app, MemoryStore()),
        of_werkzeug,
        of_webob,
    ],
)
def test_every_kind_of_wsgi_application_is_taken(right: Any) -> None:
    """Functions, methods, instances, classes, other middleware."""
    assert SessionMiddleware(right, MemoryStore()).app is right


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (MemoryStore(), "^the first argument is the Flask application, not MemoryStore"),
        ("redis://localhost", "not str: .*SessionMiddleware"),
        (app, "not function"),
        (Flask, "not the class Flask"),
        (Flask("application").wsgi_app, "not method"),
    ],
)
def test_what_is_no_flask_application_is_refused(wrong: Any, message: str) -> None:
    """By the constructor and by ``init_app``."""
    with pytest.raises(TypeError, match=message):
        FlaskSessions(wrong, store=MemoryStore())
    with pytest.raises(TypeError, match=message):
        FlaskSessions(store=MemoryStore()).init_app(wrong)


def test_an_interface_takes_no_store() -> None:
    """The argument of it is a key of the environment."""
    with pytest.raises(TypeError, match=r"environ_key is a MemoryStore.*FlaskSessions\(app"):
        FlaskSessionInterface(MemoryStore())  # type: ignore[arg-type]


# The clock


def test_a_clock_that_is_replaced_reaches_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Manager and stores look ``time.time`` up at each call."""
    stores = [MemoryStore(), SQLiteStore(tmp_path / "s.db"), FileStore(tmp_path / "files")]
    start = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    for store in stores:
        manager = SessionManager(store, secret=SECRET, lifetime=60)
        with monkeypatch.context() as patched:
            patched.setattr("time.time", lambda: start)
            session = manager.open("")
            session["x"] = 1
            cookie = manager.commit(session)[0][1].partition(";")[0]
            patched.setattr("time.time", lambda: start + 59)
            assert manager.open(cookie).copy() == {"x": 1}
            assert store.load(session.id) is not None
            patched.setattr("time.time", lambda: start + 61)
            assert manager.open(cookie).copy() == {}
            assert store.load(session.id) is None


def test_no_default_argument_keeps_the_real_clock() -> None:
    """In any module of the package."""
    import wsgi_sessions

    for path in Path(wsgi_sessions.__file__).parent.rglob("*.py"):
        for line in path.read_text().splitlines():
            assert not re.search(r"\] = time\.(time|monotonic)\b", line), path
            assert not re.search(r"^from time import .*\btime\b", line), path


def test_a_manager_works_in_frozen_time(caplog: pytest.LogCaptureFixture) -> None:
    """As an application's tests freeze it."""
    from freezegun import freeze_time

    manager = SessionManager(MemoryStore(), secret=SECRET, lifetime=timedelta(minutes=30))
    with caplog.at_level(logging.ERROR):
        session = manager.open("")
        session["user"] = "ann"
        cookie = manager.commit(session)[0][1].partition(";")[0]
        with freeze_time(datetime.now(UTC) + timedelta(minutes=29)):
            assert manager.open(cookie).get("user") == "ann"
        with freeze_time(datetime.now(UTC) + timedelta(minutes=40)):
            assert manager.open(cookie).get("user") is None
