"""Nothing that proves a session, and nothing of what is in it, turns up where people look."""

from __future__ import annotations

import gc
import logging
import traceback
import warnings
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import flask
import pytest

from tests.security.log_watch import SID, LogWatch
from tests.security.raw_access import RawAccess
from tests.security.wsgi_client import Answer, ask
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    CookieStore,
    MemoryStore,
    SessionError,
    SessionManager,
    SessionMiddleware,
    SessionTooLarge,
    UnsupportedValue,
)
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.record.record import pack, unpack
from wsgi_sessions.stores import Stored
from wsgi_sessions.testing import ManualClock

VALUE = "CANARY-in-a-value"
SECRET = "CANARY-the-signing-secret"
KEY = "CA" * 32


PATHS = ["/", "/login", "/regenerate", "/refused", "/large", "/public", "/late"]


def odd_requests(app: Any, cookie: str, paths: list[str], log: LogWatch) -> Iterator[Answer]:
    """One of everything that is logged, answered with an error, or both; a server logs what is
    raised."""
    for header in (
        "", f"sid={cookie}", f"sid={cookie}x", f"sid={cookie}; sid={VALUE}", f"sid={cookie[:-1]}A",
        f"sid={cookie[44:]}", f"sid={cookie}; sid={ask(app, path='/login').cookie}",
    ):  # fmt: skip
        for path in paths:
            try:
                yield ask(app, header, path)
            except SessionError as error:
                log.lines += traceback.format_exception(error)
            yield ask(app, header, "/")


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    session = environ["wsgi.session"]
    headers = [("Content-Type", "text/plain")]
    match environ["PATH_INFO"]:
        case "/":
            session.get("x")
        case "/login":
            session["x"] = {"of the visitor": VALUE}
            session.login("ann")
        case "/regenerate":
            session.regenerate()
        case "/refused":
            session["x"] = []
            session["x"].append({"of the visitor": Unsupported(VALUE)})
        case "/large":
            session["x"] = VALUE * 100_000
        case "/public":
            session["y"] = VALUE
            headers += [("Cache-Control", "public"), ("Set-Cookie", f"sid={VALUE}")]
        case "/late":
            return late(session, start_response)
    start_response("200 OK", headers)
    return [b"page"]


