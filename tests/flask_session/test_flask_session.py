"""``wsgi_sessions.flask_session``: what Flask-Session's users have written runs as it is."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import memcache
import pymongo
import pytest
import redis
import sqlalchemy
from cachelib import RedisCache, SimpleCache
from cachelib.base import BaseCache
from cachelib.file import FileSystemCache
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie

from tests.servers.memcached import MemcachedServer
from tests.servers.redis import RedisServer
from tests.support.flask_session_places import PLACES, add_pages, configured, patient  # noqa: F401
from wsgi_sessions import ConfigurationError, FileStore, MemoryStore
from wsgi_sessions.cookie import SHARED_KEY_NAME
from wsgi_sessions.flask_session import (
    CacheLibSessionInterface,
    FileSystemSessionInterface,
    MemcachedSessionInterface,
    MongoDBSessionInterface,
    RedisSessionInterface,
    Session,
    SqlAlchemySessionInterface,
)
from wsgi_sessions.testing import ManualClock

DAY = 86_400


def make_app(**config: Any) -> Flask:
    app = Flask("app")
    app.config.update(SECRET_KEY="BAD_SECRET_KEY", **config)
    add_pages(app)
    return app


def attributes(client: FlaskClient, path: str) -> dict[str, str]:
    """Those of the cookie that the response sets; none if it sets none."""
    return dict(parse_cookie(client.get(path).headers.get("Set-Cookie", "")))


@pytest.fixture(params=PLACES)
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """An application for each kind of place that Flask-Session knows."""
    with configured(request, request.param) as app:
        add_pages(app)
        Session(app)
        yield app


# The examples of the web


def test_an_example_runs(app: Flask) -> None:
    """What it sets it gets, until it deletes it; other visitors have sessions of their own."""
    client = app.test_client()
    client.get("/set_email/ada@example.org")
    assert client.get("/get_email").json == {"email": "ada@example.org", "permanent": True}
    assert app.test_client().get("/all").json == {}
    client.get("/delete_email")
    assert client.get("/all").json == {}


def test_regenerate_replaces_the_cookie_and_keeps_the_data(app: Flask) -> None:
    """As ``app.session_interface.regenerate(session)`` of Flask-Session."""
    client, thief = app.test_client(), app.test_client()
    old = attributes(client, "/set_email/x")["session"]
    new = attributes(client, "/login/ada")["session"]
    thief.set_cookie("session", old)
    assert old != new
    assert client.get("/all").json == {"user": "ada"}
    assert thief.get("/all").json == {}


def sessions_in(client: redis.Redis, prefix: str) -> list[bytes]:
    """The keys of sessions; beside them the store holds what is about the signing key."""
    return [key for key in client.keys(f"{prefix}*") if b":signing-" not in key]


def test_an_application_factory(redis_server: RedisServer) -> None:
    """One ``Session()`` for several applications, each with its own configuration."""
    sessions = Session()
    with redis.from_url(redis_server.url) as client:
        apps = [
            make_app(SESSION_TYPE="redis", SESSION_REDIS=client, SESSION_KEY_PREFIX=f"{n}:")
            for n in "ab"
        ]
        for app in apps:
            sessions.init_app(app)
            app.test_client().get("/set_email/x")
        assert len(sessions_in(client, "a:")) == len(sessions_in(client, "b:")) == 1


def test_the_redis_example_keeps_its_prefix_and_time(redis_server: RedisServer) -> None:
    """``SESSION_KEY_PREFIX``, and ``PERMANENT_SESSION_LIFETIME`` in Redis and in the cookie."""
    with redis.from_url(redis_server.url) as client:
        app = make_app(
            SESSION_TYPE="redis",
            SESSION_REDIS=client,
            SESSION_PERMANENT=True,
            SESSION_USE_SIGNER=True,
            SESSION_KEY_PREFIX="twenty:",
            PERMANENT_SESSION_LIFETIME=timedelta(seconds=20),
        )
        Session(app)
        cookie = attributes(app.test_client(), "/set_email/x")
        (key,) = sessions_in(client, "twenty:")
        assert cookie["Max-Age"] == "20"
        assert 2_000 < client.pttl(key) <= 20_000


def test_the_classic_snippet(redis_server: RedisServer) -> None:
    """``RedisSessionInterface(redis, prefix)``: a day for ordinary sessions, the lifetime of
    permanent ones for those that ask for it."""
    with redis.from_url(redis_server.url) as client:
        app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(days=31))
        app.session_interface = RedisSessionInterface(redis=client, prefix="classic:")

        @app.get("/permanent")
        def permanent() -> str:
            from flask import session

            session.permanent = True
            return "permanent"

        visitor = app.test_client()
        assert "Max-Age" not in attributes(visitor, "/set_email/x")
        (key,) = sessions_in(client, "classic:")
        assert (DAY - 60) * 1000 < client.pttl(key) <= DAY * 1000
        assert attributes(visitor, "/permanent")["Max-Age"] == str(31 * DAY)
        assert (31 * DAY - 60) * 1000 < client.pttl(key) <= 31 * DAY * 1000
        assert visitor.get("/get_email").json == {"email": "x", "permanent": True}


def test_the_last_interface_that_was_set_counts(redis_server: RedisServer) -> None:
    """Also where there was another one before, and with several applications."""
    with redis.from_url(redis_server.url) as client:
        interface = RedisSessionInterface(redis=client, prefix="last:")
        for _ in range(2):
            app = make_app(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())
            Session(app)
            app.session_interface = interface
            app.test_client().get("/")
            app.test_client().get("/set_email/x")
        assert len(sessions_in(client, "last:")) == 2


def test_the_snippet_takes_its_arguments_by_place(redis_server: RedisServer) -> None:
    """``RedisSessionInterface(Redis(), 'session:')``."""
    with redis.from_url(redis_server.url) as client:
        app = make_app()
        app.session_interface = RedisSessionInterface(client, "placed:")
        app.test_client().get("/set_email/x")
        assert len(sessions_in(client, "placed:")) == 1


@pytest.mark.parametrize("place", ["sqlite"])
def test_expired_rows_are_really_removed(request: pytest.FixtureRequest, place: str) -> None:
    """By ``flask session_cleanup``, and only they."""
    with configured(request, place) as app:
        add_pages(app)
        Session(app)
        app.test_client().get("/set_email/expired")
        engine = sqlalchemy.create_engine(app.config["SQLALCHEMY_DATABASE_URI"])
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("UPDATE wsgi_sessions SET expires_at = 1 WHERE length(key) = 22")
            )
        app.test_client().get("/set_email/lives")
        result = app.test_cli_runner().invoke(args=["session_cleanup"])
        assert (result.output, result.exit_code) == ("1 expired sessions were removed\n", 0)
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text("SELECT key FROM wsgi_sessions"))
            lengths = sorted(len(key) for (key,) in rows)
            assert lengths == [len(SHARED_KEY_NAME), 22]
        engine.dispose()


def test_expired_files_are_removed_every_n_requests(tmp_path: Path) -> None:
    """``SESSION_CLEANUP_N_REQUESTS``, and for files ``SESSION_FILE_THRESHOLD`` as well."""
    app = make_app(
        SESSION_TYPE="filesystem",
        SESSION_FILE_DIR=tmp_path,
        SESSION_FILE_THRESHOLD=1,
    )
    Session(app)
    for _ in range(3):
        app.test_client().get("/set_email/x")
        (record,) = [path for path in tmp_path.rglob("*") if len(path.name) == 44]
        os.utime(record, (1, 1))  # its end


def test_a_failing_clean_up_does_not_fail_the_request(tmp_path: Path) -> None:
    """It is logged, and the visitor gets the page."""
    app = make_app(SESSION_TYPE="filesystem", SESSION_FILE_DIR=tmp_path, SESSION_FILE_THRESHOLD=1)
    Session(app)
    (tmp_path / "wsgi_sessions").write_text("no directory")

    @app.get("/untouched")
    def untouched() -> str:
        return "fine"

    assert app.test_client().get("/untouched").text == "fine"


def test_cleaning_up_what_expires_by_itself(redis_server: RedisServer) -> None:
    """The command is there for all, so that nobody's cron job breaks."""
    app = make_app(SESSION_TYPE="redis", SESSION_REDIS=redis_server.url)
    Session(app)
    result = app.test_cli_runner().invoke(args=["session_cleanup"])
    assert (result.output, result.exit_code) == ("0 expired sessions were removed\n", 0)


