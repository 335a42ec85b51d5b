"""A login that is not called ``login()``: the change of a key that the application has chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor, warm
from wsgi_sessions import (
    CookieStore,
    MemoryStore,
    Session,
    SessionClosed,
    SessionManager,
    UnsupportedValue,
)
from wsgi_sessions.session import SENT, state_of
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
Do = Callable[[Session], Any]


@pytest.fixture
def manager(store: RecordingStore, clock: ManualClock) -> SessionManager:
    keys = ("user_id", "uid")
    manager = SessionManager(
        store, secret=SECRET, clock=clock, login_keys=keys, fresh_keys=["fresh"]
    )
    warm(manager)
    store.pop_calls()
    return manager


@pytest.fixture
def member(visitor: Visitor) -> Visitor:
    """Logged in as 7, with a cart."""
    with visitor.request() as session:
        session.update(user_id=7, cart=["tea"])
    return visitor


@pytest.fixture
def guest(visitor: Visitor) -> Visitor:
    with visitor.request() as session:
        session["cart"] = ["tea"]
    return visitor


class UserKey(str):
    """As an enumeration of the application's keys."""

    __slots__ = ()
    __hash__ = object.__hash__


LOGINS: dict[str, Do] = {
    "assigned": lambda s: s.__setitem__("user_id", 7),
    "update": lambda s: s.update(user_id=7),
    "or": lambda s: s.__ior__({"user_id": 7}),
    "setdefault": lambda s: s.setdefault("user_id", 7),
    "mutate": lambda s: s.mutate("user_id", lambda old: 7),
    "increment": lambda s: s.increment("user_id", 7),
    "get_or_create": lambda s: s.get_or_create("user_id", lambda: 7),
    "text": lambda s: s.update(user_id="7"),
    "another key of the list": lambda s: s.update(uid=7),
    "key of a subclass": lambda s: s.update({UserKey("user_id"): 7}),
    "cleared before": lambda s: (s.clear(), s.update(user_id=7)),
    "removed and set": lambda s: (s.update(user_id=8), s.pop("user_id"), s.update(user_id=7)),
    "login() and key": lambda s: (s.update(user_id=1), s.login("7")),
    "key and login()": lambda s: (s.login("7"), s.update(user_id=1)),
}


@pytest.mark.parametrize("how", LOGINS)
def test_a_login_however_it_is_written_leaves_the_cookie_from_before_dead(
    guest: Visitor, clock: ManualClock, how: str
) -> None:
    """The planted one too; the owner is listed, and the absolute lifetime starts again."""
    planted, id = guest.twin(), guest.open().id
    clock.advance(60)
    with guest.request() as session:
        LOGINS[how](session)
        assert session.owner == "7"
    assert (guest.open().owner, guest.open().id, guest.open().created_at) == ("7", id, clock())
    assert planted.read() == {}


@pytest.mark.parametrize("how", LOGINS)
def test_it_costs_what_a_login_costs(guest: Visitor, store: RecordingStore, how: str) -> None:
    """One load and one save."""
    store.pop_calls()
    with guest.request() as session:
        LOGINS[how](session)
    assert store.pop_calls() == ["load", "save"]


LOGOUTS: dict[str, Do] = {
    "pop": lambda s: s.pop("user_id"),
    "del": lambda s: s.__delitem__("user_id"),
    "None": lambda s: s.update(user_id=None),
    "another type": lambda s: s.update(user_id=[7]),
    "empty": lambda s: s.update(user_id=""),
    "popitem": lambda s: [s.popitem() for _ in range(2)] and s.update(cart=["tea"]),
}


@pytest.mark.parametrize("how", LOGOUTS)
def test_a_removed_key_is_a_logout_that_keeps_the_data(member: Visitor, how: str) -> None:
    """New secret, no owner."""
    before, id = member.twin(), member.open().id
    with member.request() as session:
        LOGOUTS[how](session)
        assert session.owner is None
    assert before.read() == {}
    assert (member.open().id, member.open().owner) == (id, None)
    assert member.read()["cart"] == ["tea"]


NOTHING: dict[str, Do] = {
    "the same": lambda s: s.update(user_id=7),
    "the same as text": lambda s: s.update(user_id="7"),
    "removed and set again": lambda s: (s.pop("user_id"), s.update(user_id=7)),
    "another and back": lambda s: (s.update(user_id=8), s.update(user_id=7)),
    "a later key of the list": lambda s: s.update(uid=9),
    "a later key removed": lambda s: s.pop("uid", None),
    "setdefault": lambda s: s.setdefault("user_id", 8),
    "get_or_create": lambda s: s.get_or_create("user_id", lambda: 8),
    "something else": lambda s: s.update(x=1),
}


@pytest.mark.parametrize("how", NOTHING)
def test_the_same_user_again_changes_nothing(member: Visitor, clock: ManualClock, how: str) -> None:
    """No secret, no clock, no owner."""
    before, created_at = member.cookie, member.open().created_at
    clock.advance(60)
    with member.request() as session:
        NOTHING[how](session)
    assert member.cookie == before
    assert (member.open().owner, member.open().created_at) == ("7", created_at)


