"""Where Flask-Session keeps sessions, configured as tutorials show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pymemcache
import pytest
import redis
from cachelib.file import FileSystemCache
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient

from tests.support.patience import PATIENT
from wsgi_sessions.flask.configuration import EXTENSION
from wsgi_sessions.migration.flask_session_memcached import FlaskSessionMemcachedReader

RawAccess = Callable[[pytest.FixtureRequest, Flask, ExitStack], None]


def in_redis(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    client = redis.from_url(request.getfixturevalue("redis_server").url)
    app.config["SESSION_TYPE"] = "redis"
    app.config["SESSION_PERMANENT"] = True
    app.config["SESSION_USE_SIGNER"] = True
    app.config["SESSION_KEY_PREFIX"] = f"{app.name}:"
    app.config["SESSION_REDIS"] = opened.enter_context(client)
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=20)


def in_memcached(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    address = request.getfixturevalue("memcached").address
    client = pymemcache.Client(address, timeout=30, default_noreply=False)  # other connections read
    opened.callback(client.close)
    app.config["SESSION_TYPE"] = "memcached"
    app.config["SESSION_MEMCACHED"] = client
    app.config["SESSION_KEY_PREFIX"] = f"{app.name}:"


def in_files(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    app.config["SESSION_TYPE"] = "filesystem"
    app.config["SESSION_FILE_DIR"] = str(request.getfixturevalue("tmp_path") / "files")
    app.config["SESSION_FILE_THRESHOLD"] = 100


def in_cachelib(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    directory = request.getfixturevalue("tmp_path") / "cache"
    app.config.from_mapping(
        SESSION_TYPE="cachelib",
        SESSION_SERIALIZATION_FORMAT="msgpack",
        SESSION_CACHELIB=FileSystemCache(threshold=500, cache_dir=str(directory)),
    )


def in_mongodb(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    app.config["SESSION_TYPE"] = "mongodb"
    app.config["SESSION_MONGODB"] = opened.enter_context(
        MongoClient(request.getfixturevalue("mongodb_url"))
    )
    app.config["SESSION_MONGODB_DB"] = "flask_sessions"
    app.config["SESSION_MONGODB_COLLECT"] = app.name


def in_dynamodb(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    app.config["SESSION_TYPE"] = "dynamodb"
    app.config["SESSION_DYNAMODB"] = request.getfixturevalue("dynamodb_server").resource()
    app.config["SESSION_DYNAMODB_TABLE"] = app.name


def in_mysql(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    url = request.getfixturevalue("mariadb_server").url()
    app.config["SQLALCHEMY_DATABASE_URI"] = url.replace("mysql://", "mysql+pymysql://")
    db = SQLAlchemy(app)
    opened.callback(_dispose, app, db)
    app.config["SESSION_TYPE"] = "sqlalchemy"
    app.config["SESSION_SQLALCHEMY"] = db
    app.config["SESSION_SQLALCHEMY_TABLE"] = app.name


def in_sqlite(request: pytest.FixtureRequest, app: Flask, opened: ExitStack) -> None:
    path = request.getfixturevalue("tmp_path") / "app.db"
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    db = SQLAlchemy(app)
    opened.callback(_dispose, app, db)
    app.config["SESSION_TYPE"] = "sqlalchemy"
    app.config["SESSION_SQLALCHEMY"] = db


def _dispose(app: Flask, db: SQLAlchemy) -> None:
    with app.app_context():
        db.engine.dispose()


PLACES: dict[str, RawAccess] = {
    "redis": in_redis,
    "memcached": in_memcached,
    "filesystem": in_files,
    "cachelib": in_cachelib,
    "mongodb": in_mongodb,
    "dynamodb": in_dynamodb,
    "mysql": in_mysql,
    "sqlite": in_sqlite,
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For modules that import it: no reader gives up on a busy machine. The drop-in builds it, of
    a configuration that knows no timeouts."""
    defaults = FlaskSessionMemcachedReader.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "timeouts", PATIENT)


@contextmanager
def configured(request: pytest.FixtureRequest, place: str) -> Iterator[Flask]:
    """An application that is configured to keep its sessions in *place*, where nothing is yet."""
    app = Flask(f"app_{uuid4().hex[:12]}")
    app.secret_key = "BAD_SECRET_KEY"
    with ExitStack() as opened:
        PLACES[place](request, app, opened)
        yield app
        if EXTENSION in app.extensions:
            for reader in app.extensions[EXTENSION].manager.options.migrate_from:
                getattr(reader, "close", bool)()


def add_pages(app: Flask) -> None:
    """What the tutorials do with a session, and a little more."""
    from flask import session

    @app.get("/set_email/<email>")
    def set_email(email: str) -> str:
        session["email"] = email
        return "set"

    @app.get("/get_email")
    def get_email() -> dict[str, Any]:
        return {"email": session.get("email"), "permanent": session.permanent}

    @app.get("/delete_email")
    def delete_email() -> str:
        session.pop("email", default=None)
        return "deleted"

    @app.get("/login/<user>")
    def login(user: str) -> str:
        session.clear()
        session["user"] = user
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return user

    @app.get("/all")
    def everything() -> dict[str, Any]:
        return {key: session[key] for key in session}