# Permanence


@pytest.mark.parametrize(
    ("config", "permanent"), [({}, True), ({"SESSION_PERMANENT": False}, False)]
)
def test_sessions_are_permanent_unless_configured_otherwise(
    config: dict[str, bool], permanent: bool, tmp_path: Path
) -> None:
    """Flask-Session's default, which is not Flask's."""
    app = make_app(SESSION_TYPE="filesystem", SESSION_FILE_DIR=tmp_path, **config)
    Session(app)
    client = app.test_client()
    for path in ("/set_email/x", "/login/ada"):
        assert ("Max-Age" in attributes(client, path)) is permanent
        assert client.get("/get_email").json["permanent"] is permanent


def test_ordinary_sessions_live_as_long_as_permanent_ones(
    tmp_path: Path, clock: ManualClock
) -> None:
    """``PERMANENT_SESSION_LIFETIME`` after the last use, in a browser that is not closed."""
    app = make_app(
        SESSION_TYPE="cachelib",
        SESSION_CACHELIB=SimpleCache(),
        SESSION_PERMANENT=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
    )
    clock.now = time.time()  # as SimpleCache has it
    Session(app, clock=clock)
    client = app.test_client()
    client.get("/set_email/x")
    clock.advance(timedelta(days=6))
    assert client.get("/get_email").json["email"] == "x"
    clock.advance(timedelta(days=8))
    assert client.get("/get_email").json["email"] is None


