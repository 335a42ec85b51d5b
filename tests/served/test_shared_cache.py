"""A shared cache between the visitors and the application: nobody gets another's cookie or page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from webtest import TestApp

from wsgi_sessions import MemoryStore, Session, SessionMiddleware

Headers = list[tuple[str, str]]


@dataclass
class SharedCache:
    """As much of an RFC 9111 shared cache as a session can meet; eager to store.

    It stores any 200 to a GET that is not forbidden to it, for ever, also without explicit
    freshness (section 4.2.2 allows heuristics), and selects by ``Vary`` (section 4.1).
    """

    app: WSGIApplication
    stored: list[tuple[str, dict[str, str], Headers, list[bytes]]] = field(default_factory=list)
    hits: int = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        for url, selected_by, headers, body in self.stored:
            if url == path and all(
                environ.get(name, "") == value for name, value in selected_by.items()
            ):
                self.hits += 1
                start_response("200 OK", headers)
                return body
        started: list[tuple[str, Headers]] = []

        def record(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            started.append((status, headers))

        body = list(self.app(environ, record))
        status, headers = started[0]
        self._store(environ, status, headers, body)
        start_response(status, headers)
        return body

    def _store(
        self, environ: WSGIEnvironment, status: str, headers: Headers, body: list[bytes]
    ) -> None:
        directives = _fields(headers, "cache-control")
        vary = _fields(headers, "vary")
        if environ["REQUEST_METHOD"] != "GET" or not status.startswith("200") or "*" in vary:
            return
        if directives & {"no-store", "private"}:
            return
        names = ["HTTP_" + name.upper().replace("-", "_") for name in vary]
        selected_by = {name: environ.get(name, "") for name in names}
        self.stored.append((environ["PATH_INFO"], selected_by, headers, body))


def _fields(headers: Headers, name: str) -> set[str]:
    values = [value for key, value in headers if key.lower() == name]
    return {one.strip().lower() for value in values for one in value.split(",")}


def through_a_cache(
    use: Callable[[Session], Any], *headers: tuple[str, str]
) -> tuple[SharedCache, TestApp, TestApp]:
    """An application whose pages show what *use* makes of the session, and two visitors."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = environ["wsgi.session"]
        if environ["PATH_INFO"] == "/login":
            session.login(environ["QUERY_STRING"])
        shown = "" if environ["PATH_INFO"] == "/login" else use(session)
        start_response("200 OK", [("Content-Type", "text/plain"), *headers])
        return [str(shown).encode()]

    cache = SharedCache(SessionMiddleware(app, MemoryStore(), secret="x"))
    ann, bob = TestApp(cache), TestApp(cache)
    ann.get("/login?ann")
    bob.get("/login?bob")
    return cache, ann, bob


CACHING = [
    [],
    [("Cache-Control", "public, max-age=3600")],
    [("Cache-Control", "max-age=3600")],
    [("Vary", "Accept"), ("Cache-Control", "public")],
]


@pytest.mark.parametrize("headers", CACHING)
@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.owner,
        lambda s: (s.owner, s.get("x")),
        lambda s: (s.owner, s.increment("n")),
        lambda s: (s.owner, s.regenerate()),
        lambda s: (s.owner, s.get_or_create("csrf", lambda: "token")),
        lambda s: (s.owner, s.__setitem__("x", 1)),
    ],
)
def test_nobody_gets_the_page_of_another(headers: Headers, use: Callable[[Session], Any]) -> None:
    """Whatever the application says about caching."""
    _, ann, bob = through_a_cache(use, *headers)
    for _ in range(2):
        assert "ann" in ann.get("/page").text
        assert "bob" in bob.get("/page").text


@pytest.mark.parametrize("headers", CACHING)
def test_nobody_gets_the_cookie_of_another(headers: Headers) -> None:
    """A visitor without a session never receives one from the cache."""
    cache, _, _ = through_a_cache(lambda s: s.setdefault("id", s.id), *headers)
    shown = {TestApp(cache).get("/page").text for _ in range(5)}
    assert len(shown) == 5
    assert all("Set-Cookie" not in dict(stored[2]) for stored in cache.stored)


def test_a_page_that_does_not_look_is_shared() -> None:
    """One that does not touch the session can be cached for all."""
    cache, ann, bob = through_a_cache(lambda s: "same", ("Cache-Control", "public"))
    assert ann.get("/page").text == bob.get("/page").text == "same"
    assert cache.hits == 1


def test_the_cache_of_this_test_does_mix_up_visitors_without_the_headers() -> None:
    """The proof that the tests above can fail."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["HTTP_COOKIE"].encode()]

    cache = SharedCache(app)
    TestApp(cache).get("/", headers={"Cookie": "a=ann"})
    assert TestApp(cache).get("/", headers={"Cookie": "a=bob"}).text == "a=ann"
