"""What one request changes of a record besides its values: secret, owner, flags, lifetimes.

How this works. Most requests change nothing of it, and all of these share :data:`UNCHANGED`. A
:class:`~wsgi_sessions.session.draft.Draft` gets a header of its own with the first change, which
sets the attribute of that name; what is not set stays as the record has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wsgi_sessions.cookie import hash_secret
from wsgi_sessions.record import KEPT, OWN_LIFETIME, PERMANENT, Record
from wsgi_sessions.session.changes import MISSING, Values

__all__ = ["UNCHANGED", "Header", "has_replaced"]

_SUPERSEDED_SECONDS: Final = 30.0
"""Seconds for which a replaced secret is remembered. No request is in flight longer than a
server's worker timeout, 30 s by gunicorn's default."""


class Header:
    """The changes to a record's header."""

    forced: bool = False
    """Whether the session is to be saved although nothing was changed."""
    kept: bool = False
    """Whether the session is to be stored although it is empty."""
    renews: bool = False
    """Whether the session is to be renewed however recently it was."""
    restarted: bool = False
    """Whether the absolute lifetime starts again."""
    secret: str = ""
    """The new secret, if the session is regenerated."""
    owner: Any = MISSING
    device: Any = MISSING
    """Noted at a login."""
    permanent: Any = MISSING
    lifetime: Any = MISSING
    """Seconds of its own; ``None`` for the ordinary idle lifetime."""
    ends_at: Any = MISSING
    """The absolute end, where the application has set one."""

    @property
    def has_changes(self) -> bool:
        """Whether anything of it is to be stored."""
        named = self.owner, self.permanent, self.lifetime, self.ends_at
        flags = self.forced or self.kept or bool(self.secret)
        return flags or any(one is not MISSING for one in named)

    def edit(self, record: Record, values: Values, now: float, *, cleared: bool) -> Record:
        """*record* with these changes made and with *values*, saved *now*; *record* itself if that
        changes nothing. *cleared*: whether all that it held went before."""
        secret_hash, flags, superseded = record.secret_hash, record.flags, record.superseded
        if self.permanent is not MISSING:
            flags = flags | PERMANENT if self.permanent else flags & ~PERMANENT
        if self.lifetime is not MISSING:
            flags = flags & ~OWN_LIFETIME if self.lifetime is None else flags | OWN_LIFETIME
        if self.kept or cleared:
            flags = flags | KEPT if self.kept else flags & ~KEPT
        # A save that is repeated because its answer was lost may find its own secret.
        if self.secret and (new_hash := hash_secret(self.secret)) != secret_hash:
            recent = [old for old in superseded if 0 <= now - old[1] < _SUPERSEDED_SECONDS]
            superseded = [*recent, (secret_hash, now)]
            secret_hash = new_hash
        edited = Record(
            secret_hash,
            now if self.restarted else record.created_at,
            record.saved_at,
            record.ends_at if self.ends_at is MISSING else self.ends_at,
            flags,
            record.idle if self.lifetime is MISSING or self.lifetime is None else self.lifetime,
            record.owner if self.owner is MISSING else self.owner,
            record.device if self.device is MISSING else self.device,
            superseded,
            values,
        )
        if values is record.values and edited == record:
            return record
        edited.saved_at = now
        return edited


UNCHANGED: Final = Header()
"""That of all requests which change nothing of it. Not to be written to."""


def has_replaced(record: Record, proves: Callable[[bytes], bool], now: float) -> bool:
    """Whether *proves* accepts the hash of a secret that was replaced in *record* a moment ago."""
    return any(
        now - replaced_at < _SUPERSEDED_SECONDS and proves(secret_hash)
        for secret_hash, replaced_at in record.superseded
    )
