"""Which session a ``Cookie`` header stands for.

How this works. The cookies of our name that carry a valid signature give an id and a secret. The
record under that id, if its secret is this one and none of its lifetimes has ended, is the session;
everything else is a new one, and so is a request that brings a cookie which was superseded a moment
ago, or whose record only other workers can read, but its changes lead nowhere.

A browser may hold several cookies of our name, because an option was changed or a sibling domain
has set one. Then the store decides: of at most three sessions the one that is alive is taken. A
cookie of a former name is looked at only where the current one opens nothing, since any sibling
domain can set what has no ``__Host-`` in its name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hmac import compare_digest

from wsgi_sessions.cookie import (
    ID_LENGTH,
    EncryptedCookies,
    Token,
    cookie_values,
)
from wsgi_sessions.errors import StoreError
from wsgi_sessions.manager.migrate import Migration
from wsgi_sessions.record import Record
from wsgi_sessions.session import (
    FOREIGN,
    UNAVAILABLE,
    SessionRepository,
    Snapshot,
    has_replaced,
    is_over,
    new_session,
)
from wsgi_sessions.stores import Stored

__all__ = ["CookieResolver", "EncryptedCookieResolver"]

_CANDIDATES = 200  # cookies of our name that are looked at; browsers keep fewer for a whole site
_OLDEST = 400 * 86_400  # seconds; no browser keeps a cookie longer (RFC 6265bis section 5.5)
_REMEMBERED = 100  # headers, of at most so many characters:
_REMEMBERED_LENGTH = 4096
_MOST_LOADED = 3  # sessions that one request may ask the store for

Verify = Callable[[str], Token | None]


class CookieResolver:
    """Finds sessions in a store by signed cookies called the first of *cookie_names*; the others
    are former names.

    *verifiers*, one a name, say what a cookie value proves, and may ask the store for a key.
    *migration* makes old sessions ours. *note_missing* is called where the store does not hold the
    session of a valid cookie.
    """

    def __init__(
        self,
        repository: SessionRepository,
        cookie_names: Sequence[str],
        verifiers: Sequence[Verify],
        migration: Migration | None,
        on_store_error: str,
        note_missing: Callable[[], object],
    ) -> None:
        self._repository = repository
        self._cookie_name, *former = cookie_names
        # A page and what it loads carry the same header.
        self._values: dict[str, list[str]] = {}
        self._verify = verifiers[0]
        self._former = list(zip(former, verifiers[1:], strict=True))
        self._migration = migration
        self._elsewhere = bool(former) or migration is not None
        self._on_store_error = on_store_error
        self._note_missing = note_missing

    def resolve(self, cookie_header: str, *, strict: bool = False) -> Snapshot:
        """What the cookie header stands for. One round trip if it holds a valid cookie, else none;
        up to three if it holds several; more only where an old session is found.

        *strict* raises a store's error whatever ``on_store_error`` says.
        """
        now = self._repository.now()
        if not cookie_header:
            return new_session(now)
        tokens: Sequence[Token] = ()
        try:
            values = self._values.get(cookie_header)
            if values is None:
                values = self._find_values(cookie_header)
            if len(values) == 1:  # nearly always: three calls less
                token = self._verify(values[0])
                if token is not None and now - token.issued_at < _OLDEST:
                    tokens = (token,)
                    snapshot = self._accept(token, self._repository.store.load(token.id), now)
                else:
                    self._note_refused()
                    snapshot = new_session(now)
            else:
                tokens = self._tokens(values, self._verify, now)
                snapshot = self._open(tokens, now)
            if values:
                snapshot.was_sent = True
            if snapshot.record is not None or not self._elsewhere:
                return snapshot
            if snapshot.detached_from:
                return self._find_replacement(cookie_header, snapshot)
            return self._find_elsewhere(tokens, cookie_header, snapshot)
        except StoreError:
            if strict or self._on_store_error == "raise":
                raise
            return self._unavailable(tokens, now)

    def _find_values(self, cookie_header: str) -> list[str]:
        values = cookie_values(cookie_header, self._cookie_name)
        if len(cookie_header) <= _REMEMBERED_LENGTH:
            if len(self._values) >= _REMEMBERED:
                self._values.clear()
            self._values[cookie_header] = values
        return values

    def _unavailable(self, tokens: Sequence[Token], now: float) -> Snapshot:
        id = tokens[0].id if tokens else "of an old cookie"
        self._repository.log.outage(
            logging.WARNING, "session %s could not be loaded, the visitor is anonymous", id
        )
        snapshot = new_session(now)
        snapshot.detach(id, UNAVAILABLE)
        return snapshot

    def _find_elsewhere(
        self, tokens: Sequence[Token], cookie_header: str, snapshot: Snapshot
    ) -> Snapshot:
        """What was called otherwise or kept elsewhere before, if the current cookie opens nothing:
        the cookie is to be replaced."""
        now, asked = snapshot.opened_at, len({token.id for token in tokens})
        for name, verify in () if snapshot.rivals else self._former:
            values = cookie_values(cookie_header, name)
            found = self._tokens(values, verify, now)
            asked += len({token.id for token in found})
            if found and asked <= _MOST_LOADED:
                snapshot = self._open(found, now)
                snapshot.issued_at = 0.0
            snapshot.was_sent = snapshot.was_sent or bool(values)
            tokens = [*tokens, *found]
            if snapshot.record is not None or snapshot.detached_from or snapshot.rivals:
                return snapshot
        if self._migration is not None and asked <= _MOST_LOADED and not snapshot.rivals:
            token = self._migrated(self._migration, tokens, cookie_header)
            if token is not None:
                was_sent = snapshot.was_sent
                snapshot = self._accept(token, self._repository.store.load(token.id), now)
                snapshot.was_sent = was_sent
        return snapshot

    def _find_replacement(self, cookie_header: str, snapshot: Snapshot) -> Snapshot:
        """Where the secret of the current cookie was replaced: the same session under a former
        name. During a deployment a worker that knows no other name may have logged in."""
        id, now = snapshot.detached_from, snapshot.opened_at
        for name, verify in self._former:
            tokens = self._tokens(cookie_values(cookie_header, name), verify, now)
            same = [token for token in tokens if token.id == id]
            found = self._open(same, now) if same else snapshot
            if found.record is not None:
                found.issued_at, found.was_sent = 0.0, True
                return found
        return snapshot

    def _migrated(
        self, migration: Migration, tokens: Sequence[Token], cookie_header: str
    ) -> Token | None:
        """What opens the session that was kept in a former store or by another library."""
        for token in tokens if migration.has_former_stores else ():
            if self._repository.store.load(token.id) is None:
                moved = migration.former(token)
                if moved is not None:
                    return moved
        return None if tokens else migration.token(cookie_header)

    def _tokens(self, values: Sequence[str], verify: Verify, now: float) -> list[Token]:
        """The valid ones among the values of one cookie name, newest first."""
        tokens = []
        for value in list(dict.fromkeys(values))[:_CANDIDATES]:
            token = verify(value)
            if token is not None and now - token.issued_at < _OLDEST:
                tokens.append(token)
        if values and not tokens:
            self._note_refused()
        tokens.sort(key=_issued_at, reverse=True)
        return tokens

    def _note_refused(self) -> None:
        self._repository.security_log.info("a cookie was refused: not signed by us, or too old")
        self._repository.event("refused", None)

    def _open(self, tokens: list[Token], now: float) -> Snapshot:
        """The session that *tokens* open, in the store's opinion."""
        if not tokens:
            return new_session(now)
        store = self._repository.store
        ids = dict.fromkeys(token.id for token in tokens)
        if len(ids) > _MOST_LOADED:
            self._repository.security_log.info(
                "a request with valid cookies of %d sessions was refused", len(ids)
            )
            self._repository.event("refused", None)
            return new_session(now)
        records = {id: store.load(id) for id in ids}
        found = [self._accept(token, records[token.id], now) for token in tokens]
        newest_last = reversed(found)  # a cookie that was renewed is there twice
        alive = list({one.id: one for one in newest_last if one.record is not None}.values())
        if len(alive) == 1:
            return alive[0]
        snapshot = next((one for one in found if one.detached_from and not alive), new_session(now))
        if alive:
            snapshot.rivals = alive
            self._repository.security_log.warning(
                "a request with the cookies of %d living sessions is anonymous: %s",
                *(len(alive), ", ".join(one.id for one in alive)),
            )
            self._repository.event("refused", None)
        return snapshot

    def _accept(self, token: Token, stored: Stored | None, now: float) -> Snapshot:
        """The session that *token* opens in what the store holds under its id."""
        repository, snapshot = self._repository, new_session(now)
        if stored is None:
            self._note_missing()
            return snapshot
        record = repository.unpack(token.id, stored)
        if record is None:
            if repository.is_foreign(stored):
                snapshot.detach(token.id, FOREIGN)
            return snapshot
        proof = token.secret_hash
        if not compare_digest(proof, record.secret_hash):
            self._refuse(snapshot, token.id, proof, record)
        elif not is_over(record, now):
            snapshot.fill(token.id, token.secret, token.issued_at, record, stored.version)
        return snapshot

    def _refuse(self, snapshot: Snapshot, id: str, proof: bytes, record: Record) -> None:
        """The cookie does not have the record's secret; perhaps the one before."""
        if has_replaced(record, partial(compare_digest, proof), snapshot.opened_at):
            snapshot.detach(id)
            return
        self._repository.security_log.warning(
            "session %s: a cookie with another secret was refused", id
        )
        self._repository.event("refused", id)


