"""What the changes of one request mean for who is logged in.

How this works. :class:`Rights` puts a request's draft beside what the request has loaded, and asks
the :class:`~wsgi_sessions.session.identity.Identity` of the site, if login keys are configured,
what the difference is: a login, a logout, a new proof, or nothing.

Rules for maintainers: nothing here loads or saves. After a ``clear()`` everything counts as new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from wsgi_sessions.cookie import new_secret
from wsgi_sessions.record import Record, StoredValue
from wsgi_sessions.session.changes import MISSING, Found
from wsgi_sessions.session.draft import Draft
from wsgi_sessions.session.identity import Identity
from wsgi_sessions.session.snapshot import Snapshot

__all__ = ["NeedsCookie", "Rights"]


class NeedsCookie(Exception):
    """Who is logged in would change when no cookie can be sent any more."""


class Rights:
    """What *draft*, with the changes of a request that loaded *snapshot*, says by login keys."""

    __slots__ = ("_draft", "_identity", "_snapshot")

    def __init__(self, draft: Draft, snapshot: Snapshot, identity: Identity | None) -> None:
        self._draft = draft
        self._snapshot = snapshot
        self._identity = identity

    def owner(self) -> str | None:
        """Who is logged in, the changes included."""
        draft, record, identity = self._draft, self._snapshot.record, self._identity
        if isinstance(draft.header.owner, str):
            return draft.header.owner
        owner = None if record is None or draft.header.owner is None else record.owner
        if identity is None:
            return owner
        draft.collect()
        return identity.owner_after(owner, self._before(), self._after())

    def log_in(self) -> bool:
        """Whether somebody becomes the owner, however it is written."""
        if isinstance(self._draft.header.owner, str):
            return True
        if self._identity is None:
            return False
        return self._identity.logs_in(self._before(), self._after())

    def log_out(self) -> bool:
        """Whether a login key is removed, or set to ``None``."""
        identity = self._identity
        if identity is None or not self._draft.changes:
            return False
        return identity.logs_out(self._snapshot.values, self._after())

    def change(self) -> bool:
        """Whether the login keys say something else than what was loaded."""
        identity = self._identity
        if identity is None or not self._draft.changes:
            return False
        return identity.changes(self._before(), self._after())

    def would_change(self, key: str, data: Found) -> bool:
        """Whether they would with *data*, or ``MISSING``, under *key*."""
        values = self._after().copy()
        values.pop(key, None)
        if data is not MISSING:
            values[key] = cast(StoredValue, data)
        identity = self._identity
        return identity is not None and identity.changes(self._snapshot.values, values)

    def need_secret(self) -> bool:
        """Whether they cannot be saved without a new secret. A ``clear()`` can."""
        return self.change() and not (self._draft.changes.cleared and not self.log_in())

    def edit(self, record: Record, now: float, *, late: bool) -> Record:
        """*record* with all changes made, belonging to whom its login keys name then. *late*:
        :exc:`NeedsCookie` for what needs a new secret; a ``clear()`` does without."""
        draft, identity = self._draft, self._identity
        edited = draft.edit(record, now)
        if identity is None:
            return edited
        cleared = draft.changes.cleared
        if cleared and late:
            if identity.is_empty(edited.values):
                return edited
            if draft.header.owner is None:
                edited = edited.replace(owner=record.owner)
        before = {} if cleared and not late else record.values
        if not identity.changes(before, edited.values):
            return edited
        if not draft.header.secret:
            if late:
                raise NeedsCookie
            draft.change_header().secret = new_secret()
            edited = draft.edit(record, now)
        return (
            edited if isinstance(draft.header.owner, str) else identity.applied(before, edited, now)
        )

    def _before(self) -> Mapping[str, StoredValue]:
        """The values that the login keys are compared with."""
        return {} if self._draft.changes.cleared else self._snapshot.values

    def _after(self) -> dict[str, StoredValue]:
        return self._draft.view(self._snapshot.values)
