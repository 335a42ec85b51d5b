"""Who comes with a token of the application's gets a session, which a logout ends."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.visitor import Visitor
from wsgi_sessions import ConfigurationError, MemoryStore, Session, SessionManager
from wsgi_sessions.manager.migrate import Reader
from wsgi_sessions.migration import JWTReader
from wsgi_sessions.testing import ManualClock

KEY = "the key of the tokens of the application, long enough for each of the algorithms"
OTHER = "another key of about the same length, which is one of somebody else and not ours"
YEAR = 365 * 86_400.0  # what is made when the tests are collected is used much later
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = RSA.public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def token(key: Any = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    claims = {"sub": "ann", "exp": time.time() + YEAR, "jti": "j" * 22} | claims
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm)


def reader(key: Any = KEY, **options: Any) -> JWTReader:
    return JWTReader(key, **{"algorithms": ["HS256"], "cookie_name": "access", **options})


class Site:
    """A manager that migrates tokens, and the browsers that come to it."""

    def __init__(self, *readers: JWTReader, **options: Any) -> None:
        options = {"secret": "s" * 16, "migrate_from": list(readers) or [reader()]} | options
        self.store = MemoryStore()
        self.manager = SessionManager(self.store, **options)

    @contextmanager
    def request(self, given: str, cookie: str = "") -> Iterator[Session]:
        header = f"access={given}" + (f"; sid={cookie}" if cookie else "")
        session = self.manager.open(header)
        yield session
        self.headers = self.manager.commit(session)

    def owner(self, given: str) -> str | None:
        with self.request(given) as session:
            return session.owner


def test_it_is_a_reader() -> None:
    one: Reader = reader()
    assert one.cookie_name == "access"


def test_who_comes_with_a_token_has_a_session_of_its_owner_and_claims() -> None:
    """And its cookie, by which it goes on without the token."""
    site = Site()
    with site.request(token(role="editor", iss="shop")) as session:
        assert session.owner == "ann"
        assert session.copy() == {"role": "editor"}
        assert session.permanent
        session["cart"] = ["pen"]
    [(_, line)] = site.headers
    visitor = Visitor(site.manager, line.partition(";")[0].partition("=")[2])
    assert visitor.read() == {"role": "editor", "cart": ["pen"]}
    assert [info.owner for info in site.manager.sessions_of("ann")] == ["ann"]


def test_all_requests_with_a_token_are_one_session() -> None:
    """Those that overlap too."""
    site, given, barrier = Site(), token(), Barrier(8)

    def visit(number: int) -> str:
        session = site.manager.open(f"access={given}")
        barrier.wait()
        session[f"k{number}"] = number
        site.manager.commit(session)
        return session.id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(visit, range(8)))) == 1
    with site.request(given) as session:
        assert session.copy() == {f"k{number}": number for number in range(8)}


def test_all_tokens_of_one_jti_are_one_session() -> None:
    site = Site()
    with site.request(token(iat=1)) as session:
        session["n"] = 1
    with site.request(token(iat=2)) as session:
        assert session["n"] == 1
    with site.request(token(jti="k" * 22)) as session:
        assert "n" not in session
    with site.request(token(iss="another")) as session:
        assert "n" not in session


def test_after_the_logout_the_token_opens_nothing_for_as_long_as_it_lives() -> None:
    """The claim lives longer than the token, also where no session of this library would."""
    clock = ManualClock(time.time())
    store = MemoryStore(clock=clock)
    manager = SessionManager(
        store, secret="s" * 16, migrate_from=reader(), clock=clock, absolute_lifetime=86_400
    )
    given = token(exp=clock() + 10 * 365 * 86_400)
    session = manager.open(f"access={given}")
    assert session.owner == "ann"
    session.invalidate()
    manager.commit(session)
    for _ in range(10):
        assert manager.open(f"access={given}").owner is None
        clock.advance(365 * 86_400 - 1)
    assert manager.open(f"access={given}").owner is None


def test_what_puts_an_end_to_a_session_puts_one_to_its_token() -> None:
    """All devices of an owner, and a new secret."""
    site, given = Site(), token()
    assert site.owner(given) == "ann"
    assert site.manager.revoke_all("ann") == 1
    assert site.owner(given) is None
    site, given = Site(), token()
    with site.request(given) as session:
        session.login("ann")
    assert site.owner(given) is None


HOUR_AGO = time.time() - 3600

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "another key": (token(OTHER), {}),
    "an algorithm that is not named": (token(algorithm="HS512"), {}),
    "no signature": (token(None, "none"), {}),
    "expired": (token(exp=HOUR_AGO), {}),
    "no end": (token(exp=None), {}),
    "not yet valid": (token(nbf=time.time() + YEAR), {}),
    "issued in the future": (token(iat=time.time() + YEAR), {}),
    "an audience that nobody expects": (token(aud="shop"), {}),
    "another audience": (token(aud="bank"), {"audience": "shop"}),
    "no audience": (token(), {"audience": "shop"}),
    "another issuer": (token(iss="bank"), {"issuer": "shop"}),
    "no issuer": (token(), {"issuer": "shop"}),
    "no token": ("abc", {}),
    "no claims": (jwt.api_jws.encode(b"[1]", KEY, algorithm="HS256"), {}),
    "no JSON": (jwt.api_jws.encode(b"\xff", KEY, algorithm="HS256"), {}),
    "an end that is none": (jwt.api_jws.encode(b'{"exp": "soon"}', KEY, algorithm="HS256"), {}),
    "empty parts": ("..", {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_not_valid_costs_no_store_call(name: str) -> None:
    given, options = REFUSED[name]
    assert reader(**options).key(given) is None
    assert Site(reader(**options)).owner(given) is None


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        ({"exp": HOUR_AGO}, {"leeway": YEAR}),
        ({"exp": HOUR_AGO}, {"leeway": timedelta(days=365)}),
        ({"aud": "shop"}, {"audience": "shop"}),
        ({"aud": ["bank", "shop"]}, {"audience": ["shop", "club"]}),
        ({"iss": "shop"}, {"issuer": ["shop", "club"]}),
        ({"nbf": HOUR_AGO, "iat": HOUR_AGO}, {}),
        ({"exp": 10**400}, {}),
        ({"jti": None}, {}),
        ({"jti": 7}, {}),
        ({"sub": 7}, {}),
    ],
)
def test_a_token_that_is_valid_is_taken(claims: dict[str, Any], options: dict[str, Any]) -> None:
    owner = "7" if claims.get("sub") == 7 else "ann"
    assert Site(reader(**options)).owner(token(**claims)) == owner


@pytest.mark.parametrize("sub", [None, "", ["ann"], {"name": "ann"}, 1.5, True])
def test_a_claim_that_names_nobody_is_no_owner(sub: Any) -> None:
    site = Site()
    with site.request(token(sub=sub, role="guest")) as session:
        assert session.owner is None
        assert session["role"] == "guest"


def test_the_owner_and_the_values_are_what_the_application_calls_them() -> None:
    """For a framework's own login: its key."""
    login = reader(
        owner_claim="uid", values=lambda claims: {"_user_id": claims["uid"], "_fresh": False}
    )
    site = Site(login, login_keys=["_user_id"])
    with site.request(token(uid="7")) as session:
        assert session.owner == "7"
        assert session.copy() == {"_user_id": "7", "_fresh": False}


