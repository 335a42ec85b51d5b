"""Sessions of the library or the store used before: a visitor who still has the cookie keeps the
session.

How this works. A :class:`Reader` knows one kind of old session. Where a request has no valid
cookie of ours but one that a reader recognizes, the old session becomes one of ours, before
the request sees it:

1. Read the old session.
2. Look for the *claim*: a record of ours that says which session the old one has become. Its key
   is a hash of the old session's. If it is there, that is the session: go on with 5.
3. Save what the old session holds as a new session with a random id. Its secret is derived from the
   old cookie, so that all requests that carry that cookie know it, and nobody who reads the store.
4. Save the claim, which names that id, on condition that there is none. This decides. Who is
   refused was slower than another request: it deletes its own session and takes the other's.
5. Delete the old session.

Then the session is loaded like any other, and the cookie goes out when the request is committed, as
in a renewal.

What follows from the order. A process that dies after 3 leaves a session that nobody has the name
of and that expires; the next request starts over. One that dies after 4, or whose response gets
lost, leaves a claim; the next request follows it. Requests that overlap end up in one session,
whoever is first, and what they change is merged: who finds the old session deleted finds the claim,
because 2 comes after 1 and 5 after 4. The claim stays for as long as the old cookie could be good,
although the session may end: a logout is not undone by an old cookie that comes again, not even by
a signed one, which has no record that could be deleted. And once the session is regenerated, the
old cookie's secret is as dead as any other.

A :class:`~wsgi_sessions.manager.former_store.FormerStore` is read in the same way, by a cookie of
ours whose record is missing. The session gets a new id there too, because the claim has to decide
for all requests that carry the old one, a logout included.

A store that evicts (Memcached) can lose the claim. An old session that had a record is not read
twice nevertheless; a signed cookie then is.

Rules for maintainers: the claim is written once and never changed or deleted, and nothing is
deleted in the old place before it is there.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from wsgi_sessions.cookie import ID_LENGTH, Token, cookie_values, hash_secret, new_id
from wsgi_sessions.errors import SessionTooLarge, StoreError, StoreUnavailable, UnsupportedValue
from wsgi_sessions.manager.former_store import FormerStore
from wsgi_sessions.record import OWN_LIFETIME, PERMANENT, Record, StoredValue
from wsgi_sessions.session import (
    SAVED,
    SessionRepository,
    Snapshot,
    check_key,
    is_owner,
    new_session,
)

__all__ = ["Migration", "OldSession", "Reader"]

_CANDIDATES = 4  # cookies of one name; each may cost a look into the old place


class OldSession(NamedTuple):
    """What another library kept."""

    values: Mapping[Any, Any]
    permanent: bool
    """Whether its cookie outlives the browser."""
    owner: str | None = None
    """Who is logged in, if that can be told."""
    expires_at: float | None = None
    """When what is there now has certainly expired, if it says so itself, in seconds since the
    epoch: later than after the reader's ``lifetime``."""
    lifetime: float | None = None
    """Idle seconds that this session had of its own; ``None`` for those of all."""


class Reader(Protocol):
    """Reads and deletes the sessions of another library."""

    @property
    def cookie_name(self) -> str:
        """The cookie that its sessions had."""

    @property
    def lifetime(self) -> float:
        """Seconds after which what is there now has certainly expired."""

    def key(self, cookie_value: str) -> str | None:
        """What names the session: the same for all cookies that open the same one, and as hard to
        guess as they are. ``None`` for what is no cookie of that library. No I/O."""

    def read(self, key: str) -> OldSession | None:
        """The session; ``None`` if it is gone, has expired, or cannot be used."""

    def delete(self, key: str) -> None:
        """Afterwards it is gone. Gone already is fine."""


