"""Sessions that somebody else chose, that come back, or that two people share for a moment.

The rules one by one are in ``tests/session/test_session.py`` (regeneration, superseded cookies, the
fence), ``tests/manager/test_manager.py`` and, in every order of the store calls,
``tests/guarantees/interleavings``; here they are told as attacks, with what the browser holds at
the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest

from tests.security.wsgi_client import ask
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    MemoryStore,
    Session,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
)
from wsgi_sessions.cookie.token import new_id, new_secret
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.testing import ManualClock


@pytest.fixture
def ann(visitor: Visitor) -> Visitor:
    """A visitor who is logged in."""
    with visitor.request() as session:
        session["cart"] = ["book"]
        session.login("ann")
    return visitor


def login(visitor: Visitor, owner: str) -> None:
    with visitor.request() as session:
        session.login(owner)


# What an attacker chooses


@pytest.mark.parametrize("half", ["id", "sid", "cookie"])
def test_an_id_that_somebody_chose_is_never_taken(manager: SessionManager, half: str) -> None:
    """Neither before the login nor by it: the new session has an id and a secret of ours."""
    id, secret = new_id(), new_secret()
    signer = manager._signer.get()
    assert signer is not None
    value = {
        "id": id,
        "sid": id + secret,
        "cookie": signer.sign(id + secret, manager.options.clock()),
    }[half]
    victim = Visitor(manager, value)
    login(victim, "ann")
    assert victim.open().id != id
    assert victim.open().sid[22:] != secret
    assert Visitor(manager, value).open().owner is None


@pytest.mark.parametrize(
    "where",
    ["QUERY_STRING", "HTTP_AUTHORIZATION", "HTTP_SID", "HTTP_X_SESSION", "HTTP_REFERER",
     "REMOTE_USER", "HTTP_COOKIE2", "SCRIPT_NAME"],
)  # fmt: skip
def test_a_session_comes_by_the_cookie_alone(
    store: RecordingStore, clock: ManualClock, where: str
) -> None:
    """Never by the address, where it would be seen and could be chosen for somebody else."""
    app = wsgi_logout(store, clock)
    cookie = ask(app, path="/login").cookie
    for value in (cookie, f"sid={cookie}", f";sid={cookie}"):
        assert ask(app, path=f"/;{value}", **{where: value}).body == b"nobody"
    assert ask(app, f"sid={cookie}").body == b"ann"


def test_a_cookie_from_before_the_login_is_worth_nothing_after_it(manager: SessionManager) -> None:
    """The attacker has planted a real session of his own: session fixation."""
    mallory = Visitor(manager)
    with mallory.request() as session:
        session["cart"] = []
    victim = mallory.twin()
    login(victim, "ann")
    assert victim.open().owner == "ann"
    assert mallory.open().owner is None
    assert mallory.read() == {}


def test_the_cookie_from_before_the_login_stays_dead(
    manager: SessionManager, clock: ManualClock
) -> None:
    """Also after the 30 seconds for which it is known as superseded, and it changes nothing."""
    mallory = Visitor(manager)
    with mallory.request() as session:
        session["x"] = 1
    victim = mallory.twin()
    login(victim, "ann")
    planted = mallory.cookie
    for seconds in (0, 29, 2, 3600):
        clock.advance(seconds)
        again = Visitor(manager, planted)
        with again.request() as session:
            session["x"] = "mallory's"
        assert victim.read() == {"x": 1}
        assert again.open().owner is None


def test_two_valid_cookies_at_once_are_nobody(manager: SessionManager, ann: Visitor) -> None:
    """A subdomain has set another of the same name: not the attacker's session, nor the own."""
    mallory = Visitor(manager)
    login(mallory, "mallory")
    for header in (f"{mallory.header}; {ann.header}", f"{ann.header}; {mallory.header}"):
        session = manager.open(header)
        assert session.owner is None
        session["secret"] = "ann's"
        manager.commit(session)
    assert "secret" not in mallory.read()
    assert "secret" not in ann.read()


# What is still on its way