def test_a_key_that_was_rotated_still_verifies() -> None:
    """And a rotation brings no token back that a logout has ended."""
    site, given = Site(), token()
    with site.request(given) as session:
        session.invalidate()
    rotated = reader(OTHER, fallback_keys=[KEY])
    assert (
        SessionManager(site.store, secret="s" * 16, migrate_from=rotated)
        .open(f"access={given}")
        .owner
        is None
    )
    assert Site(rotated).owner(given) == "ann"


@pytest.mark.parametrize("public", [PUBLIC, PEM])
@pytest.mark.parametrize("jti", ["j" * 22, "7", None])
def test_a_public_key_verifies(public: Any, jti: str | None) -> None:
    site = Site(reader(public, algorithms=["RS256"]))
    given = token(RSA, "RS256", jti=jti)
    with site.request(given) as session:
        session["n"] = 1
    with site.request(given) as session:
        assert session["n"] == 1


def test_a_public_key_is_no_secret_of_hmac() -> None:
    """The oldest attack on tokens: the attacker signs by the public key that everybody has."""
    header, payload, _ = token().split(".")
    signature = hmac.digest(PEM, f"{header}.{payload}".encode(), "sha256")
    given = f"{header}.{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert reader(PEM, algorithms=["RS256"]).key(given) is None


@pytest.mark.parametrize("jti", ["j" * 22, "7", None])
@pytest.mark.parametrize("private", [KEY, RSA])
def test_another_spelling_of_a_token_is_no_other_token(jti: str | None, private: Any) -> None:
    """The last character of a signature has bits that say nothing."""
    symmetric = private is KEY
    one = reader() if symmetric else reader(PUBLIC, algorithms=["RS256"])
    given = token(private, "HS256" if symmetric else "RS256", jti=jti)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    keys = {one.key(given[:-1] + last) for last in alphabet}
    assert keys - {None} == {one.key(given)}


def test_what_names_the_session_cannot_be_computed_from_its_jti() -> None:
    """Whoever knew it could make the session's secret; the jti may be a number."""
    keys = [reader(key).key(token(key, jti="7")) for key in (KEY, OTHER)]
    assert None not in keys
    assert keys[0] != keys[1]
    assert "7" * 2 not in str(keys[0])
    public = reader(PUBLIC, algorithms=["RS256"])
    assert public.key(token(RSA, "RS256", jti="7")) != public.key(token(RSA, "RS256", jti="7", x=1))


@pytest.mark.parametrize(
    ("key", "options", "error", "said"),
    [
        (KEY, {"algorithms": "HS256"}, TypeError, "put the one into a list"),
        (KEY, {"algorithms": []}, ConfigurationError, "algorithms"),
        (KEY, {"algorithms": ["none"]}, ConfigurationError, "algorithms"),
        (KEY, {"algorithms": ["HS256", "RS256"]}, ConfigurationError, "a reader each"),
        (KEY, {"algorithms": ["XS256"]}, ConfigurationError, "XS256"),
        (KEY, {"algorithms": ["RS256"]}, ConfigurationError, "a key cannot be used with RS256"),
        (PEM, {"algorithms": ["HS256"]}, ConfigurationError, "a key cannot be used with HS256"),
        (KEY, {"lifetime": 0}, ConfigurationError, "lifetime"),
    ],
)
def test_a_mistake_is_refused_when_the_reader_is_built(
    key: Any, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    """By what is wrong, never with the key."""
    with pytest.raises(error, match=said) as caught:
        reader(key, **options)
    assert KEY not in str(caught.value)