def _issued_at(token: Token) -> int:
    return token.issued_at


class EncryptedCookieResolver:
    """Finds the session in the cookie itself."""

    def __init__(
        self,
        repository: SessionRepository,
        cookie_names: Sequence[str],
        cookies: Sequence[EncryptedCookies],
    ) -> None:
        self._repository = repository
        self._cookies = list(zip(cookie_names, cookies, strict=True))

    def resolve(self, cookie_header: str, *, strict: bool = False) -> Snapshot:  # noqa: ARG002
        """What the cookie header stands for. No I/O."""
        repository = self._repository
        snapshot = new_session(repository.now())
        for name, cookies in self._cookies if cookie_header else ():
            values = cookie_values(cookie_header, name)[:_CANDIDATES]
            if not values:
                continue
            alive = self._alive(values, cookies, snapshot.opened_at)
            if len(alive) == 1:
                [(id, (record, stored))] = alive.items()
                secret = record.secret_hash.hex()[:ID_LENGTH]
                snapshot.fill(id, secret, record.saved_at, record, stored.version)
                if cookies is not self._cookies[0][1]:
                    snapshot.issued_at = 0.0
            elif alive:
                repository.security_log.warning(
                    "a request with the cookies of %d living sessions is anonymous: %s",
                    *(len(alive), ", ".join(alive)),
                )
                repository.event("refused", None)
            snapshot.was_sent = True
            if alive:
                break
        return snapshot

    def _alive(
        self, values: Iterable[str], cookies: EncryptedCookies, now: float
    ) -> dict[str, tuple[Record, Stored]]:
        """The sessions in *values*, each as it was last saved."""
        repository = self._repository
        alive: dict[str, tuple[Record, Stored]] = {}
        for value in dict.fromkeys(values):
            opened = cookies.decrypt(value)
            if opened is None:
                repository.security_log.info("a cookie was refused: not encrypted by us")
                repository.event("refused", None)
                continue
            id, stored = opened
            record = repository.unpack(id, stored)
            if record is None or is_over(record, now):
                continue
            if id not in alive or alive[id][0].saved_at < record.saved_at:
                alive[id] = record, stored
        return alive