def test_a_login_key_that_comes_and_goes_in_one_request_is_none(guest: Visitor) -> None:
    """Nothing is saved."""
    before = guest.cookie
    with guest.request() as session:
        session["user_id"] = 7
        del session["user_id"]
    assert guest.cookie == before


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        (7, "7"),
        ("ann", "ann"),
        (UUID(int=7), str(UUID(int=7))),
        (True, None),
        (7.0, None),
        (None, None),
        ([7], None),
        ({"id": 7}, None),
        ("x" * 1025, None),
    ],
)
def test_the_owner_is_the_text_of_an_int_a_str_or_a_uuid(
    guest: Visitor, value: object, owner: str | None
) -> None:
    """Of another type only the secret changes."""
    before = guest.twin()
    with guest.request() as session:
        session["user_id"] = value
    assert guest.open().owner == owner
    assert before.read() == {}


def test_a_change_inside_a_login_value_is_a_login(guest: Visitor) -> None:
    """A user that is kept as a dict, changed in place."""
    with guest.request() as session:
        session["user_id"] = {"id": 7}
    before = guest.twin()
    with guest.request() as session:
        session["user_id"]["id"] = 8
    assert before.read() == {}
    assert guest.read()["user_id"] == {"id": 8}


@pytest.mark.parametrize(("was", "now"), [(False, True), (None, True), (7.0, 8.0), (True, 7.0)])
def test_a_login_key_of_any_type_that_changes_is_a_login(
    guest: Visitor, was: object, now: object
) -> None:
    """Nobody can be named by it, but the cookie from before has less rights."""
    with guest.request() as session:
        session["user_id"] = was
    before = guest.twin()
    with guest.request() as session:
        session["user_id"] = now
    assert before.read() == {}
    assert guest.read()["user_id"] == now


def test_a_step_up_is_a_new_secret_and_the_way_down_is_none(member: Visitor) -> None:
    """ASVS 5.0, 7.2.4 names re-authentication."""
    before = member.twin()
    with member.request() as session:
        session["fresh"] = True
    assert before.read() == {}
    cookie = member.cookie
    with member.request() as session:
        session["fresh"] = False
    assert (member.cookie, member.open().owner) == (cookie, "7")


@pytest.mark.parametrize("how", [name for name in LOGOUTS if name != "popitem"])
def test_after_the_headers_a_logout_by_key_is_refused_on_its_line(
    member: Visitor, how: str
) -> None:
    """As everything that needs a cookie; what the session held is intact."""
    session = member.open()
    assert session["user_id"] == 7
    state_of(session).phase = SENT
    with pytest.raises(SessionClosed, match="a login or logout needs a cookie"):
        LOGOUTS[how](session)
    assert member.read() == {"user_id": 7, "cart": ["tea"]}


@pytest.mark.parametrize("how", NOTHING)
def test_after_the_headers_the_same_user_is_no_login(member: Visitor, how: str) -> None:
    session = member.open()
    assert session["user_id"] == 7
    state_of(session).phase = SENT
    if "removed and" in how or "and back" in how:
        with pytest.raises(SessionClosed):
            NOTHING[how](session)
    else:
        NOTHING[how](session)


def test_a_clear_after_the_headers_keeps_the_secret(member: Visitor) -> None:
    """There is no cookie any more that could say a new one."""
    session = member.open()
    assert session["cart"] == ["tea"]
    state_of(session).phase = SENT
    session.clear()
    session["x"] = 1
    session.save()
    assert member.read() == {"x": 1}
    assert member.open().owner is None


def test_a_clear_is_one_save_and_a_new_secret(member: Visitor, store: RecordingStore) -> None:
    """``session.clear(); session["theme"] = …`` is how many log out."""
    before, id = member.twin(), member.open().id
    store.pop_calls()
    with member.request() as session:
        sid = session.sid
        session.clear()
        session["theme"] = "dark"
        assert session.sid != sid
        now = session.sid
    assert store.pop_calls() == ["load", "save"]
    assert (member.open().id, member.open().sid) == (id, now)
    assert before.read() == {}


def test_what_this_request_has_put_stays_at_a_login_of_another(member: Visitor) -> None:
    """And what the session held before goes, seen, changed in place or not."""
    with member.request() as session:
        session["cart"].append("pen")
        session["impersonator"] = 7
        session.login("customer")
    assert member.read() == {"impersonator": 7}
    assert member.open().owner == "customer"


def test_what_this_request_has_put_and_saved_stays_too(member: Visitor) -> None:
    """A value that was saved early is no less this request's; one computed from what another
    owner had is computed again from nothing."""
    with member.request() as session:
        session["return_to"] = "/pay"
        session.save()
        token = session.get_or_create("csrf", lambda: "token")
        session.mutate("cart", lambda cart: [*cart, "pen"], default=[])
        session.login("customer")
    assert member.read() == {"return_to": "/pay", "csrf": token, "cart": ["pen"]}


