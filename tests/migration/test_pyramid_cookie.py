"""Sessions in Pyramid's own signed cookies go on in a store."""

from __future__ import annotations

import logging
import pickle
import time
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.session import SignedCookieSessionFactory
from pyramid.testing import DummyRequest
from webob import Response
from webtest import TestApp

from wsgi_sessions import ConfigurationError, MemoryStore
from wsgi_sessions.manager.migrate import Reader
from wsgi_sessions.migration import PyramidCookieReader
from wsgi_sessions.pyramid import session_factory

SECRET = "the secret of the signed cookies"
VALUES: dict[str, Any] = {"auth.userid": "ann", "cart": [{"pen": 2}], "text": "ä", "n": None}


def browser_of(factory: Any) -> TestApp:
    """Of an application that puts the values at ``/put``, shows them at ``/`` and logs out."""

    def put(request: Any) -> str:
        request.session.update(VALUES)
        request.session.flash("kept")
        return "put"

    def show(request: Any) -> dict[str, Any]:
        return {"values": dict(request.session), "owner": getattr(request.session, "owner", None)}

    def log_out(request: Any) -> str:
        request.session.invalidate()
        return "out"

    config = Configurator(settings={})
    config.set_session_factory(factory)
    for name, view in {"put": put, "": show, "out": log_out}.items():
        config.add_route(f"r{name}", f"/{name}")
        config.add_view(view, route_name=f"r{name}", renderer="json")
    return TestApp(config.make_wsgi_app())


def cookie_of(**options: Any) -> str:
    """A cookie of Pyramid's."""
    factory = SignedCookieSessionFactory(**{"secret": SECRET, **options})
    line = browser_of(factory).get("/put").headers["Set-Cookie"]
    return str(line.partition(";")[0].partition("=")[2])


def ours(reader: PyramidCookieReader) -> TestApp:
    options: Any = {"cookie_name": "session", "migrate_from": reader}
    return browser_of(session_factory(MemoryStore(), **options))


def test_it_is_a_reader() -> None:
    reader: Reader = PyramidCookieReader(SECRET)
    assert (reader.cookie_name, reader.lifetime) == ("session", 1200)


@pytest.mark.parametrize("options", [{}, {"salt": "pepper."}, {"hashalg": "sha256"}])
def test_a_visitor_keeps_the_session_until_the_logout(options: dict[str, Any]) -> None:
    """Messages too; and who was logged in is the owner."""
    header = {"Cookie": f"session={cookie_of(**options)}"}
    browser = ours(PyramidCookieReader(SECRET, **options))
    found = browser.get("/", headers=header).json
    assert found == {"values": VALUES | {"_f_": ["kept"]}, "owner": "ann"}
    browser.get("/out", headers=header)
    browser.reset()
    assert browser.get("/", headers=header).json == {"values": {}, "owner": None}


def test_an_older_secret_still_verifies() -> None:
    reader = PyramidCookieReader("a newer secret", fallback_secrets=[SECRET])
    assert reader.key(cookie_of()) is not None
    assert PyramidCookieReader("a newer secret").key(cookie_of()) is None


@pytest.mark.parametrize("value", ["", "abc", "é", "A" * 86, "A" * 87, "A" * 88, "=", '"', "a.b.c"])
def test_what_is_no_cookie_of_pyramids_is_none(value: str) -> None:
    assert PyramidCookieReader(SECRET).key(value) is None


def test_another_spelling_of_a_cookie_is_no_other_cookie() -> None:
    """The last character has bits that say nothing."""
    value, reader = cookie_of(), PyramidCookieReader(SECRET)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    keys = {reader.key(value[:-1] + last) for last in alphabet}
    assert keys - {None} == {reader.key(value)}


def test_a_cookie_that_has_timed_out_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PyramidCookieReader(SECRET, lifetime=60)
    key = reader.key(cookie_of())
    assert key is not None
    assert reader.read(key) is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert reader.read(key) is None


class PickleSerializer:
    """What Pyramid had before 2.0."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


class Bomb:
    def __reduce__(self) -> Any:
        return logging.getLogger("bomb").error, ("executed",)


def test_pickles_are_read_if_that_is_allowed_and_never_executed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = cookie_of(serializer=PickleSerializer())
    for allowed in (True, False):
        reader = PyramidCookieReader(SECRET, allow_pickle=allowed)
        key = reader.key(old)
        assert key is not None
        assert (reader.read(key) is not None) == allowed
    reader = PyramidCookieReader(SECRET, allow_pickle=True)
    factory = SignedCookieSessionFactory(SECRET, serializer=PickleSerializer())
    session, response = factory(DummyRequest()), Response()
    session["bomb"] = Bomb()
    session._set_cookie(response)
    hostile = response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    key = reader.key(hostile)
    assert key is not None
    assert reader.read(key) is None
    assert "executed" not in caplog.text


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="hashalg"):
        PyramidCookieReader(SECRET, hashalg="sha513")