def test_the_cookie_is_what_flask_session_sets(tmp_path: Path) -> None:
    """Name, path, domain, flags and expiry as they are configured."""
    app = make_app(
        SESSION_TYPE="filesystem",
        SESSION_FILE_DIR=tmp_path,
        SESSION_COOKIE_NAME="kept",
        SESSION_COOKIE_PATH="/app",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=True,
        PERMANENT_SESSION_LIFETIME=3600,
    )
    Session(app)
    line = app.test_client().get("/set_email/x").headers["Set-Cookie"]
    assert line.startswith("kept=")
    assert line.endswith("; Max-Age=3600; Path=/app; Secure; HttpOnly; SameSite=Strict")


# What is refused, and what has no effect


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "SESSION_TYPE is None, for which there is no store: one of redis, memcached"),
        ({"SESSION_TYPE": "null"}, "SESSION_TYPE is 'null'"),
        ({"SESSION_TYPE": "simple"}, "SESSION_TYPE is 'simple'.*FlaskSessions"),
        ({"SESSION_TYPE": "redis"}, "SESSION_REDIS is missing.*SESSION_REDIS = redis.Redis"),
        ({"SESSION_TYPE": "memcached"}, "SESSION_MEMCACHED is missing.*127.0.0.1:11211"),
        ({"SESSION_TYPE": "mongodb"}, "SESSION_MONGODB is missing.*pymongo.MongoClient"),
        ({"SESSION_TYPE": "dynamodb"}, "SESSION_DYNAMODB is missing.*boto3.resource"),
        (
            {"SESSION_TYPE": "dynamodb", "SESSION_DYNAMODB": 1},
            "SESSION_DYNAMODB: .* int, which",
        ),
        ({"SESSION_TYPE": "sqlalchemy"}, "^SESSION_SQLALCHEMY is missing.*SQLAlchemy"),
        ({"SESSION_TYPE": "redis", "SESSION_REDIS": object()}, "SESSION_REDIS: .*not object"),
        ({"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": BaseCache()}, "where a BaseCache does"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_nothing_is_guessed(config: dict[str, Any], message: str) -> None:
    """No server is tried that nobody named: the error says what to write."""
    with pytest.raises(ConfigurationError, match=message):
        Session(make_app(**config))


def test_other_clients_of_memcached_are_refused(memcached: MemcachedServer) -> None:
    """They have no way to say that a fault is no answer; the address will do."""
    client = memcache.Client([memcached.address])
    with pytest.raises(ConfigurationError, match=r"SESSION_MEMCACHED: .* or addresses"):
        Session(make_app(SESSION_TYPE="memcached", SESSION_MEMCACHED=client))
    client.disconnect_all()
    app = make_app(SESSION_TYPE="memcached", SESSION_MEMCACHED=memcached.address)
    Session(app)
    visitor = app.test_client()
    visitor.get("/set_email/x")
    assert visitor.get("/get_email").json["email"] == "x"
    app.session_interface._store.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"SESSION_ID_LENGTH": 64}, ("SESSION_ID_LENGTH=64", "bytes")),
        (
            {"SESSION_SERIALIZATION_FORMAT": "json"},
            ("SESSION_SERIALIZATION_FORMAT='json'", "codec="),
        ),
        ({"SESSION_FILE_MODE": 0o644}, ("SESSION_FILE_MODE=0o644", "owner")),
        ({"SESSION_KEY_PREFIX": "a:"}, ("SESSION_KEY_PREFIX='a:'", "SESSION_FILE_DIR")),
        (
            {
                "SESSION_TYPE": "sqlalchemy",
                "SESSION_SQLALCHEMY": "sqlite:///x.db",
                "SESSION_SQLALCHEMY_SEQUENCE": "seq",
            },
            ("SESSION_SQLALCHEMY_SEQUENCE", "number"),
        ),
    ],
    ids=str,
)
def test_a_key_without_effect_is_named(
    config: dict[str, Any], told: tuple[str, str], tmp_path: Path
) -> None:
    """In a warning, with what to do."""
    config = {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": tmp_path} | config
    with pytest.warns(UserWarning, match=" has no effect: .*".join(told)):
        Session(make_app(**config))


def test_flask_sessions_own_defaults_warn_of_nothing(tmp_path: Path) -> None:
    """Written out, they are what an application without them has."""
    app = make_app(
        SESSION_TYPE="filesystem",
        SESSION_FILE_DIR=tmp_path,
        SESSION_FILE_THRESHOLD=500,
        SESSION_FILE_MODE=384,
        SESSION_PERMANENT=True,
        SESSION_USE_SIGNER=False,
        SESSION_KEY_PREFIX="session:",
        SESSION_ID_LENGTH=32,
        SESSION_SERIALIZATION_FORMAT="msgpack",
        SESSION_CLEANUP_N_REQUESTS=None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Session(app)


def test_options_of_the_manager_win(tmp_path: Path) -> None:
    """Given to ``Session``, they go to the manager."""
    app = make_app(SESSION_TYPE="filesystem", SESSION_FILE_DIR=tmp_path)
    Session(app, cookie_name="other", permanent=False)
    cookie = attributes(app.test_client(), "/set_email/x")
    assert "other" in cookie
    assert "Max-Age" not in cookie


# The interfaces by themselves


def test_interfaces_can_be_set_by_hand(
    redis_server: RedisServer, memcached: MemcachedServer, mongodb_url: str, tmp_path: Path
) -> None:
    """``app.session_interface = …Interface(app, client=…)``, as Flask-Session documents it."""
    path = tmp_path / "sessions.db"
    with redis.from_url(redis_server.url) as in_redis, pymongo.MongoClient(mongodb_url) as mongo:
        makers = [
            lambda app: RedisSessionInterface(app, client=in_redis, key_prefix="by_hand:"),
            lambda app: MemcachedSessionInterface(app, client=memcached.address),
            lambda app: FileSystemSessionInterface(app, cache_dir=tmp_path / "files"),
            lambda app: CacheLibSessionInterface(app, client=SimpleCache()),
            lambda app: MongoDBSessionInterface(app, client=mongo, collection="by_hand"),
            lambda app: SqlAlchemySessionInterface(app, client=f"sqlite+pysqlite:///{path}"),
        ]
        for make in makers:
            app = make_app()
            app.session_interface = make(app)
            client = app.test_client()
            client.get("/set_email/x")
            assert client.get("/get_email").json == {"email": "x", "permanent": True}
            if hasattr(app.session_interface._store, "close"):
                app.session_interface._store.close()


def test_a_cache_stands_for_the_place_where_it_keeps_things(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory, a server, or this process; without one, Flask-Session's directory."""
    monkeypatch.chdir(tmp_path)
    with redis.from_url(redis_server.url) as client:
        cache = RedisCache(client, key_prefix="cache_")
        app = make_app(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
        Session(app)
        app.test_client().get("/set_email/x")
        assert len(sessions_in(client, "cache_session:")) == 1
    for given, kind in ((None, FileStore), (FileSystemCache("dir"), FileStore)):
        interface = CacheLibSessionInterface(make_app(), client=given)
        assert isinstance(interface._store, kind)
    assert isinstance(CacheLibSessionInterface(make_app(), SimpleCache())._store, MemoryStore)
    assert os.listdir(tmp_path) == ["dir"]


def test_memory_is_bound_to_one_process() -> None:
    """A ``SimpleCache`` is a MemoryStore: good for tests, and as forgetful."""
    app = make_app(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())
    Session(app)
    client = app.test_client()
    client.get("/set_email/x")
    assert client.get("/all").json == {"email": "x"}


def test_a_migration_that_alembic_writes_does_not_drop_our_tables(tmp_path: Path) -> None:
    """They are declared in the application's metadata, and there is nothing to change."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from flask_sqlalchemy import SQLAlchemy

    app = Flask("application")
    app.config.update(
        SECRET_KEY="the secret of the tests",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
        SESSION_TYPE="sqlalchemy",
    )
    db = SQLAlchemy(app)
    app.config["SESSION_SQLALCHEMY"] = db
    Session(app)
    add_pages(app)
    with app.app_context():
        db.create_all()
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, db.metadata) == []
        db.engine.dispose()
