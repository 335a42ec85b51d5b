"""Whatever stands in a ``Cookie`` header: an anonymous visitor, and no work for it.

That the parser and the signature alone do this is proven in ``tests/cookie/test_cookies.py`` and
``tests/cookie/test_token.py``; here it is the whole way from the header to the response.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from flask import Flask, session

from tests.security.corpus import (
    CANARY,
    WORTHLESS,
    Attempt,
    Stolen,
    encodings,
    flips,
    lengths,
    neighbours,
)
from tests.security.log_watch import LogWatch
from tests.security.wsgi_client import Answer, ask, work
from tests.support.recording import RecordingStore
from tests.support.visitor import UNSIGNED
from wsgi_sessions import CookieStore, MemoryStore, SessionMiddleware
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
ANONYMOUS = b"nobody"


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A page that shows whose session it has, and pages that change it."""
    session = environ["wsgi.session"]
    match environ["PATH_INFO"]:
        case "/login":
            session.login("ann")
        case "/regenerate":
            session.regenerate()
        case "/logout":
            session.invalidate()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(session.owner or "nobody").encode()]


def through_middleware(store: RecordingStore, clock: ManualClock, name: str) -> WSGIApplication:
    return SessionMiddleware(wsgi, store, secret=SECRET, cookie_name=name, clock=clock)


def through_flask(store: RecordingStore, clock: ManualClock, name: str) -> WSGIApplication:
    app = Flask("application")
    app.config.update(SECRET_KEY=SECRET, SESSION_COOKIE_NAME=name)
    FlaskSessions(app, store=store, clock=clock)

    @app.route("/", defaults={"action": ""})
    @app.route("/<action>")
    def page(action: str) -> str:
        ours: Any = session
        if action == "login":
            ours.login("ann")
        elif action:
            {"regenerate": ours.regenerate, "logout": ours.invalidate}[action]()
        return str(ours.owner or "nobody")

    return app


class Target:
    """An application with one visitor who is logged in, and what its store is asked."""

    def __init__(self, make: Callable[..., WSGIApplication], name: str = "sid") -> None:
        self.clock = ManualClock()
        self.store = RecordingStore(MemoryStore(clock=self.clock))
        self.app = make(self.store, self.clock, name)
        ask(self.app, f"{name}={UNSIGNED}")
        self.name = name
        self.cookie = ask(self.app, path="/login").cookie

    @property
    def stolen(self) -> Stolen:
        return Stolen(self.cookie, self.name, SECRET)

    def ask(self, cookie: str, path: str = "/") -> Answer:
        return ask(self.app, f"{self.name}={cookie}", path)


@pytest.fixture(params=[through_middleware, through_flask], ids=["middleware", "flask"])
def target(request: pytest.FixtureRequest) -> Target:
    return Target(request.param)


def check_harmless(attempt: Attempt, answer: Answer) -> None:
    """Answered as to anybody, with nothing of the header in it."""
    assert answer.status == "200 OK", attempt.name
    assert answer.body == (b"ann" if attempt.is_visitor else ANONYMOUS), attempt.name
    assert answer.cookie == "", attempt.name
    assert "Set-Cookie" not in answer.head, attempt.name
    assert CANARY not in answer.head, attempt.name


@pytest.mark.parametrize("kind", WORTHLESS, ids=lambda kind: kind.__name__)
def test_what_we_did_not_sign_is_an_anonymous_visitor(
    target: Target, kind: Callable[[Stolen], Iterator[Attempt]]
) -> None:
    """200 as for anybody, no store command, and nothing of it in a header or a log line."""
    target.store.pop_calls()
    with LogWatch() as log:
        for attempt in kind(target.stolen):
            check_harmless(attempt, ask(target.app, attempt.header))
            assert target.store.pop_calls() == [], attempt.name
    for part in (CANARY, target.cookie[22:44], target.cookie[-43:], "Traceback"):
        assert part not in log.text


def test_strange_neighbours_do_not_hide_the_cookie(target: Target) -> None:
    """Whatever stands beside it, the visitor stays logged in."""
    for attempt in neighbours(target.stolen):
        check_harmless(attempt, ask(target.app, attempt.header))


def test_the_corpus_is_about_a_cookie_that_works(target: Target) -> None:
    """As it is, the cookie that all attempts are made of opens the session."""
    assert target.ask(target.cookie).body == b"ann"


