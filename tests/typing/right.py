"""What an application may write. Read by the type checkers, never run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, assert_type
from wsgiref.types import WSGIApplication

from flask import Flask
from redis import Redis

from wsgi_sessions import (
    CookieStore,
    DynamoDBStore,
    FileStore,
    MemcachedStore,
    MemoryStore,
    MongoDBStore,
    MsgpackCodec,
    Options,
    RedisStore,
    Session,
    SessionManager,
    SessionMiddleware,
    SQLAlchemyStore,
    SQLiteStore,
    Store,
    open_store,
)
from wsgi_sessions.flask import FlaskSessions, session
from wsgi_sessions.flask_session import RedisSessionInterface
from wsgi_sessions.flask_session import Session as FlaskSession
from wsgi_sessions.migration import FlaskCookieReader
from wsgi_sessions.observe import PrometheusObserver
from wsgi_sessions.stores import Stored


def middleware(app: WSGIApplication) -> WSGIApplication:
    return SessionMiddleware(
        app,
        RedisStore(),
        secret=b"key",
        fallback_secrets=["older", b"oldest"],
        cookie_name="id",
        cookie_secure=True,
        lifetime=timedelta(hours=1),
        permanent_lifetime=86_400,
        absolute_lifetime=None,
        codec=MsgpackCodec(),
        migrate_from=FlaskCookieReader("key"),
        on_store_error="anonymous",
        observer=PrometheusObserver(),
        clock=lambda: 1.0,
    )


def stores() -> Sequence[Store]:
    assert_type(MemoryStore().load("key"), Stored | None)
    return [
        MemoryStore(max_sessions=10),
        FileStore("/directory"),
        SQLiteStore("file", table="t", create=False, purge_every=5),
        RedisStore(Redis(), prefix="p:", wait_replicas=1),
        RedisStore("redis://localhost"),
        MemcachedStore(["one:11211", ("two", 11211)], max_bytes=1000),
        SQLAlchemyStore("postgresql://localhost", schema="s"),
        MongoDBStore("mongodb://localhost", database="d", collection="c"),
        DynamoDBStore("table", region="eu-west-1", endpoint_url="http://localhost:8000"),
        open_store("memory://"),
        open_store(None),
    ]


def managers(options: Options) -> None:
    assert_type(SessionManager(CookieStore(), **options).open("header"), Session)
    SessionManager("memory://", **options)
    options["cookie_domain"] = None


def flask(app: Flask) -> None:
    FlaskSessions(app, store="redis://localhost", cookie_secure=True).init_app(app)
    FlaskSession(app, allow_pickle=True, lifetime=60, permanent=True)
    RedisSessionInterface(client=Redis(), use_signer=True, cookie_name="sid")
    session.login("ann")
    session["key"] = 1
    assert_type(session.owner, str | None)
    assert_type(session.permanent, bool)
    assert_type(session, Session)


def values(session: Session) -> None:
    assert_type(session["key"], Any)
    assert_type(session.copy(), dict[str, Any])
    assert_type(session.increment("n"), int)
    assert_type(session.increment("n", 2), int)
    assert_type(session.increment("n", 0.5), float)
    assert_type(session.increment("n", Decimal(1)), Decimal)
    assert_type(session.mutate("n", lambda n: n + 1, 0), int)
    assert_type(session.mutate("text", lambda text: text + "!", default=""), str)
    assert_type(session.mutate("text", str.upper), str)
    assert_type(session.get_or_create("token", bytes), bytes)
    names: list[str] = session.get_or_create("names", list)
    assert_type(names, list[str])