@pytest.mark.parametrize("does", ["reads", "writes", "regenerates", "logs out"])
def test_an_older_request_cannot_undo_a_login(
    visitor: Visitor, clock: ManualClock, does: str
) -> None:
    """Whichever response arrives last, the browser holds the login."""
    with visitor.request() as session:
        session["x"] = 1
    clock.advance(3 * 3600)  # a renewal is due: the older request wants to send a cookie
    older, browser = visitor.open(), visitor
    assert older["x"] == 1
    login(browser, "ann")
    held = browser.cookie
    match does:
        case "writes":
            older["x"] = 2
        case "regenerates":
            older.regenerate()
        case "logs out":
            older.invalidate()
    late = Visitor(visitor.manager, held)
    line = late.respond(older)
    if does == "logs out":
        # A logout is for the whole session, whoever logged in meanwhile.
        assert Visitor(visitor.manager, held).open().owner is None
        return
    assert line is None
    assert late.cookie == held
    assert late.open().owner == "ann"
    assert late.read() == {"x": 1}


@pytest.mark.parametrize("ending", [Session.invalidate, Session.clear])
def test_no_request_in_flight_brings_a_session_back(
    ann: Visitor, ending: Callable[[Session], None]
) -> None:
    """Logged out, by invalidate() or by clear(): what is still running changes nothing."""
    in_flight = [ann.twin() for _ in range(4)]
    sessions = [one.open() for one in in_flight]
    for session in sessions:
        assert session.owner == "ann"
    stolen = ann.twin()
    with ann.request() as session:
        ending(session)
    assert ann.cookie == ""
    for visitor, session, change in zip(
        in_flight,
        sessions,
        [
            lambda session: session.update(x=1),
            lambda session: session.increment("n"),
            lambda session: session.get_or_create("csrf", lambda: "token"),
            lambda session: session.regenerate(),
        ],
        strict=True,
    ):
        change(session)
        assert visitor.respond(session) is None
    assert stolen.open().owner is None
    assert stolen.read() == {}


def test_the_next_user_of_a_browser_is_not_disturbed_by_the_last(
    ann: Visitor, manager: SessionManager
) -> None:
    """Bob logs in while a request of Ann's is in flight; it changes nothing and sends nothing."""
    in_flight = ann.twin()
    of_ann = in_flight.open()
    of_ann["cart"].append("Ann's secret")
    with ann.request() as session:
        session.invalidate()
        session.login("bob")
    bob = ann
    assert in_flight.respond(of_ann) is None
    assert bob.open().owner == "bob"
    assert bob.read() == {}


def test_a_login_without_a_logout_before_it_drops_what_is_in_flight(ann: Visitor) -> None:
    """What Ann's request still wanted to write does not reach Bob, nor what it wrote before."""
    in_flight = ann.twin()
    of_ann = in_flight.open()
    of_ann["address"] = "Ann's"
    login(ann, "bob")
    assert in_flight.respond(of_ann) is None
    assert ann.open().owner == "bob"
    assert ann.read() == {}


# A logout that does not go smoothly


def wsgi_logout(store: RecordingStore, clock: ManualClock) -> Callable[..., object]:
    def app(environ, start_response):
        session = environ["wsgi.session"]
        if environ["PATH_INFO"] == "/login":
            session.login("ann")
        elif environ["PATH_INFO"] == "/logout":
            session.invalidate()
        start_response("200 OK", [])
        return [(session.owner or "nobody").encode()]

    return SessionMiddleware(app, store, secret="x", clock=clock)


def flask_logout(store: RecordingStore, clock: ManualClock) -> Callable[..., object]:
    app = flask.Flask("application")
    app.config.update(SECRET_KEY="x", SESSION_COOKIE_NAME="sid")
    FlaskSessions(app, store=store, clock=clock)

    @app.get("/<action>")
    def page(action: str) -> str:
        session: Any = flask.session
        if action == "login":
            session.login("ann")
        elif action == "logout":
            session.invalidate()
        return session.owner or "nobody"

    return app


@pytest.mark.parametrize("make", [wsgi_logout, flask_logout])
def test_a_logout_with_the_store_down_expires_the_cookie(
    store: RecordingStore, clock: ManualClock, make: Callable[..., object]
) -> None:
    """503, so that the user knows; and the browser forgets all the same."""
    app = make(store, clock)
    cookie = ask(app, path="/login").cookie
    store.failing = {"load", "delete", "save"}
    answer = ask(app, f"sid={cookie}", "/logout")
    assert answer.status.startswith("503")
    assert "Set-Cookie: sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0" in answer.head
    store.failing = set()
    assert ask(app, f"sid={cookie}", "/page").body == b"ann"  # not done, as was said


