"""Drop-in for Flask-Session 0.8: its configuration keys and its interfaces, with our sessions."""

from __future__ import annotations

from wsgi_sessions.flask_session.base import ServerSideSessionInterface
from wsgi_sessions.flask_session.extension import Session
from wsgi_sessions.flask_session.interfaces import (
    CacheLibSessionInterface,
    DynamoDBSessionInterface,
    FileSystemSessionInterface,
    MemcachedSessionInterface,
    MongoDBSessionInterface,
    RedisSessionInterface,
    SqlAlchemySessionInterface,
)

__all__ = [
    "CacheLibSessionInterface",
    "DynamoDBSessionInterface",
    "FileSystemSessionInterface",
    "MemcachedSessionInterface",
    "MongoDBSessionInterface",
    "RedisSessionInterface",
    "ServerSideSessionInterface",
    "Session",
    "SqlAlchemySessionInterface",
]
