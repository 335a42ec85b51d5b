"""Sessions that the cookie itself holds."""

from __future__ import annotations

import builtins
import logging
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from webtest import TestApp

from tests.support.visitor import Visitor
from wsgi_sessions import (
    ConfigurationError,
    CookieStore,
    Session,
    SessionClosed,
    SessionManager,
    SessionMiddleware,
    SessionTooLarge,
)
from wsgi_sessions.record.encryption import _cryptography
from wsgi_sessions.session.state import Phase
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


def managed(clock: ManualClock, **options: Any) -> SessionManager:
    return SessionManager(CookieStore(), **{"secret": SECRET, "clock": clock} | options)


@pytest.fixture
def visitor(clock: ManualClock) -> Visitor:
    visitor = Visitor(managed(clock))
    with visitor.request() as session:
        session.update(x=1, cart=[(1, "a")])
    return visitor


def test_the_cookie_holds_the_session(visitor: Visitor, clock: ManualClock) -> None:
    """Another process with the same secret reads it; types and changes inside values included."""
    other = Visitor(managed(clock), visitor.cookie)
    with other.request() as session:
        assert session == {"x": 1, "cart": [(1, "a")]}
        assert not session.new
        session["cart"].append({2})
    assert other.read() == {"x": 1, "cart": [(1, "a"), {2}]}
    assert other.open().id == visitor.open().id


def test_a_session_in_the_cookie_has_id_and_sid(visitor: Visitor, clock: ManualClock) -> None:
    """The same in every request, until the login changes the second half."""
    session, other = visitor.open(), Visitor(managed(clock), visitor.cookie).open()
    assert len(session.sid) == 44
    assert session.sid == other.sid
    assert session.sid.startswith(session.id)
    with visitor.request() as session:
        session.login("42")
    assert visitor.open().id == other.id
    assert visitor.open().sid != other.sid


