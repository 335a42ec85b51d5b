"""Readers for ``migrate_from=``: the sessions of other libraries, taken over one by one as their
visitors come back.

>>> SessionMiddleware(app, store, migrate_from=FlaskCookieReader(SECRET_KEY))

:mod:`wsgi_sessions.migration.takeover` says how, and what a reader of your own has to do.
"""

from __future__ import annotations

from wsgi_sessions.migration.django import DjangoCookieReader, DjangoDatabaseReader
from wsgi_sessions.migration.flask_cookie import FlaskCookieReader
from wsgi_sessions.migration.flask_session import (
    FlaskSessionFileReader,
    FlaskSessionMongoDBReader,
    FlaskSessionRedisReader,
    FlaskSessionSQLAlchemyReader,
)
from wsgi_sessions.migration.flask_session_memcached import FlaskSessionMemcachedReader
from wsgi_sessions.migration.takeover import OldSession, Reader

__all__ = [
    "DjangoCookieReader",
    "DjangoDatabaseReader",
    "FlaskCookieReader",
    "FlaskSessionFileReader",
    "FlaskSessionMemcachedReader",
    "FlaskSessionMongoDBReader",
    "FlaskSessionRedisReader",
    "FlaskSessionSQLAlchemyReader",
    "OldSession",
    "Reader",
]
