"""A middleware inside another one of the same ``environ_key``: what of it does not count.

How this works. The session is the outer one's, so options of the inner one that say something else
are ignored. Each manager registers its options under its repository, by which a session finds them.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from weakref import WeakKeyDictionary

from wsgi_sessions.manager.options import Settings
from wsgi_sessions.session import Session, SessionRepository, state_of

__all__ = ["ignored_options", "register"]

_REGISTERED: WeakKeyDictionary[SessionRepository, tuple[Settings, Any]] = WeakKeyDictionary()


def register(repository: SessionRepository, settings: Settings, store: Any) -> None:
    """*settings* and *store* are those of the sessions of *repository*."""
    _REGISTERED[repository] = settings, store


def ignored_options(session: Session, settings: Settings, store: Any) -> list[str]:
    """The names of what in *settings*, and whether *store*, is not what *session* goes by. What is
    left at its default counts as not said. No I/O."""
    outer = _REGISTERED.get(state_of(session).repository)
    if outer is None:
        return []
    others, outer_store = outer
    names = ["store"] if store is not outer_store else []
    for field in fields(Settings):
        mine = getattr(settings, field.name)
        if mine != field.default and mine != getattr(others, field.name):
            names.append(field.name)
    return names
