"""The policy of sessions, without WSGI: what is accepted, when it is saved, which cookie goes out.

A :class:`SessionManager` turns a ``Cookie`` header into a :class:`~wsgi_sessions.Session` and a
session into ``Set-Cookie`` headers. Middleware and framework adapters do nothing but call
:meth:`~SessionManager.open` and :meth:`~SessionManager.commit`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from hmac import compare_digest
from random import uniform
from typing import TYPE_CHECKING, Any, cast

from wsgi_sessions.cookie import (
    ID_LENGTH,
    CookieStore,
    EncryptedCookies,
    SetCookie,
    SharedSigner,
    Token,
    TokenSigner,
    cookie_values,
    hash_secret,
    new_id,
)
from wsgi_sessions.errors import (
    BadRecord,
    ConfigurationError,
    ConflictError,
    SessionTooLarge,
    StoreError,
    StoreUnavailable,
)
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.manager.options import DEFAULT_MAX_BYTES, Options
from wsgi_sessions.record import ENDED, Codec, Record, RecordCipher, pack, unpack
from wsgi_sessions.session import (
    DROPPED,
    ISSUE,
    SAVED,
    SUPERSEDED_FOR,
    UNCHANGED,
    Edit,
    Lifetimes,
    Outcome,
    Session,
    Snapshot,
)
from wsgi_sessions.stores import Breaker, GuardedStore, Store, Stored

if TYPE_CHECKING:
    from wsgi_sessions.manager.migrate import Migration

__all__ = ["SessionManager"]

_ATTEMPTS = 32  # at a compare-and-set before ConflictError
_LONGEST_WAIT = 0.5  # seconds, before another attempt
_CANDIDATES = 200  # cookies of our name that are looked at; browsers keep fewer for a whole site


class SessionManager:
    """Opens and commits sessions kept in *store*; the options are those of :class:`Options`.

    Building it does no I/O. One manager serves all threads, and the processes forked after it was
    built.
    """

    def __init__(self, store: Store | CookieStore, **options: Any) -> None:
        self.options = settings = Options(**options)
        self.codec: Codec = settings.codec
        self.now = settings.clock
        self.permanent = settings.permanent
        self.log = ThrottledLog("wsgi_sessions")
        self.security_log = ThrottledLog("wsgi_sessions.security")
        self._cookie = SetCookie(
            settings.cookie_name,
            path=settings.cookie_path,
            domain=settings.cookie_domain,
            secure=settings.cookie_secure,
            httponly=settings.cookie_httponly,
            samesite=settings.cookie_samesite,
            partitioned=settings.cookie_partitioned,
        )
        self._lifetimes = Lifetimes(*settings.lifetimes)
        self._cipher = RecordCipher(settings.keys) if settings.keys else None
        self._signer: TokenSigner | None = None
        self._encrypted_cookies: EncryptedCookies | None = None
        self._use_secret(store)
        self.in_cookie = self._encrypted_cookies is not None
        self.store = cast(Any, self._encrypted_cookies if self.in_cookie else store)
        self._max_bytes = min(
            settings.max_bytes, getattr(self.store, "max_bytes", settings.max_bytes)
        )
        self._most_loaded = max(self._max_bytes, DEFAULT_MAX_BYTES)
        self._breaker = Breaker(self.log)
        self.guarded = GuardedStore(self.store, self._breaker)
        self._owners = self.guarded if hasattr(store, "link") else None
        self._migration = self._migrate_from(settings.readers)
        self._shared = SharedSigner(
            self.guarded, settings.fallback_secrets, settings.cookie_name, settings.clock
        )

    def _use_secret(self, store: Store | CookieStore) -> None:
        options = self.options
        if options.secret is not None:
            secrets = (options.secret, *options.fallback_secrets)
            self._signer = TokenSigner(secrets, options.cookie_name)
            if isinstance(store, CookieStore):
                self._encrypted_cookies = store.bind(secrets, options.cookie_name)
        elif isinstance(store, CookieStore) or getattr(store, "evicts", False):
            raise ConfigurationError(
                f"{type(store).__name__} cannot keep a signing secret that the workers share: "
                f"set secret=… or the environment's WSGI_SESSIONS_SECRET"
            )

    def _migrate_from(self, readers: Sequence[Any]) -> Migration | None:
        if not readers:
            return None
        if self.in_cookie:
            raise ConfigurationError("migrate_from needs a store that keeps records")
        from wsgi_sessions.manager.migrate import Migration

        return Migration(self, readers)

    # For the ways in

    def open(self, cookie_header: str | None) -> Session:
        """The session of a request with this ``Cookie`` header. No I/O, nothing is parsed."""
        return Session(self, cookie_header or "")

    def commit(self, session: Session, *, secure: bool = False) -> list[tuple[str, str]]:
        """Save what changed; the headers to add, at most one ``Set-Cookie``.

        *secure* says whether the request came over https, for ``cookie_secure=None``. Costs no
        round trip if nothing was looked at or changed, one to save. Raises what
        :meth:`Session.save` raises.
        """
        if session._draft is None:
            return []
        session.save()
        if session._cookie is None:
            return []
        if session._cookie is ISSUE:
            return [("Set-Cookie", self._issue(session, secure))]
        return self._expire(secure)

    def abandon(self, session: Session, *, secure: bool = False) -> list[tuple[str, str]]:
        """The headers to add if the commit failed: a logout expires the cookie all the same."""
        carried = self._cookie.name in session._cookies
        return self._expire(secure) if carried and session._is_ending else []

    def _expire(self, secure: bool) -> list[tuple[str, str]]:
        return [("Set-Cookie", self._cookie.expire(secure=self._is_secure(secure)))]

    def _issue(self, session: Session, secure: bool) -> str:
        snapshot, now = session._load(), self.now()
        record = snapshot.record
        max_age = None
        if record is not None and record.permanent:
            max_age = max(1, int(self._lifetimes.idle_end(record, now) - now))
        if self.in_cookie:
            value = str(snapshot.version)
        else:
            signer = self._signer or self._shared.get()
            value = signer.sign(snapshot.id + snapshot.secret, now)
        return self._cookie.issue(value, secure=self._is_secure(secure), max_age=max_age, now=now)

    def _is_secure(self, secure: bool) -> bool:
        configured = self.options.cookie_secure
        return secure if configured is None else configured

    # For the session: loading

    def load(self, cookie_header: str, *, strict: bool = False) -> Snapshot:
        """What the cookie header stands for. One round trip if it holds a valid cookie, else none,
        unless ``migrate_from`` finds an old one.

        *strict* raises a store's error whatever ``on_store_error`` says.
        """
        now = self.now()
        if not cookie_header:
            return Snapshot(now)
        values = cookie_values(cookie_header, self._cookie.name)
        if self._encrypted_cookies is not None:
            return self._decrypt_cookie(self._encrypted_cookies, values, now)
        token = self._token(values, now) if values else None
        try:
            if token is None and self._migration is not None:
                token = self._migration.token(cookie_header)
            if token is None:
                return Snapshot(now)
            store = self.guarded if self._breaker.open else self.store
            try:
                stored = store.load(token.id)
            except StoreUnavailable:
                self._breaker.failed(self.now() - now)
                raise
        except StoreError:
            if strict or self.options.on_store_error == "raise":
                raise
            id = "of an old cookie" if token is None else token.id
            self.log.warning("session %s could not be loaded, the visitor is anonymous", id)
            return Snapshot(now, detached_from=id)
        return self._accept(token, stored, now)

    def _token(self, values: list[str], now: float) -> Token | None:
        """The one valid token among the values of our cookie."""
        verify, longest = (self._signer or self._shared.get()).verify, self._lifetimes.longest
        tokens = {}
        for value in values[:_CANDIDATES]:
            token = verify(value)
            if token is not None and now - token.issued_at < longest:
                if len(values) == 1:
                    return token
                tokens[value[:44]] = token
        if len(tokens) == 1:
            return tokens.popitem()[1]
        self._note_refused(len(tokens))
        return None

    def _note_refused(self, valid: int) -> None:
        if valid > 1:
            self.security_log.info("a request with %d different valid cookies was refused", valid)
        elif not valid:
            self.security_log.info("a cookie was refused: not signed by us, or too old")

    def _decrypt_cookie(
        self, encrypted: EncryptedCookies, values: list[str], now: float
    ) -> Snapshot:
        """The session that the cookie itself holds."""
        snapshot = Snapshot(now)
        opened = {value: encrypted.decrypt(value) for value in values[:_CANDIDATES]}
        found = [one for one in opened.values() if one is not None]
        if values:
            self._note_refused(len(found))
        if len(found) == 1:
            id, stored = found[0]
            record = self._unpack(id, stored)
            if record is not None and not self._lifetimes.is_over(record, 0, now):
                secret = record.secret_hash.hex()[:ID_LENGTH]
                snapshot.adopt((id, secret, record.saved_at), record, stored.version)
        return snapshot

    def _accept(self, token: Token, stored: Stored | None, now: float) -> Snapshot:
        """The session that *token* opens in what the store holds under its id."""
        snapshot = Snapshot(now)
        record = self._unpack(token.id, stored) if stored is not None else None
        if record is None or stored is None:
            return snapshot
        proof = hash_secret(token.secret)
        if not compare_digest(proof, record.secret_hash):
            self._refuse(snapshot, token.id, proof, record)
        elif not self._lifetimes.is_over(record, token.issued_at, now):
            snapshot.adopt(token, record, stored.version)
        return snapshot

    def _refuse(self, snapshot: Snapshot, id: str, proof: bytes, record: Record) -> None:
        """The cookie has not the record's secret; perhaps the one before."""
        for secret_hash, replaced_at in record.superseded:
            recent = snapshot.opened_at - replaced_at < SUPERSEDED_FOR
            if compare_digest(proof, secret_hash) and recent:
                snapshot.detached_from = id
                return
        self.security_log.warning("session %s: a cookie with another secret was refused", id)

    def _pack(self, id: str, record: Record) -> bytes:
        data = pack(record)
        if self._cipher is not None:
            data = self._cipher.encrypt(data, _context(id))
        if len(data) > self._max_bytes:
            raise SessionTooLarge(len(data), self._max_bytes)
        return data

    def _unpack(self, id: str, stored: Stored) -> Record | None:
        try:
            data: bytes | None = stored.data
            if not isinstance(data, bytes):  # SQLite keeps any type in any column
                raise BadRecord("not bytes")
            if len(data) > self._most_loaded:
                raise BadRecord("larger than max_bytes")
            if self._cipher is not None:
                data = self._cipher.decrypt(stored.data, _context(id))
            if data is None:
                raise BadRecord("not encrypted with one of the keys, or for another session")
            return unpack(data)
        except BadRecord as error:
            # It stays where it is: it may be of a newer version of this library.
            self.security_log.warning("session %s: the record cannot be used: %s", id, error)
            return None

    def undecodable(self, snapshot: Snapshot) -> None:
        """A value of the record cannot be decoded."""
        self.security_log.warning(
            "session %s: a value of the record cannot be decoded", snapshot.id
        )

    # For the session: saving

    def renewal_due(self, snapshot: Snapshot) -> bool:
        """Whether the session has to be saved for its lifetime to go on."""
        return snapshot.record is not None and self._lifetimes.renewal_due(
            snapshot.record, snapshot.issued_at, self.now()
        )

    def update(self, snapshot: Snapshot, edit: Edit, *, force: bool = False) -> Outcome:
        """Compare-and-set: replace what *snapshot* was loaded as by ``edit(record, now)``.

        If somebody else was faster, *edit* is applied to what is there now, unless that belongs to
        another login or is gone: then nothing is saved and *snapshot* is detached. *force* saves
        a record that did not change too. One round trip, two more for each conflict.
        """
        if snapshot.record is None:
            return self._create(snapshot, edit)
        for attempt in range(_ATTEMPTS):
            now = self.now()
            record = edit(snapshot.record, now)
            if record == snapshot.record and not force:
                return UNCHANGED
            if self._replace(snapshot, record, now):
                return Outcome.ENDED if record.is_empty else SAVED
            # Waits that grow outlast a worker that saves again and again without a pause. (If they
            # doubled, 1 of 100 requests by eight contenders would take 1.1 s; so it takes 0.2.)
            took = max(self.now() - now, 0.001)
            time.sleep(uniform(0, min(took * attempt**2, _LONGEST_WAIT)))
            if not self._reload(snapshot):
                self.dropped(snapshot)
                return DROPPED
        raise ConflictError(
            f"session {snapshot.id} was changed by others {_ATTEMPTS} times in a row"
        )

    def _create(self, snapshot: Snapshot, edit: Edit) -> Outcome:
        if self._signer is None:
            self._shared.get_checked()  # a session whose cookie cannot be signed is not made
        for _attempt in range(_ATTEMPTS):
            now = self.now()
            id = snapshot.name()
            blank = Record(hash_secret(snapshot.secret), now, now, self.permanent, None, (), {})
            record = edit(blank, now)
            if record.is_empty:
                return UNCHANGED
            if self._replace(snapshot, record, now):
                return SAVED
            snapshot.id = new_id()
            self.log.warning("session %s existed already, a new id was taken", id)
        raise ConflictError("the store refuses every new session")

    def _replace(self, snapshot: Snapshot, record: Record, now: float) -> bool:
        """One attempt to make *record* the stored one."""
        if record.is_empty:
            data, expires_at = ENDED, 0.0  # a compare-and-delete
        else:
            record = record if record.saved_at == now else record.saved(now)
            data, expires_at = (
                self._pack(snapshot.id, record),
                self._lifetimes.idle_end(record, now),
            )
        before = snapshot.record
        self._link(snapshot.id, before, record)
        store = self.guarded if self._breaker.open else self.store
        try:
            version = store.save(
                snapshot.id, data, expires_at=expires_at, replacing=snapshot.version
            )
        except StoreUnavailable:
            self._breaker.failed(self.now() - now)
            raise
        if version is None:
            return False
        if before is not None and before.owner != record.owner:
            self._unlink(snapshot.id, before)
        snapshot.record, snapshot.version = record, version
        if self.in_cookie:
            snapshot.issued_at = 0.0  # the browser has not got this version yet
        return True

    def _link(self, id: str, before: Record | None, after: Record) -> None:
        """List a login under its owner, first: a login that cannot be found is worse than a listed
        one that failed. It stays listed as long as the session can live at most."""
        if after.owner is None or self._owners is None:
            return
        if before is None or (before.owner, before.created_at) != (after.owner, after.created_at):
            self._owners.link(after.owner, id, expires_at=self._lifetimes.absolute_end(after))

    def _unlink(self, id: str, before: Record | None) -> None:
        """Last. If it fails, what was asked for has been done all the same."""
        if before is None or before.owner is None or self._owners is None:
            return
        try:
            self._owners.unlink(before.owner, id)
        except StoreError:
            self.log.warning("session %s could not be taken off the list of an owner", id)

    def _reload(self, snapshot: Snapshot) -> bool:
        """After a conflict: take over what is there now, if it is still the same login."""
        stored = self.guarded.load(snapshot.id)
        record = self._unpack(snapshot.id, stored) if stored is not None else None
        before = snapshot.record
        if (
            record is None
            or stored is None
            or before is None
            or record.secret_hash != before.secret_hash
        ):
            snapshot.detach()
            return False
        snapshot.record, snapshot.version = record, stored.version
        return True

    def end(self, snapshot: Snapshot) -> None:
        """Delete the session. One round trip, two if it is listed under an owner."""
        self.guarded.delete(snapshot.id)
        self._unlink(snapshot.id, snapshot.record)

    def dropped(self, snapshot: Snapshot) -> None:
        """Changes were not saved because the session was replaced or ended meanwhile."""
        self.security_log.warning(
            "session %s: changes of an overtaken request were dropped", snapshot.detached_from
        )


def _context(id: str) -> bytes:
    """What an encrypted record is bound to."""
    return b"wsgi_sessions.record:" + id.encode("ascii")
