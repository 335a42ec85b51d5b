"""Readers for ``migrate_from=``: the sessions of other libraries, migrated one by one as their
visitors come back.

>>> from wsgi_sessions import SessionManager
>>> from wsgi_sessions.migration import FlaskCookieReader
>>> reader = FlaskCookieReader("the SECRET_KEY of the application")
>>> manager = SessionManager("sqlite:///sessions.db", migrate_from=reader)

:mod:`wsgi_sessions.manager.migrate` says how, and what a reader of your own has to do.
"""

from __future__ import annotations

from wsgi_sessions.manager import OldSession, Reader
from wsgi_sessions.migration.beaker import BeakerReader
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
from wsgi_sessions.migration.jwt import JWTReader
from wsgi_sessions.migration.pyramid_cookie import PyramidCookieReader
from wsgi_sessions.migration.values import django_session

__all__ = [
    "BeakerReader",
    "DjangoCookieReader",
    "DjangoDatabaseReader",
    "FlaskCookieReader",
    "FlaskSessionDynamoDBReader",
    "FlaskSessionFileReader",
    "FlaskSessionMemcachedReader",
    "FlaskSessionMongoDBReader",
    "FlaskSessionRedisReader",
    "FlaskSessionSQLAlchemyReader",
    "JWTReader",
    "OldSession",
    "PyramidCookieReader",
    "Reader",
    "django_session",
]
