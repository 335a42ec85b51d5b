"""Mistakes that type checkers report: each on a line that ends in ``# wrong``. Never run."""

from __future__ import annotations

from wsgiref.types import WSGIApplication

from flask import Flask
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from wsgi_sessions import (
    DynamoDBStore,
    MemoryStore,
    MongoDBStore,
    Options,
    RedisStore,
    Session,
    SessionManager,
    SessionMiddleware,
    SQLiteStore,
)
from wsgi_sessions.flask import FlaskSessions, session
from wsgi_sessions.flask_session import Session as FlaskSession


def options(app: WSGIApplication, store: MemoryStore) -> None:
    SessionMiddleware(app, store, cookie_secur=True)  # wrong
    SessionMiddleware(app, store, cookie_secure="true")  # wrong
    SessionMiddleware(app, store, lifetime="1 day")  # wrong
    SessionMiddleware(app, store, max_bytes=None)  # wrong
    SessionMiddleware(app, store, fallback_secrets=[1])  # wrong
    SessionMiddleware(app, store, on_store_error="ignore")  # wrong
    SessionMiddleware(app, store, observer=print)  # wrong
    SessionMiddleware(app, store, clock=1.0)  # wrong
    SessionMiddleware(app, MemoryStore)  # wrong
    SessionMiddleware(store, app)  # wrong
    SessionMiddleware(store=store)  # wrong
    SessionManager(Redis())  # wrong
    wrong: Options = {"cookie_nmae": "sid"}  # wrong
    SessionManager(store, **wrong)


def stores() -> None:
    RedisStore(AsyncRedis())  # wrong
    RedisStore(url="redis://localhost")  # wrong
    RedisStore("redis://localhost", wait_replicas="1")  # wrong
    SQLiteStore("file", tabel="t")  # wrong
    MongoDBStore(1)  # wrong
    DynamoDBStore(1)  # wrong


def flask(app: Flask) -> None:
    FlaskSessions(app, cookie_nmae="sid")  # wrong
    FlaskSessions(MemoryStore())  # wrong
    FlaskSession(app, alow_pickle=True)  # wrong
    session.login(7)  # wrong
    session.log_in("ann")  # wrong


def values(session: Session) -> None:
    session.owner = "ann"  # wrong
    number: str = session.increment("n")  # wrong
    token: str = session.get_or_create("token", bytes)  # wrong
    session.mutate("n", lambda n: n + "!", 0)  # wrong
    print(number, token)
