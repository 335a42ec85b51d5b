"""Readers for ``migrate_from=``: the sessions of other libraries, migrated one by one as their
visitors come back.

>>> SessionMiddleware(app, store, migrate_from=FlaskCookieReader(SECRET_KEY))

:mod:`wsgi_sessions.manager.migrate` says how, and what a reader of your own has to do.
"""

from __future__ import annotations

from wsgi_sessions.manager import OldSession, Reader
from wsgi_sessions.migration.django import DjangoCookieReader, DjangoDatabaseReader
from wsgi_sessions.migration.flask_cookie import FlaskCookieReader
from wsgi_sessions.migration.flask_session import (
    FlaskSessionDynamoDBReader,
    FlaskSessionFileReader,
    FlaskSessionMongoDBReader,
    FlaskSessionRedisReader,
    FlaskSessionSQLAlchemyReader,
)
from wsgi_sessions.migration.flask_session_memcached import FlaskSessionMemcachedReader

__all__ = [
    "DjangoCookieReader",
    "DjangoDatabaseReader",
    "FlaskCookieReader",
    "FlaskSessionDynamoDBReader",
    "FlaskSessionFileReader",
    "FlaskSessionMemcachedReader",
    "FlaskSessionMongoDBReader",
    "FlaskSessionRedisReader",
    "FlaskSessionSQLAlchemyReader",
    "OldSession",
    "Reader",
]