def test_a_hook_that_raises_in_a_logout_does_not_undo_it(
    store: RecordingStore, clock: ManualClock
) -> None:
    """Flask answers 500; the session is over all the same, like with any response."""
    app = flask_logout(store, clock)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.after_request
    def audit(response):
        if response.get_data() == b"nobody":
            raise RuntimeError("the audit log is full")
        return response

    cookie = ask(app, path="/login").cookie
    answer = ask(app, f"sid={cookie}", "/logout")
    assert answer.status.startswith("500")
    assert "Max-Age=0" in answer.head
    assert store.inner.load(cookie[:22]) is None


@pytest.mark.parametrize("saved", [False, True])
def test_a_logout_that_raises_is_done_if_it_was_saved(
    store: RecordingStore, clock: ManualClock, saved: bool
) -> None:
    """An application that raises is not committed: save() first what must not fail with it."""

    def app(environ, start_response):
        session = environ["wsgi.session"]
        if environ["PATH_INFO"] == "/login":
            session.login("ann")
            start_response("200 OK", [])
            return []
        session.invalidate()
        if saved:
            session.save()
        raise RuntimeError("the audit log is full")

    wrapped = SessionMiddleware(app, store, secret="x", clock=clock)
    cookie = ask(wrapped, path="/login").cookie
    with pytest.raises(RuntimeError):
        ask(wrapped, f"sid={cookie}", "/logout")
    assert (store.inner.load(cookie[:22]) is None) is saved


def test_clear_is_a_logout(ann: Visitor, store: RecordingStore) -> None:
    """Keys that this request never saw, the owner, the record and the cookie: all gone."""
    id, stolen = ann.open().id, ann.twin()
    with ann.request() as session:
        session.clear()
    assert ann.set_cookie is not None
    assert "Max-Age=0" in ann.set_cookie
    assert store.inner.load(id) is None
    assert stolen.open().owner is None


def test_clear_and_something_new_leaves_the_cookie_from_before_dead(ann: Visitor) -> None:
    """Which is how Flask's tutorial logs in, and how many log out."""
    before = ann.twin()
    with ann.request() as session:
        session.clear()
        session["message"] = "goodbye"
    assert before.open().owner is None
    assert before.read() == {}
    assert ann.read() == {"message": "goodbye"}


def test_a_failed_login_leaves_the_visitor_as_before(
    visitor: Visitor, store: RecordingStore
) -> None:
    """Neither half logged in, nor with a cookie that is dead."""
    with visitor.request() as session:
        session["x"] = 1
    session = visitor.open()
    session.login("ann")
    store.failing = {"save"}
    with pytest.raises(StoreUnavailable):
        visitor.respond(session)
    store.failing = set()
    assert visitor.open().owner is None
    assert visitor.read() == {"x": 1}


# Ending the sessions of others


def devices(owner: str, count: int) -> tuple[MemoryStore, list[Visitor]]:
    """The same user in several browsers."""
    store = MemoryStore()
    visitors = [Visitor(SessionManager(store, secret="x")) for _ in range(count)]
    for visitor in visitors:
        login(visitor, owner)
    return store, visitors


def test_all_sessions_of_a_user_can_be_ended() -> None:
    """When the account is closed; the requests in flight do not bring them back."""
    store, visitors = devices("ann", 3)
    in_flight = visitors[0].open()
    assert in_flight.owner == "ann"
    in_flight["x"] = 1
    for id in store.keys_of("ann"):
        store.delete(id)
    assert visitors[0].twin().respond(in_flight) is None
    assert [visitor.open().owner for visitor in visitors] == [None] * 3


def test_all_sessions_of_a_user_but_this_one_can_be_ended() -> None:
    """After a change of the password."""
    store, visitors = devices("ann", 3)
    with visitors[1].request() as session:
        for id in store.keys_of(session.owner or ""):
            if id != session.id:
                store.delete(id)
        session.login("ann")
    assert [visitor.open().owner for visitor in visitors] == [None, "ann", None]