def test_by_a_key_nothing_goes(member: Visitor) -> None:
    """An administrator who looks at the site as a customer comes back."""
    with member.request() as session:
        session["impersonator"] = session["user_id"]
        session["user_id"] = "customer"
    assert member.open().owner == "customer"
    assert member.read()["cart"] == ["tea"]
    with member.request() as session:
        session["user_id"] = session.pop("impersonator")
    assert member.open().owner == "7"


@pytest.mark.parametrize("log_in", [lambda s: s.login("7"), lambda s: s.update(user_id=7)])
@pytest.mark.parametrize("pause", [1, 4, 10, 29, 31])
def test_a_login_whose_answer_was_lost_is_sent_again(
    guest: Visitor, clock: ManualClock, log_in: Do, pause: float
) -> None:
    """Within the 30 s of a superseded cookie and after them."""
    lost = guest.twin()
    with lost.request() as session:
        log_in(session)
    clock.advance(pause)
    with guest.request() as session:
        log_in(session)
    assert guest.open().owner == "7"
    assert lost.open().owner == "7"
    assert guest.open().id != lost.open().id


@pytest.mark.parametrize("first", [lambda s: s.login("7"), lambda s: s.update(user_id=7)])
@pytest.mark.parametrize("second", [lambda s: s.login("7"), lambda s: s.update(user_id=7)])
def test_of_two_clicks_both_answers_are_logged_in(guest: Visitor, first: Do, second: Do) -> None:
    """Both had loaded before either committed; only what each has put is in its own."""
    other = guest.twin()
    one, two = guest.open(), other.open()
    assert one["cart"] == two["cart"]
    first(one)
    second(two)
    two["x"] = 1
    guest.respond(one)
    other.respond(two)
    assert (guest.open().owner, other.open().owner) == ("7", "7")
    assert guest.read()["cart"] == ["tea"]
    assert "cart" not in other.read()
    assert other.read()["x"] == 1


@pytest.mark.parametrize("log_in", [lambda s: s.login("7"), lambda s: s.update(user_id=7)])
@pytest.mark.parametrize("late", [False, True])
def test_of_two_clicks_one_that_agrees_on_a_value_is_logged_in_too(
    guest: Visitor, log_in: Do, late: bool
) -> None:
    """``get_or_create()`` finds that the other was faster, before or *late*, after it has loaded;
    it keeps the login, and the value goes with it."""
    other = guest.twin()
    session = other.open()
    if late:
        assert session["cart"] == ["tea"]
    with guest.request() as one:
        log_in(one)
    log_in(session)
    token = session.get_or_create("csrf", lambda: "of the second")
    assert "cart" not in session
    other.respond(session)
    assert (guest.open().owner, other.open().owner) == ("7", "7")
    assert other.read()["csrf"] == token
    assert "csrf" not in guest.read()


def test_a_request_of_who_is_logged_in_already_is_fenced_like_any_other(member: Visitor) -> None:
    """Setting the same user is no login."""
    other = member.twin()
    session = other.open()
    session["user_id"], session["late"] = session["user_id"], 1
    with member.request() as one:
        one.regenerate()
    assert other.respond(session) is None
    assert "late" not in member.read()


@pytest.mark.parametrize(
    ("owner", "error"),
    [("\ud800", UnsupportedValue), ("x" * (2 << 20), UnsupportedValue), ("", TypeError)],
)
def test_an_owner_that_cannot_be_kept_is_refused_on_its_line(
    guest: Visitor, owner: str, error: type[Exception]
) -> None:
    with guest.request() as session:
        with pytest.raises(error):
            session.login(owner)
        session["x"] = 1
    assert guest.read() == {"cart": ["tea"], "x": 1}


def test_without_a_store_login_keys_say_who_it_is(clock: ManualClock) -> None:
    """And a cookie of regenerated sessions does not grow."""
    options: dict[str, Any] = {"secret": SECRET, "clock": clock, "login_keys": ["user_id"]}
    visitor = Visitor(SessionManager(CookieStore(), **options))
    lengths = set()
    for number in range(100):
        clock.advance(0.1)
        with visitor.request() as session:
            session["user_id"] = 10 + number % 2
        assert visitor.open().owner == str(10 + number % 2)
        lengths.add(len(visitor.cookie))
    assert len(lengths) == 1


def test_owners_text_can_be_a_function_of_the_key(clock: ManualClock) -> None:
    """Where an id changes with the password, the user is listed under one name; the change of the
    key is a new secret all the same."""
    store = MemoryStore(clock=clock)
    manager = SessionManager(
        store,
        secret=SECRET,
        clock=clock,
        login_keys=["user_id"],
        owner=lambda value: str(value).partition("-")[0],
    )
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["user_id"] = "ann-1"
    before = visitor.twin()
    with visitor.request() as session:
        session["user_id"] = "ann-2"
    assert visitor.open().owner == "ann"
    assert before.read() == {}


def test_a_logout_by_key_that_could_not_be_saved_expires_the_cookie(
    member: Visitor, store: RecordingStore
) -> None:
    """Who wanted to leave is not left logged in."""
    session = member.open()
    session.pop("user_id")
    store.failing = {"save"}
    headers = dict(member.manager.finish(session, "200 OK", []).headers)
    assert "Max-Age=0" in headers["Set-Cookie"]
