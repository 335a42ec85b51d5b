"""The sessions of one owner, those that cannot be read here included."""

from __future__ import annotations

from wsgi_sessions.cli.found import Found, find
from wsgi_sessions.manager import SessionManager

__all__ = ["sessions_of"]


def sessions_of(manager: SessionManager, owner: str) -> list[Found]:
    """The live sessions of *owner*, the oldest first; at the end those that the store lists under
    *owner* and that cannot be read, which :meth:`SessionManager.sessions_of` leaves out. One round
    trip, and two for each. Raises :exc:`~wsgi_sessions.ConfigurationError` where the store has no
    index of owners."""
    infos = manager.sessions_of(owner)
    known = {info.id for info in infos}
    rest = [id for id in manager.store.keys_of(owner) if id not in known]
    found = [find(manager, id) for id in (*(info.id for info in infos), *rest)]
    return [one for one in found if one is not None and one.owner in (owner, None)]
