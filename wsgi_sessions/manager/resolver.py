"""Which session a ``Cookie`` header stands for.

How this works. The cookies of our name that carry a valid signature give an id and a secret. The
record under that id, if its secret is this one and none of its lifetimes has ended, is the session;
everything else is a new one, and so is a request that brings a cookie which was superseded a moment
ago, but its changes lead nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from wsgi_sessions.cookie import (
    ID_LENGTH,
    EncryptedCookies,
    Token,
    cookie_values,
    hash_secret,
)
from wsgi_sessions.errors import StoreError
from wsgi_sessions.manager.migrate import Migration
from wsgi_sessions.record import Record
from wsgi_sessions.session import SUPERSEDED_SECONDS, SessionRepository, Snapshot
from wsgi_sessions.stores import Stored

__all__ = ["CookieResolver", "EncryptedCookieResolver"]

_CANDIDATES = 200  # cookies of our name that are looked at; browsers keep fewer for a whole site


class CookieResolver:
    """Finds sessions in a store by signed cookies called *cookie_name*.

    *verify* says what a cookie value proves, and may ask the store for its key. *migration* makes
    old sessions ours, where a request has no valid cookie of ours.
    """

    def __init__(
        self,
        repository: SessionRepository,
        cookie_name: str,
        verify: Callable[[str], Token | None],
        migration: Migration | None,
        on_store_error: str,
    ) -> None:
        self._repository = repository
        self._cookie_name = cookie_name
        self._verify = verify
        self._migration = migration
        self._on_store_error = on_store_error

    def resolve(self, cookie_header: str, *, strict: bool = False) -> Snapshot:
        """What the cookie header stands for. One round trip if it holds a valid cookie, else none,
        unless an old session is found.

        *strict* raises a store's error whatever ``on_store_error`` says.
        """
        repository = self._repository
        now = repository.now()
        if not cookie_header:
            return Snapshot(now)
        values = cookie_values(cookie_header, self._cookie_name)
        token = None
        try:
            token = self._token(values, now) if values else None
            if token is None and self._migration is not None:
                token = self._migration.token(cookie_header)
            if token is None:
                return Snapshot(now)
            stored = repository.store.load(token.id)
        except StoreError:
            if strict or self._on_store_error == "raise":
                raise
            id = "of an old cookie" if token is None else token.id
            repository.log.warning("session %s could not be loaded, the visitor is anonymous", id)
            return Snapshot(now, detached_from=id)
        return self._accept(token, stored, now)

    def _token(self, values: list[str], now: float) -> Token | None:
        """The one valid token among the values of our cookie."""
        verify, longest = self._verify, self._repository.lifetimes.longest
        tokens = {}
        for value in values[:_CANDIDATES]:
            token = verify(value)
            if token is not None and now - token.issued_at < longest:
                if len(values) == 1:
                    return token
                tokens[value[:44]] = token
        if len(tokens) == 1:
            return tokens.popitem()[1]
        note_refused(self._repository, len(tokens))
        return None

    def _accept(self, token: Token, stored: Stored | None, now: float) -> Snapshot:
        """The session that *token* opens in what the store holds under its id."""
        repository, snapshot = self._repository, Snapshot(now)
        record = repository.unpack(token.id, stored) if stored is not None else None
        if record is None or stored is None:
            return snapshot
        proof = hash_secret(token.secret)
        if not compare_digest(proof, record.secret_hash):
            self._refuse(snapshot, token.id, proof, record)
        elif not repository.lifetimes.is_over(record, token.issued_at, now):
            snapshot.fill(token, record, stored.version)
        return snapshot

    def _refuse(self, snapshot: Snapshot, id: str, proof: bytes, record: Record) -> None:
        """The cookie does not have the record's secret; perhaps the one before."""
        for secret_hash, replaced_at in record.superseded:
            recent = snapshot.opened_at - replaced_at < SUPERSEDED_SECONDS
            if compare_digest(proof, secret_hash) and recent:
                snapshot.detached_from = id
                return
        self._repository.security_log.warning(
            "session %s: a cookie with another secret was refused", id
        )


class EncryptedCookieResolver:
    """Finds the session in the cookie itself."""

    def __init__(
        self, repository: SessionRepository, cookie_name: str, cookies: EncryptedCookies
    ) -> None:
        self._repository = repository
        self._cookie_name = cookie_name
        self._cookies = cookies

    def resolve(self, cookie_header: str, *, strict: bool = False) -> Snapshot:  # noqa: ARG002
        """What the cookie header stands for. No I/O."""
        repository = self._repository
        now = repository.now()
        snapshot = Snapshot(now)
        values = cookie_values(cookie_header, self._cookie_name) if cookie_header else []
        opened = {value: self._cookies.decrypt(value) for value in values[:_CANDIDATES]}
        found = [one for one in opened.values() if one is not None]
        if values:
            note_refused(repository, len(found))
        if len(found) == 1:
            id, stored = found[0]
            record = repository.unpack(id, stored)
            if record is not None and not repository.lifetimes.is_over(record, 0, now):
                secret = record.secret_hash.hex()[:ID_LENGTH]
                snapshot.fill((id, secret, record.saved_at), record, stored.version)
        return snapshot


def note_refused(repository: SessionRepository, valid: int) -> None:
    """Log why cookies of our name open nothing: *valid* of them are."""
    if valid > 1:
        repository.security_log.info("a request with %d different valid cookies was refused", valid)
    elif not valid:
        repository.security_log.info("a cookie was refused: not signed by us, or too old")
