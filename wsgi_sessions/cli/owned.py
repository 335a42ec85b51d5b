"""The sessions of one owner, and the end of a session, by what every store with an index has."""

from __future__ import annotations

from operator import attrgetter

from wsgi_sessions.cli.found import Found, find
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.stores import OwnerIndex

__all__ = ["end", "sessions_of"]


def sessions_of(manager: SessionManager, owner: str) -> list[Found]:
    """The live sessions of *owner*, the oldest first; those that cannot be read here come last,
    since the list of the store names them. One round trip, and one for each. Raises
    :exc:`~wsgi_sessions.ConfigurationError` where the store has no index of owners."""
    store = manager.store
    if not isinstance(store, OwnerIndex):
        raise ConfigurationError(
            f"{type(store).__name__} has no index of owners: every other store of this library "
            f"has one, Redis or SQLite for example"
        )
    listed = [find(manager, key) for key in store.keys_of(owner)]
    live = [found for found in listed if found is not None]
    readable = [found for found in live if found.record is not None and found.owner == owner]
    return sorted(readable, key=attrgetter("created_at")) + [
        found for found in live if found.record is None
    ]


def end(manager: SessionManager, id: str) -> None:
    """End the session *id*, readable or not. The list of its owner forgets it when it is read. One
    round trip."""
    manager.store.delete(id)
