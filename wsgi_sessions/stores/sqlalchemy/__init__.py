"""SQL databases by SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgi_sessions.stores.sqlalchemy.store import SQLAlchemyStore
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

__all__ = ["SQLAlchemyStore", "engine_of"]


def engine_of(engine_or_url: Engine | URL | str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Engine:
    """The engine handed in, or one that is built like the store's own, with *timeouts*.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for one that cannot work, and
    ``ModuleNotFoundError`` where SQLAlchemy is not installed."""
    from wsgi_sessions.stores.sqlalchemy.engine import engine_of as engine_within
    from wsgi_sessions.stores.sqlalchemy.limits import limits_of

    engine, _ = engine_within(engine_or_url, limits_of(timeouts))
    return engine
