"""This library, over each of its stores, around a plain WSGI application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contenders import Pair, Places
from tests.support.patience import patient_url
from tests.support.plain import bare, with_session
from wsgi_sessions import SessionMiddleware, open_store

SECRET = "the signing secret of the benchmarks"


def _pair(store: Any) -> Pair:
    application = with_session("wsgi.session")
    return Pair(bare, SessionMiddleware(application, store, secret=SECRET))


def memory(_places: Places) -> Pair:
    return _pair(open_store("memory://"))


def file(places: Places) -> Pair:
    return _pair(open_store(patient_url(f"file://{places['directory']}/files")))


def sqlite(places: Places) -> Pair:
    return _pair(open_store(patient_url(f"sqlite:///{places['directory']}/ours.db")))


def redis(places: Places) -> Pair:
    return _pair(open_store(patient_url(f"{places['redis']}?prefix=ours:")))


def redis_client(places: Places) -> Pair:
    """Over redis-py's client, the way of Sentinel and Cluster."""
    from redis import Redis

    from wsgi_sessions import RedisStore

    return _pair(RedisStore(Redis.from_url(places["redis"]), prefix="client:"))


def memcached(places: Places) -> Pair:
    return _pair(open_store(patient_url(f"memcached://{places['memcached']}")))


def postgresql(places: Places) -> Pair:
    return _pair(open_store(patient_url(places["postgresql"])))


def sqlalchemy_sqlite(places: Places) -> Pair:
    path = Path(places["directory"], "sqlalchemy.db")
    return _pair(open_store(patient_url(f"sqlite+pysqlite:///{path}")))


def cookie(_places: Places) -> Pair:
    from wsgi_sessions import CookieStore

    return _pair(CookieStore())