class Migration:
    """Makes old sessions ours: of other libraries, where a request has no valid cookie of ours, and
    of former stores, where it has one whose record is missing."""

    def __init__(
        self,
        repository: SessionRepository,
        readers: Sequence[Reader],
        former_stores: Sequence[FormerStore] = (),
    ) -> None:
        self._repository = repository
        self._readers = readers
        self._former_stores = former_stores

    @property
    def has_former_stores(self) -> bool:
        """Whether :meth:`former` can find anything."""
        return bool(self._former_stores)

    def former(self, token: Token) -> Token | None:
        """What opens the session that *token* opened in a former store.

        Two round trips for each former store if nothing is there, up to seven to move a session.
        Raises :exc:`~wsgi_sessions.StoreUnavailable` if either store fails.
        """
        sid = token.id + token.secret
        claim = f"migrated-{_derive('claim', f'former:{token.id}')}"
        secret = _derive("secret", f"former:{sid}", 16)
        for former in self._former_stores:
            record = former.read(token)  # first: what has been deleted has been claimed before
            id = self._claimed(claim)
            if id is None and record is not None:
                id = self._copy(record, former, claim, secret)
            if record is not None:
                self._delete_former(former, token)
            if id is not None:
                return Token(id, secret, 0, hash_secret(secret))
        return None

    def _delete_former(self, former: FormerStore, token: Token) -> None:
        try:
            former.delete(token)
        except StoreError:  # the claim sees to it that it is not migrated again
            self._repository.log.error("a session was migrated, but could not be deleted")

    def token(self, cookie_header: str) -> Token | None:
        """What opens the session of ours that an old cookie in the header stands for.

        No round trip without an old cookie, two if there is nothing behind it (one to the old
        place, one to our store), five to take a session over. Raises
        :exc:`~wsgi_sessions.StoreUnavailable` if either place fails.
        """
        for reader in self._readers:
            for value in cookie_values(cookie_header, reader.cookie_name)[:_CANDIDATES]:
                key = reader.key(value) if value.isascii() else None
                token = None if key is None else self._take(reader, key)
                if token is not None:
                    return token
        return None

    def _take(self, reader: Reader, key: str) -> Token | None:
        name = f"{reader.cookie_name}:{key}"
        claim = f"migrated-{_derive('claim', name)}"
        secret = _derive("secret", name, 16)
        old = self._read(reader, key)  # first: what has been deleted has been claimed before
        id = self._claimed(claim)
        if id is None and old is not None:
            id = self._copy(old, reader, claim, secret)
        if id is None:
            return None
        self._delete(reader, key)
        return Token(id, secret, 0, hash_secret(secret))  # dated so that the cookie goes out

    def _claimed(self, claim: str) -> str | None:
        stored = self._repository.store.load(claim)
        if stored is None or len(stored.data) != ID_LENGTH:
            return None
        return stored.data.decode("ascii", "replace")

    def _copy(
        self, old: OldSession | Record, reader: Reader | FormerStore, claim: str, secret: str
    ) -> str | None:
        """The id of the session that the old one becomes, or has just become."""
        snapshot = self._create(old, secret)
        if snapshot is None:
            return None
        expires_at = self._repository.now() + reader.lifetime
        if isinstance(old, OldSession) and old.expires_at is not None:
            expires_at = max(expires_at, old.expires_at)
        store, id = self._repository.store, snapshot.id
        if store.save(claim, id.encode(), expires_at=expires_at, replacing=None) is not None:
            self._repository.log.info("session %s was migrated from %s", id, _name(reader))
            return id
        with suppress(StoreError):  # nobody can open it, and it expires
            self._repository.end(snapshot)
        return self._claimed(claim)

    def _create(self, old: OldSession | Record, secret: str) -> Snapshot | None:
        """A new session with what the old one holds; ``None`` if that is nothing or too much."""
        snapshot = new_session(self._repository.now())
        snapshot.id, snapshot.secret = new_id(), secret
        record = old if isinstance(old, Record) else None
        values = self._encoded(old.values) if record is None else record.values
        owner = self._owner(old.owner, values) if record is None else old.owner

        def fill(blank: Record, now: float) -> Record:
            if record is not None:
                return record.replace(secret_hash=blank.secret_hash, saved_at=now, superseded=())
            flags = PERMANENT if old.permanent else 0
            idle = blank.idle
            if isinstance(old, OldSession) and old.lifetime is not None:
                flags, idle = flags | OWN_LIFETIME, old.lifetime
            return blank.replace(values=values, flags=flags, owner=owner, idle=idle)

        try:
            outcome = self._repository.update(snapshot, fill)
        except SessionTooLarge as error:
            self._repository.log.warning("an old session was not migrated: %s", error)
            return None
        return snapshot if outcome is SAVED else None

    def _owner(self, owner: str | None, values: dict[str, StoredValue]) -> str | None:
        """Who is logged in to the old session: as its reader says, or else its login keys."""
        identity = self._repository.identity
        if owner is None and identity is not None:
            return identity.owner(values)
        if owner is not None and not is_owner(owner):
            self._repository.log.warning("an old session was migrated without its owner")
            return None
        return owner

    def _encoded(self, values: Mapping[Any, Any]) -> dict[str, StoredValue]:
        """All that can be kept; what cannot is named in the log."""
        encoded: dict[str, StoredValue] = {}
        for key, value in values.items():
            try:
                encoded[check_key(key)] = self._repository.codec.stored(value)
            except UnsupportedValue as error:
                self._repository.log.warning(
                    "an old session was migrated without %s: %s", _shown(key), error.reason
                )
        return encoded

    def _read(self, reader: Reader, key: str) -> OldSession | None:
        try:
            return reader.read(key)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # every client has exceptions of its own
            # Without its cause: a driver's message may show the old session's id or its values.
            raise StoreUnavailable(
                f"{_name(reader)} could not read an old session: {type(error).__name__}"
            ) from None

    def _delete(self, reader: Reader, key: str) -> None:
        try:
            reader.delete(key)
        except Exception as error:  # noqa: BLE001  # the claim prevents a second migration
            self._repository.log.warning(
                "an old session was migrated, but could not be deleted: %s", type(error).__name__
            )


def _shown(key: object) -> str:
    """What a log may say of a key that anybody may have planted."""
    if (type(key) is str and len(key) <= 32) or (type(key) is int and key.bit_length() <= 64):
        return ascii(key)
    return f"a key of type {type(key).__name__}"


def _derive(purpose: str, name: str, size: int = 32) -> str:
    digest = sha256(f"wsgi_sessions.migration.{purpose}:{name}".encode()).digest()
    return urlsafe_b64encode(digest[:size]).rstrip(b"=").decode("ascii")


def _name(reader: Reader | FormerStore) -> str:
    return reader.name if isinstance(reader, FormerStore) else type(reader).__name__
