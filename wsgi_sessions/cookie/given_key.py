"""The signing keys that the options name.

How this works. A :class:`GivenSigner` verifies with the keys it was given. Two things it finds out
from the store, once in each process:

* A site that ran without ``secret`` has a key in the store, and its visitors have cookies signed
  with that one. It is loaded with the first cookie that no other key has signed, and goes on
  verifying; that there is none is remembered too.
* Workers that were each given a random key refuse each other's cookies, which looks like random
  logouts. So the store remembers two bytes of an HMAC of the key that signs, too little to find the
  key by. A worker compares them with its keys at its first new session, and at the first cookie
  that none of them has signed, and reports it if none has them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from hmac import digest

from wsgi_sessions.cookie.shared_key import load_shared_key
from wsgi_sessions.cookie.token import Token, TokenSigner
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import CENTURY, Store, Stored

__all__ = ["KEY_HINT_NAME", "GivenSigner"]

KEY_HINT_NAME = "signing-key-hint"  # no id: those have 22 characters
_PURPOSE = b"wsgi_sessions.signing-key-hint"


class GivenSigner:
    """Gives the signer of *secrets*, of which the first signs, as
    :class:`~wsgi_sessions.cookie.SharedSigner` gives that of the store's key.

    *store* is ``None`` if there is none that could hold a key or a hint. *report* is called with a
    message if another worker signs with a key that is not among *secrets*.
    """

    def __init__(
        self,
        store: Store | None,
        secrets: Sequence[str | bytes],
        cookie_names: Sequence[str],
        clock: Callable[[], float],
        report: Callable[[str], object],
    ) -> None:
        self._store = store
        self._hints = [_hint(secret) for secret in secrets]
        self._clock = clock
        self._report = report
        self._stored_key: list[bytes | None] = [] if store is not None else [None]
        self._has_compared = store is None
        signers = [TokenSigner(secrets, name, self._learn) for name in cookie_names]
        self._signer = signer = signers[0]
        self.get: Callable[[], TokenSigner] = lambda: signer
        """The signer. No I/O."""
        self.verifiers: list[Callable[[str], Token | None]] = [one.verify for one in signers]
        """For each cookie name, what a value proves; see :meth:`TokenSigner.verify`. One round trip
        for the first value that is well-formed and signed with none of the keys."""

    def get_checked(self) -> TokenSigner:
        """The signer, for a new session. The first call costs a round trip, two if no worker has
        come here before with this key. Where the store cannot say, the next call asks: the new
        session may be kept by another server than the hint."""
        if not self._has_compared:
            with suppress(StoreUnavailable):
                stored, mine = self._compare(), self._hints[0]
                if stored is None or stored.data != mine:
                    self._remember(mine, replacing=None if stored is None else stored.version)
                self._has_compared = True
        return self._signer

    def note_missing(self) -> None:
        """A session is missing: no matter for a key that was given."""

    def _learn(self) -> bytes | None:
        """The key in the store, loaded once."""
        if not self._stored_key:
            assert self._store is not None
            key = load_shared_key(self._store)
            self._compare()
            self._stored_key.append(key)
        return self._stored_key[0]

    def _compare(self) -> Stored | None:
        """What the store remembers of the key that signs, reported if it is of none of these."""
        assert self._store is not None
        stored = self._store.load(KEY_HINT_NAME)
        if stored is not None and stored.data not in self._hints:
            self._report(
                "other workers sign cookies with another key: give all of them the same secret "
                "(SECRET_KEY in Flask), and those before it as fallback_secrets"
            )
        return stored

    def _remember(self, hint: bytes, *, replacing: Hashable | None) -> None:
        """If another worker is faster, its hint stays, and the next one to start compares."""
        assert self._store is not None
        expires_at = self._clock() + CENTURY
        self._store.save(KEY_HINT_NAME, hint, expires_at=expires_at, replacing=replacing)


def _hint(secret: str | bytes) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return digest(key, _PURPOSE, "sha256")[:2]
