"""The signing secret that workers share through the store when none is configured.

That is safe because a cookie is worth what its secret half is worth, and of that the store holds
only a hash: whoever reads the signing secret can sign, but has nothing to sign.

A store can lose it with everything else (a restart of Redis without persistence). A worker that
has it then puts it back, or adopts what another worker put there: at the first request whose
session is missing, at most once a second, and at the first new session a minute later. Without
that, workers would refuse each other's cookies until all are restarted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from secrets import token_bytes

from wsgi_sessions.cookie.token import Token, TokenSigner
from wsgi_sessions.errors import StoreError
from wsgi_sessions.stores import CENTURY, Store

__all__ = ["SHARED_KEY_NAME", "SharedSigner", "load_shared_key"]

SHARED_KEY_NAME = "signing-secret"  # no id: those have 22 characters
_SIZE = 32
_CHECK_EVERY = 60.0  # seconds, at new sessions
_CHECK_MISSING_EVERY = 1.0  # seconds, where a session is missing


def load_shared_key(store: Store) -> bytes | None:
    """The secret that workers share; ``None`` if they share none. One round trip."""
    stored = store.load(SHARED_KEY_NAME)
    return stored.data if stored is not None and len(stored.data) == _SIZE else None


class SharedSigner:
    """Gives the signer, made of the secret in the store. The first of *cookie_names* is that of the
    cookie, the others are former ones."""

    def __init__(
        self,
        store: Store,
        fallback_secrets: Sequence[str | bytes],
        cookie_names: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._fallback_secrets = fallback_secrets
        self._cookie_names = cookie_names
        self._clock = clock
        self._secrets: list[bytes] = []
        self._signer: TokenSigner | None = None
        self._signers: list[TokenSigner] = []
        self._checked_at = 0.0
        self.verifiers: list[Callable[[str], Token | None]] = [
            self._verifier(number) for number in range(len(cookie_names))
        ]
        """For each cookie name, what a value proves; see :meth:`TokenSigner.verify`. The first call
        costs a round trip, two if this worker is the first."""

    def get(self) -> TokenSigner:
        """The signer; the first call costs a round trip, two if this worker is the first."""
        return self._signer or self._agree()

    def _verifier(self, number: int) -> Callable[[str], Token | None]:
        def verify(value: str) -> Token | None:
            self.get()
            return self._signers[number].verify(value)

        return verify

    def get_checked(self) -> TokenSigner:
        """The same, and at most once a minute one round trip to see that it is still shared."""
        if self._signer is None or abs(self._clock() - self._checked_at) >= _CHECK_EVERY:
            return self._agree()
        return self._signer

    def note_missing(self) -> None:
        """A session is missing, so the store may have been emptied: see that the key is still
        shared. At most once a second one round trip, two to put it back; a store that fails is
        asked again."""
        if abs(self._clock() - self._checked_at) >= _CHECK_MISSING_EVERY:
            with suppress(StoreError):
                self._agree()

    def _agree(self) -> TokenSigner:
        secret = self._exchange(self._secrets[0] if self._secrets else token_bytes(_SIZE))
        if secret not in self._secrets or self._signer is None:
            # Cookies that this worker signed before are still good.
            self._secrets = [secret, *self._secrets]
            accepted = [*self._secrets, *self._fallback_secrets]
            self._signers = [TokenSigner(accepted, name) for name in self._cookie_names]
            self._signer = self._signers[0]
        self._checked_at = self._clock()
        return self._signer

    def _exchange(self, mine: bytes) -> bytes:
        """The secret in the store; *mine* if there was none."""
        for _attempt in range(8):
            stored = self._store.load(SHARED_KEY_NAME)
            if stored is not None and len(stored.data) == _SIZE:
                return stored.data
            replacing = None if stored is None else stored.version
            expires_at = self._clock() + CENTURY
            saved = self._store.save(
                SHARED_KEY_NAME, mine, expires_at=expires_at, replacing=replacing
            )
            if saved is not None:
                return mine
        raise StoreError("the store neither gives nor takes the shared signing secret")