def test_a_valid_cookie_is_not_worth_a_line_in_the_log(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is not is."""
    with caplog.at_level(logging.DEBUG, "wsgi_sessions"):
        assert visitor.read() != {}
        assert caplog.messages == []
        assert Visitor(visitor.manager, "x").read() == {}
    assert caplog.messages == ["a cookie was refused: not encrypted by us"]


def test_a_cookie_that_holds_no_record_is_an_anonymous_visitor(
    visitor: Visitor, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Encrypted by us, perhaps by a newer version; the log names the id."""
    id, encrypted = visitor.open().id, visitor.manager.store.save(visitor.open().id, b"junk")
    session = Visitor(visitor.manager, encrypted).open()
    assert session.copy() == {}
    assert (session.new, session.created_at) == (True, clock())
    assert caplog.text.count(f"session {id}: the record cannot be used") == 1


@pytest.mark.parametrize(
    "look", [lambda s: s["x"], lambda s: s.id, dict, lambda s: s.update(x=1), lambda s: None]
)
def test_a_read_sends_no_cookie(visitor: Visitor, look: Callable[[Session], Any]) -> None:
    """Nor does setting an equal value."""
    with visitor.request() as session:
        look(session)
    assert visitor.set_cookie is None


def test_the_content_cannot_be_read(visitor: Visitor) -> None:
    """It is encrypted."""
    with visitor.request() as session:
        session["password"] = "hunter2" * 20
    raw = urlsafe_b64decode(visitor.cookie + "==")
    assert b"hunter2" not in raw
    assert b"password" not in raw


def test_any_change_makes_the_cookie_worthless(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    """Every character; also another spelling of the same bytes."""
    with caplog.at_level(logging.CRITICAL):
        for position in range(len(visitor.cookie)):
            for character in "Aa_-=+/ é":
                value = visitor.cookie
                if value[position] == character:
                    continue
                value = value[:position] + character + value[position + 1 :]
                assert Visitor(visitor.manager, value).read() == {}, (position, character)


@pytest.mark.parametrize("value", ["", "x", "=", "A" * 100, "A" * 5000, "é" * 100])
def test_junk_is_an_anonymous_visitor(visitor: Visitor, value: str) -> None:
    """And no error."""
    assert Visitor(visitor.manager, value).read() == {}


@pytest.mark.parametrize("options", [{"secret": "a" * 16}, {"cookie_name": "other"}])
def test_it_is_bound_to_secret_and_name(
    visitor: Visitor, clock: ManualClock, options: dict[str, Any]
) -> None:
    """A cookie of one is worth nothing as the other."""
    other = managed(clock, **options)
    name = options.get("cookie_name", "sid")
    assert other.open(f"{name}={visitor.cookie}").copy() == {}


def test_rotation_keeps_the_sessions(visitor: Visitor, clock: ManualClock) -> None:
    """With the old secret as a fallback; the next change is encrypted with the new one."""
    rotated = Visitor(managed(clock, secret="n" * 16, fallback_secrets=[SECRET]), visitor.cookie)
    with rotated.request() as session:
        session["y"] = 2
    assert Visitor(managed(clock, secret="n" * 16), rotated.cookie).read()["y"] == 2
    assert rotated.cookie != visitor.cookie


def test_idle_lifetimes_are_enforced_from_inside(visitor: Visitor, clock: ManualClock) -> None:
    """Renewed once a tenth of the lifetime, and over when nobody came."""
    clock.advance(timedelta(hours=2))
    visitor.read()
    assert visitor.set_cookie is not None  # of the first request
    with visitor.request() as session:
        assert session["x"] == 1
    assert visitor.set_cookie is None
    clock.advance(timedelta(hours=1))
    with visitor.request() as session:
        assert session["x"] == 1
    assert visitor.set_cookie is not None
    clock.advance(timedelta(hours=23))
    assert visitor.read() != {}
    clock.advance(timedelta(hours=1))
    assert visitor.read() == {}


def test_the_absolute_lifetime_is_enforced_from_inside(clock: ManualClock) -> None:
    """Whatever the activity."""
    visitor = Visitor(managed(clock, lifetime=100, permanent_lifetime=100, absolute_lifetime=250))
    with visitor.request() as session:
        session["x"] = 1
    for _ in range(4):
        clock.advance(60)
        with visitor.request() as session:
            assert session["x"] == 1
    clock.advance(10)
    assert visitor.read() == {}


def test_permanent_outlives_the_browser(visitor: Visitor) -> None:
    """As with any store."""
    with visitor.request() as session:
        session.permanent = True
    assert visitor.set_cookie is not None
    assert f"Max-Age={31 * 86_400}" in visitor.set_cookie
    assert visitor.open().permanent


def test_what_does_not_fit_is_refused_before_the_headers(visitor: Visitor) -> None:
    """At 4096 bytes of name and value; a smaller session still works."""
    random = [format(n**9, "x") for n in range(1, 10_000)]
    fitting = 0
    for size in range(2_600, 3_200, 7):
        session = visitor.open()
        session["data"] = "".join(random)[:size]
        if size > 3_100:
            with pytest.raises(SessionTooLarge, match="keep less"):
                visitor.manager.commit(session)
            break
        with suppress(SessionTooLarge):
            [(_, line)] = visitor.manager.commit(session)
            fitting = len(line.partition(";")[0])
            assert fitting <= 4096
    assert fitting > 4050
    assert visitor.read()["x"] == 1


@pytest.mark.parametrize("end", [lambda s: s.invalidate(), lambda s: s.clear()])
def test_the_end_expires_the_cookie(visitor: Visitor, end: Callable[[Session], Any]) -> None:
    """All that can be done without a server."""
    with visitor.request() as session:
        end(session)
    assert visitor.set_cookie is not None
    assert "Max-Age=0" in visitor.set_cookie


def test_the_rest_of_a_session_works(visitor: Visitor) -> None:
    """Without other requests to agree with."""
    with visitor.request() as session:
        assert session.increment("n") == 1
        assert session.get_or_create("csrf", lambda: "token") == "token"
        session.login("42")
        session.save()
        session["after"] = True
    session = visitor.open()
    assert (session.owner, session["n"], session["csrf"], session["after"]) == (
        "42",
        1,
        "token",
        True,
    )
    with visitor.request() as session:
        session.invalidate()
        session["flash"] = "bye"
    assert visitor.read() == {"flash": "bye"}


def test_no_change_is_possible_after_the_headers(visitor: Visitor) -> None:
    """Every one needs the cookie."""
    session = visitor.open()
    session._state.phase = Phase.SENT
    with pytest.raises(SessionClosed, match="the cookie holds the session"):
        session["y"] = 2


def test_it_needs_a_secret() -> None:
    """There is no store to share one through."""
    with pytest.raises(ConfigurationError, match="secret="):
        SessionManager(CookieStore())


def test_without_the_crypto_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At construction, never plaintext."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest)

    _cryptography.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r'pip install "wsgi-sessions\[crypto\]"'):
        SessionManager(CookieStore(), secret="x" * 16)


def test_it_is_the_same_middleware() -> None:
    """From request to request."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(environ["wsgi.session"].increment("n")).encode()]

    client = TestApp(SessionMiddleware(app, CookieStore(), secret="x" * 16))
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
