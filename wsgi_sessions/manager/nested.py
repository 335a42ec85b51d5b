"""A middleware inside another one of the same ``environ_key``: what of it does not count.

How this works. The session is the outer one's, so options of the inner one that say something else
are ignored. Each manager registers under its repository, by which a session finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from wsgi_sessions.manager.options import Settings
from wsgi_sessions.session import Session, SessionRepository, state_of

__all__ = ["adopt_login_keys", "ignored_options", "manager_of", "register"]

_REGISTERED: WeakKeyDictionary[SessionRepository, ReferenceType[Any]] = WeakKeyDictionary()


def register(repository: SessionRepository, manager: Any) -> None:
    """*manager* is that of the sessions of *repository*."""
    _REGISTERED[repository] = ref(manager)


def manager_of(session: Session) -> Any:
    """The manager whose session this is; ``None`` if it is gone."""
    registered = _REGISTERED.get(state_of(session).repository)
    return None if registered is None else registered()


def adopt_login_keys(
    session: Session, login_keys: Sequence[str], fresh_keys: Sequence[str] = ()
) -> None:
    """The framework that uses *session*, which is another middleware's, logs in by these keys: they
    count for that one if its options name none."""
    identity = state_of(session).repository.identity
    if identity is None or not all(map(identity.decides, login_keys)):
        manager = manager_of(session)
        if manager is not None:
            manager.adopt_login_keys(login_keys, fresh_keys)


def ignored_options(session: Session, settings: Settings, store: Any) -> list[str]:
    """The names of what in *settings*, and whether *store*, is not what *session* goes by. What is
    left at its default counts as not said. No I/O."""
    outer = manager_of(session)
    if outer is None:
        return []
    others, outer_store = outer.options, outer.store
    names = ["store"] if store is not outer_store else []
    for field in fields(Settings):
        mine, theirs = getattr(settings, field.name), getattr(others, field.name)
        if field.name in ("login_keys", "fresh_keys") and {*mine} <= {*theirs}:
            continue
        if mine not in (field.default, theirs):
            names.append(field.name)
    return names