SIGNED = {
    "unknown": lambda target: MemoryStore.delete(target.store.inner, target.cookie[:22]),
    "logged out": lambda target: target.ask(target.cookie, "/logout"),
    "superseded": lambda target: target.ask(target.cookie, "/regenerate"),
    "superseded a while ago": lambda target: (
        target.ask(target.cookie, "/regenerate"),
        target.clock.advance(60),
    ),
    "idle too long": lambda target: target.clock.advance(86_400),
    "older than any lifetime": lambda target: target.clock.advance(401 * 86_400),
}


@pytest.mark.parametrize("how", SIGNED)
def test_a_cookie_that_is_over_is_an_anonymous_visitor(target: Target, how: str) -> None:
    """Rightly signed and worth nothing any more: at most one load, and only the id is logged."""
    SIGNED[how](target)
    target.store.pop_calls()
    with LogWatch() as log:
        check_harmless(Attempt(how, ""), target.ask(target.cookie))
    assert target.store.pop_calls() in ([], ["load"])
    assert target.cookie[22:44] not in log.text
    assert target.cookie[-43:] not in log.text


@pytest.mark.parametrize(
    "other",
    ["__host-sid", "__HOST-SID", "__Host-sid\xa0", "\xa0__Host-sid", "__Host-sid\x85",
     "\u2003__Host-sid", "__Host\xadsid", "__Secure-sid", "sid", "_Host-sid", "__Host-sid\x00",
     "__Host-sid\x1f", "=__Host-sid", "__Host%2dsid", "__Host-sid[]"],
)  # fmt: skip
def test_no_other_name_passes_for_a_host_prefix(other: str) -> None:
    """A subdomain can set those, and browsers protect ``__Host-sid`` alone."""
    target = Target(
        lambda store, clock, name: SessionMiddleware(
            wsgi, store, secret=SECRET, cookie_name=name, cookie_secure=True, clock=clock
        ),
        "__Host-sid",
    )
    assert target.ask(target.cookie).body == b"ann"
    assert ask(target.app, f"{other}={target.cookie}").body == ANONYMOUS


PIECES = ["{name}=x; ", "a=b; ", ";", " ", "=", '"', "\\", "x", "{name}", "{name}={like}; "]


@pytest.mark.parametrize("piece", PIECES)
def test_work_and_memory_grow_no_faster_than_the_header(target: Target, piece: str) -> None:
    """Four times the header is at most four times the calls and, a constant aside, the memory."""
    piece = piece.format(name=target.name, like=f"{'A' * 44}.aaaaaa.{'A' * 43}")

    def cost(times: int) -> tuple[int, int]:
        header = f"{target.name}=" + piece * times
        ask(target.app, header)
        calls = work(lambda: ask(target.app, header))
        tracemalloc.start()
        try:
            ask(target.app, header)
            return calls, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    (few_calls, little), (many_calls, much) = cost(2_000), cost(8_000)
    assert many_calls <= 4 * few_calls
    assert much <= 4 * little + 65_536


def test_the_number_of_signatures_checked_is_bounded(target: Target) -> None:
    """However many cookies of our name look right, 200 are looked at."""
    right, wrong = f"{'A' * 44}.aaaaaa.{'A' * 43}", "A" * 95

    def cost(value: str) -> int:
        return work(lambda: ask(target.app, f"{target.name}={value}; " * 20_000))

    assert 0 < cost(right) - cost(wrong) < 200 * 20


# The same for sessions that are in the cookie


@pytest.fixture(scope="module")
def encrypted() -> Target:
    return Target(
        lambda store, clock, name: SessionMiddleware(
            wsgi, CookieStore(), secret=SECRET, cookie_name=name, clock=clock
        )
    )


@pytest.mark.parametrize("kind", [flips, lengths, encodings], ids=lambda kind: kind.__name__)
def test_no_other_bytes_open_a_sealed_cookie(
    encrypted: Target, kind: Callable[[Stolen], Iterator[Attempt]]
) -> None:
    """Each bit, each length, each encoding; tests/cookie/test_encrypted.py has the encryption
    itself."""
    with LogWatch() as log:
        for attempt in kind(encrypted.stolen):
            check_harmless(attempt, ask(encrypted.app, attempt.header))
    for part in (CANARY, encrypted.cookie[40:80], encrypted.cookie[-43:], "Traceback"):
        assert part not in log.text


def test_strange_neighbours_do_not_hide_a_sealed_cookie(encrypted: Target) -> None:
    """It is read by the same parser."""
    for attempt in neighbours(encrypted.stolen):
        check_harmless(attempt, ask(encrypted.app, attempt.header))