def late(session: Any, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    session["x"] = 1
    yield b"page"
    session["x"] = VALUE * 100_000


class Unsupported:
    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return self.value


def check_clean(text: str, *, also: Iterable[str] = ()) -> None:
    for hidden in ("CANARY", KEY, *also):
        assert hidden not in text
    assert not SID.search(text)


@pytest.mark.parametrize("wrap", ["middleware", "flask", "cookie store"])
def test_no_line_header_or_page_shows_a_secret(wrap: str) -> None:
    """At level DEBUG, with tracebacks, over everything that goes wrong; nor does a warning."""
    store = RecordingStore()
    if wrap == "flask":
        inner = flask.Flask("application")
        inner.config.update(SECRET_KEY=SECRET, SESSION_COOKIE_NAME="sid")
        inner.wsgi_app = wsgi  # type: ignore[method-assign]
        FlaskSessions(inner, store=store)
        app: Any = inner
    else:
        used: Any = CookieStore() if wrap == "cookie store" else store
        app = SessionMiddleware(wsgi, used, secret=SECRET, encryption_keys=[KEY])
    with LogWatch() as log, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        cookie = ask(app, path="/login").cookie
        # Where the cookie holds the session, a change after the headers is an error on its line.
        paths = [path for path in PATHS if path != "/late" or wrap != "cookie store"]
        answers = list(odd_requests(app, cookie, paths, log))
        for kind in ({"load"}, {"save"}, {"delete", "save"}):
            store.failing = kind
            for path in ("/", "/login", "/regenerate"):
                try:
                    answers.append(ask(app, f"sid={cookie}", path))
                except SessionError as error:
                    log.lines += traceback.format_exception(error)
            store.failing = set()
    assert log.lines
    check_clean(log.text, also=[cookie[22:44], cookie[-30:]])
    check_clean("".join(str(warning.message) for warning in warned))
    pages = [answer.body.decode() for answer in answers]
    assert ("Service Unavailable\n" in pages) is (wrap != "cookie store")
    check_clean("\n".join(pages), also=[cookie[22:44]])
    for answer in answers:
        others = [f"{name}: {value}" for name, value in answer.headers if name != "Set-Cookie"]
        check_clean("\n".join(others))


def test_a_fault_of_a_store_names_no_session(place: RawAccess) -> None:
    """What goes wrong in any store is reported without sid, cookie or value; and so is damage."""
    manager = SessionManager(place.store, secret=SECRET)
    visitor = Visitor(manager)
    with LogWatch() as log:
        with visitor.request() as session:
            session["x"] = VALUE
            session.login("ann")
            id, sid = session.id, session.sid
        old = visitor.twin()
        with visitor.request() as session:
            session.regenerate()
        superseded = visitor.twin().open()
        superseded["x"] = VALUE * 2
        with visitor.request() as session:
            session.regenerate()
        manager.commit(superseded)
        old.read()
        record = unpack(place.raw(id)[place.front :])
        front = place.raw(id)[: place.front]
        place.plant(id, front + pack(record.replace(values={"x": VALUE.encode()})))
        assert visitor.open().get("x") is None
        place.plant(id, front + VALUE.encode())
        visitor.read()
        with pytest.raises((SessionTooLarge, UnsupportedValue)) as caught:
            Visitor(manager).open()["x"] = Unsupported(VALUE)
        log.lines += traceback.format_exception(caught.value)
        with pytest.raises(SessionTooLarge) as large, Visitor(manager).request() as session:
            session["x"] = VALUE * 100_000
        log.lines += traceback.format_exception(large.value)
    assert f"session {id}" in log.text
    check_clean(log.text, also=[sid[22:], visitor.cookie[22:44], visitor.cookie[-43:]])


def test_no_repr_of_any_object_shows_a_secret() -> None:
    """Of nothing that the library has made: session, manager, options, signer, token, store."""
    gc.freeze()  # leaves out what other tests have made
    try:
        check_no_repr_shows_a_secret()
    finally:
        gc.unfreeze()


def check_no_repr_shows_a_secret() -> None:
    store = MemoryStore()
    manager = SessionManager(
        store, secret=SECRET, fallback_secrets=[SECRET + "2"], encryption_keys=[KEY]
    )
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["x"] = VALUE
        session.login("ann")
        sid = session.sid
    session = visitor.open()
    assert session["x"] == VALUE
    session["y"] = VALUE
    ours = [
        one for one in gc.get_objects() if str(type(one).__module__).startswith("wsgi_sessions.")
    ]
    names = {type(one).__name__ for one in ours}
    assert {
        "Session",
        "SessionManager",
        "Settings",
        "Draft",
        "Snapshot",
        "Record",
        "TokenSigner",
    } <= names
    token = manager._signer.get().verify(visitor.cookie)
    # The version too: some stores make it of the data.
    ours.append(Stored(VALUE.encode(), VALUE))
    shown = "\n".join([*(repr(one) for one in ours), repr(token), str(session), f"{manager}"])
    check_clean(shown, also=[sid, sid[22:], visitor.cookie])
    assert token is not None
    assert token.secret == sid[22:]


def test_ten_thousand_bad_cookies_are_a_bounded_number_of_lines(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each kind ten a second, and one that says how many were left out."""
    monkeypatch.setattr("wsgi_sessions.log.time", SimpleNamespace(monotonic=clock))
    app = SessionMiddleware(wsgi, MemoryStore(), secret=SECRET)
    good = ask(app, path="/login").cookie
    with LogWatch() as log:
        for number in range(10_000):
            clock.now += 1 / 1024  # ten seconds in all
            ask(app, f"sid={number:095}")
            if number % 10 == 0:
                ask(app, f"sid={good}; sid={good[:-1]}")
    assert 100 <= len(log.lines) <= 120
    check_clean(log.text, also=[good[22:44]])


def test_the_watch_finds_what_it_looks_for() -> None:
    """The check of this file, and of the whole suite, can fail."""
    visitor = Visitor(SessionManager(MemoryStore(), secret=SECRET))
    with visitor.request() as session:
        session["x"] = VALUE
        sid, id = session.sid, session.id
    log = LogWatch()
    for leak in (sid, visitor.cookie, f"Cookie: sid={visitor.cookie}; a=b"):
        log.lines.clear()
        # Not by a logger: others may be listening for the same.
        log.handle(logging.makeLogRecord({"msg": "a leak: %s", "args": (leak,)}))
        with pytest.raises(AssertionError):
            check_clean(log.text)
    log.lines.clear()
    log.handle(logging.makeLogRecord({"msg": "session %s: no leak", "args": (id,)}))
    check_clean(log.text)
