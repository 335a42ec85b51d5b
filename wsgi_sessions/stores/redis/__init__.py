"""Redis and Valkey."""

from __future__ import annotations

from wsgi_sessions.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
