"""SQL databases by SQLAlchemy."""

from __future__ import annotations

from wsgi_sessions.stores.sqlalchemy.store import SQLAlchemyStore

__all__ = ["SQLAlchemyStore"]
