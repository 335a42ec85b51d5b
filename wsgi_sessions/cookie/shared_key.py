"""The signing secret that workers share through the store when none is configured.

That is safe because a cookie is worth what its secret half is worth, and of that the store holds
only a hash: whoever reads the signing secret can sign, but has nothing to sign.

A store can lose it with everything else (a restart of Redis without persistence). A worker that
has it then puts it back, or takes over what another worker put there, at the first new session a
minute later; without that, workers would refuse each other's cookies until all are restarted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_bytes

from wsgi_sessions.cookie.token import Token, TokenSigner
from wsgi_sessions.errors import StoreError
from wsgi_sessions.stores import CENTURY, Store

__all__ = ["SHARED_KEY_NAME", "SharedSigner"]

SHARED_KEY_NAME = "signing-secret"  # no id: those have 22 characters
_SIZE = 32
_CHECK_EVERY = 60.0


class SharedSigner:
    """Gives the signer, made of the secret in the store."""

    def __init__(
        self,
        store: Store,
        fallback_secrets: Sequence[str | bytes],
        cookie_name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._fallback_secrets = fallback_secrets
        self._cookie_name = cookie_name
        self._clock = clock
        self._secrets: list[bytes] = []
        self._signer: TokenSigner | None = None
        self._checked_at = 0.0

    def get(self) -> TokenSigner:
        """The signer; the first call costs a round trip, two if this worker is the first."""
        return self._signer or self._agree()

    def verify(self, value: str) -> Token | None:
        """What *value* proves; see :meth:`TokenSigner.verify`. The first call costs a round trip,
        two if this worker is the first."""
        return self.get().verify(value)

    def get_checked(self) -> TokenSigner:
        """The same, and at most once a minute one round trip to see that it is still shared."""
        if self._signer is None or abs(self._clock() - self._checked_at) >= _CHECK_EVERY:
            return self._agree()
        return self._signer

    def _agree(self) -> TokenSigner:
        secret = self._exchange(self._secrets[0] if self._secrets else token_bytes(_SIZE))
        if secret not in self._secrets or self._signer is None:
            # Cookies that this worker signed before are still good.
            self._secrets = [secret, *self._secrets]
            accepted = [*self._secrets, *self._fallback_secrets]
            self._signer = TokenSigner(accepted, self._cookie_name)
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
