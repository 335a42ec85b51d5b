"""JSON Web Tokens (RFC 7519) in a cookie: a login of the application's that had no session.

How this works. A token that is valid becomes a session once, and the claim that
:mod:`~wsgi_sessions.manager.migrate` leaves says so for as long as the token would live. So the
token opens nothing after a logout, which a token alone cannot do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hmac import digest as hmac_digest
from typing import Any

from wsgi_sessions.errors import ConfigurationError, cannot_import
from wsgi_sessions.manager import OldSession
from wsgi_sessions.migration.values import seconds
from wsgi_sessions.stores import CENTURY

__all__ = ["JWTReader"]

Claims = Mapping[str, Any]

_REGISTERED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")  # RFC 7519 section 4.1
_SKEW = 60.0  # seconds between the clocks of this host and of the store
_UNGUESSABLE = 16  # characters of a jti, where the key is public and cannot hide it


class JWTReader:
    """Reads the tokens that the application has put into the cookie *cookie_name*.

    A token is taken if one of *key* and *fallback_keys* verifies it by one of *algorithms*, which
    its header cannot change, and if its ``exp``, which it must have, and ``nbf`` allow, give or
    take *leeway*; its ``aud`` and ``iss`` have to be *audience* and *issuer*, each one or several;
    a token that has an ``aud`` is refused without *audience*.

    The session belongs to the text of the claim *owner_claim* and holds what *values* makes of the
    claims, by default all that RFC 7519 does not register. All tokens of one ``jti`` are one
    session; a token without is one by itself. *lifetime* is the longest life of a token, if tokens
    of one ``jti`` are issued more than once; otherwise each says when it ends. *permanent*: the
    session outlives the browser. No I/O.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for a key or an algorithm that cannot work.
    """

    def __init__(
        self,
        key: Any,
        *,
        algorithms: Sequence[str],
        cookie_name: str,
        owner_claim: str = "sub",
        fallback_keys: Sequence[Any] = (),
        audience: str | Sequence[str] | None = None,
        issuer: str | Sequence[str] | None = None,
        leeway: float | timedelta = 0,
        values: Callable[[Claims], Mapping[str, Any]] | None = None,
        lifetime: float | timedelta | None = None,
        permanent: bool = True,
    ) -> None:
        try:
            import jwt
        except ImportError as error:
            raise cannot_import(error, "JWTReader needs PyJWT", "wsgi-sessions[jwt]") from error
        self.cookie_name = cookie_name
        self.lifetime: float = 0.0 if lifetime is None else seconds(lifetime)
        self._jwt = jwt
        self._keys = (key, *fallback_keys)
        self._algorithms = _checked(jwt, algorithms, self._keys)
        self._owner_claim = owner_claim
        self._values = values or _private
        self._permanent = permanent
        self._leeway = leeway.total_seconds() if isinstance(leeway, timedelta) else float(leeway)
        self._expected: dict[str, Any] = {"audience": audience, "issuer": issuer}

    def key(self, cookie_value: str) -> str | None:
        """What all tokens of its ``jti`` have in common; ``None`` for a token that is not valid."""
        for key in self._keys:
            claims = self._verified(cookie_value, key)
            if claims is not None:
                return Key.of(self._name(cookie_value, claims, key), claims)
        return None

    def read(self, key: str) -> OldSession | None:
        """What the token says. No I/O."""
        claims = key.claims if isinstance(key, Key) else None
        if claims is None:
            return None
        owner = claims.get(self._owner_claim)
        text = str(owner) if type(owner) in (str, int) and str(owner) else None
        ends_at = min(int(claims["exp"]), time.time() + CENTURY) + self._leeway + _SKEW
        return OldSession(self._values(claims), self._permanent, text, ends_at)

    def delete(self, key: str) -> None:
        """Nothing: the cookie is all there is."""

    def _verified(self, token: str, key: Any) -> Claims | None:
        options: Any = {"require": ["exp"], "verify_sub": False, "verify_jti": False}
        try:
            claims: Claims = self._jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                options=options,
                leeway=self._leeway,
                **self._expected,
            )
        except (self._jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        return claims

    def _name(self, token: str, claims: Claims, key: Any) -> str:
        """A name that is as hard to guess as the token: whoever knew it could make the secret of
        the session."""
        jti, issuer = claims.get("jti"), claims.get("iss")
        if type(jti) in (str, int) and str(jti):
            name = f"jti:{issuer}:{jti}"
            if self._algorithms[0].startswith("HS"):
                key = key.encode() if isinstance(key, str) else key
                return hmac_digest(key, name.encode(errors="surrogatepass"), "sha256").hex()
            if len(str(jti)) >= _UNGUESSABLE:
                return name.encode(errors="backslashreplace").decode()
        signed, _, signature = token.rpartition(".")  # a signature has several spellings
        return f"{signed}.{self._jwt.utils.base64url_decode(signature).hex()}"


class Key(str):
    """The key of a session, which carries what its token says."""

    __slots__ = ("claims",)

    claims: Claims

    @classmethod
    def of(cls, name: str, claims: Claims) -> Key:
        key = cls(name)
        key.claims = claims
        return key


def _private(claims: Claims) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in _REGISTERED}


def _checked(jwt: Any, algorithms: Sequence[str], keys: Sequence[Any]) -> list[str]:
    """*algorithms*, if each can work with all of *keys*."""
    if isinstance(algorithms, str):
        raise TypeError("algorithms is a sequence of names: put the one into a list")
    names = list(algorithms)
    if not names or "none" in (name.lower() for name in names):
        raise ConfigurationError("algorithms names what signs the tokens: ['HS256'] for example")
    if len({name.startswith("HS") for name in names}) > 1:
        raise ConfigurationError(
            f"algorithms is {names!r}: those with a secret (HS…) and those with a public key share "
            f"no key; give a reader each"
        )
    for name in names:
        try:
            algorithm = jwt.get_algorithm_by_name(name)
        except NotImplementedError as error:
            raise ConfigurationError(
                f"PyJWT cannot do the algorithm {name!r} ({error}): for those with a public key "
                f'pip install "wsgi-sessions[jwt,crypto]"'
            ) from None
        for key in keys:
            try:
                algorithm.prepare_key(key)
            except (jwt.PyJWTError, TypeError, ValueError) as error:
                raise ConfigurationError(
                    f"a key cannot be used with {name}: {type(error).__name__}"
                ) from None
    return names
