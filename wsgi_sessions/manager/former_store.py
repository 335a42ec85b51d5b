"""A store that this site used before: what is still in it moves over, one session at a time."""

from __future__ import annotations

from hmac import compare_digest

from wsgi_sessions.cookie import Token, hash_secret
from wsgi_sessions.record import Record
from wsgi_sessions.session import SessionRepository, is_over
from wsgi_sessions.stores import GuardedStore

__all__ = ["FormerStore"]

_LIFETIME = 400 * 86_400.0
"""Seconds for which a cookie that was signed can come again: no browser keeps one longer."""


class FormerStore:
    """Reads and deletes sessions in *store*, of the class *name*, whose records *repository* can
    read."""

    lifetime = _LIFETIME

    def __init__(self, repository: SessionRepository, store: GuardedStore, name: str) -> None:
        self._repository = repository
        self._store = store
        self.name = name
        self.cookie_name = "a former store"

    def read(self, token: Token) -> Record | None:
        """The session that *token* opens there. One round trip."""
        repository = self._repository
        stored = self._store.load(token.id)
        record = None if stored is None else repository.unpack(token.id, stored)
        if record is None or not compare_digest(hash_secret(token.secret), record.secret_hash):
            return None
        if is_over(record, repository.now()):
            return None
        return record

    def delete(self, token: Token) -> None:
        """Afterwards it is gone there, and not listed under its owner. One round trip."""
        self._store.delete(token.id)
