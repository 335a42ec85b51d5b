"""One session, several cookies: an option was changed, a front end splits the header, a sibling
domain sets what it likes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.jar import HOST, Jar
from tests.support.recording import RecordingStore
from tests.support.visitor import warm
from wsgi_sessions import CookieStore, Session, SessionManager
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
Make = Callable[..., SessionManager]


@pytest.fixture
def make(store: RecordingStore, clock: ManualClock) -> Make:
    def make(kept: Any = store, **options: Any) -> SessionManager:
        manager = SessionManager(kept, **({"secret": SECRET, "clock": clock} | options))
        warm(manager)
        store.pop_calls()
        return manager

    return make


def log_in(session: Session) -> None:
    session.login("ann")
    session.permanent = True


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "domain set": ({}, {"cookie_domain": "example.com"}),
    "domain taken away": ({"cookie_domain": "example.com"}, {}),
    "path set": ({}, {"cookie_path": "/shop"}),
    "path taken away": ({"cookie_path": "/shop"}, {}),
    "secure": ({}, {"cookie_secure": True}),
    "name": ({}, {"cookie_name": "s", "former_cookie_names": ["sid"]}),
    "host name": (
        {},
        {"cookie_name": "__Host-sid", "cookie_secure": True, "former_cookie_names": ["sid"]},
    ),
}


@pytest.mark.parametrize("kind", ["store", "cookie"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_option_of_the_cookie_that_changes_logs_nobody_out(
    make: Make, store: RecordingStore, change: str, kind: str
) -> None:
    """Nor does it keep a login or a logout from being one, with the cookie from before still there
    and after it has gone."""
    kept = store if kind == "store" else CookieStore()
    before, after = CHANGES[change]
    jar, old, new = Jar(), make(kept, **before), make(kept, **after)
    with jar.request(old, "/shop") as session:
        log_in(session)
    places = set(jar.cookies)
    assert jar.owner(new, "/shop") == "ann"
    for _ in range(2):
        with jar.request(new, "/shop") as session:
            log_in(session)
        assert jar.owner(new, "/shop") == "ann"
    with jar.request(new, "/shop") as session:
        session.invalidate()
    if kind == "store":  # a cookie that holds its session cannot be ended by name
        assert jar.owner(new, "/shop") is None
    for place in places & set(jar.cookies):
        del jar.cookies[place]
    assert jar.owner(new, "/shop") is None


def signed(manager: SessionManager, owner: str) -> str:
    """The cookie value of a new session."""
    jar = Jar()
    with jar.request(manager) as session:
        session.login(owner)
    [value] = jar.cookies.values()
    return value


def header(*values: str) -> str:
    return "; ".join(f"sid={value}" for value in values)


def test_the_store_decides_which_session_is_alive(make: Make, store: RecordingStore) -> None:
    """Of up to three, in any order; each is loaded once."""
    manager = make()
    values = [signed(manager, owner) for owner in ("ann", "bob", "cid")]
    for dead in values[:2]:
        store.inner.delete(dead[:22])
    for order in (values, values[::-1], [values[2], values[0], values[1]]):
        store.pop_calls()
        assert manager.open(header(*order)).owner == "cid"
        assert store.pop_calls() == ["load"] * 3


def test_more_than_three_sessions_are_nobody_and_cost_nothing(
    make: Make, store: RecordingStore
) -> None:
    """Eighty signed cookies fit into one header. The same one many times is one."""
    manager = make()
    values = [signed(manager, "ann") for _ in range(4)]
    store.pop_calls()
    assert manager.open(header(*values)).owner is None
    assert store.pop_calls() == []
    assert manager.open(header(*[values[0]] * 80)).owner == "ann"
    assert store.pop_calls() == ["load"]


def test_a_secret_that_was_replaced_beside_the_one_that_replaced_it(
    make: Make, store: RecordingStore, clock: ManualClock
) -> None:
    """One id, one load; at once and after the 30 s."""
    manager, jar = make(), Jar()
    with jar.request(manager) as session:
        session["x"] = 1
    [old] = jar.cookies.values()
    with jar.request(manager) as session:
        session.login("ann")
    [new] = jar.cookies.values()
    for pause in (0, 29, 3600):
        clock.advance(pause)
        for both in (header(old, new), header(new, old)):
            store.pop_calls()
            assert manager.open(both).owner == "ann"
            assert store.pop_calls() == ["load"]


def test_a_cookie_that_was_renewed_beside_itself(make: Make, clock: ManualClock) -> None:
    """The same session, signed at two times."""
    manager, jar = make(), Jar()
    with jar.request(manager) as session:
        session.login("ann")
    [old] = jar.cookies.values()
    clock.advance(20_000)
    with jar.request(manager) as session:
        assert session.owner == "ann"
    [new] = jar.cookies.values()
    assert old != new
    assert manager.open(header(old, new)).owner == "ann"


@pytest.mark.parametrize("end", [log_in, Session.invalidate, Session.clear])
def test_a_login_or_logout_ends_two_living_sessions(
    make: Make, store: RecordingStore, end: Callable[[Session], None]
) -> None:
    """The request has proved both; until then it is nobody, whatever else it does."""
    manager = make()
    values = [signed(manager, "ann"), signed(manager, "bob")]
    session = manager.open(header(*values))
    assert (session.owner, session.new) == (None, True)
    session["x"] = 1
    manager.commit(session)
    assert all(store.inner.load(value[:22]) for value in values)
    session = manager.open(header(*values))
    end(session)
    headers = manager.commit(session)
    assert not any(store.inner.load(value[:22]) for value in values)
    assert "Set-Cookie" in dict(headers)


def test_a_login_expires_the_variants_and_nothing_twice(make: Make) -> None:
    """Without a domain and with it, at ``/`` and at the path, under former names; of a request
    with one cookie, none."""
    manager = make(
        cookie_domain="example.com", cookie_path="/shop", former_cookie_names=["old", "older"]
    )
    value = signed(manager, "ann")

    def places(cookies: str) -> list[str]:
        session = manager.open(cookies)
        session.login("ann")
        return [line for _, line in manager.commit(session)]

    assert len(places(header(value))) == 1
    lines = places(f"{header(value, 'x')}; old=x")
    expired = [line for line in lines if "Max-Age=0" in line]
    assert len(lines) == len(set(lines)) == 1 + 3 + 4
    assert len(expired) == 7
    assert not any(line.startswith("older=") for line in lines)


def test_the_current_name_decides_alone(make: Make, store: RecordingStore) -> None:
    """A sibling domain can set the former one."""
    old = make()
    new = make(cookie_name="__Host-sid", cookie_secure=True, former_cookie_names=["sid"])
    victim, planted = Jar(), signed(old, "mallory")
    with victim.request(new) as session:
        session.login("ann")
    own = victim.header()
    store.pop_calls()
    assert new.open(f"sid={planted}; {own}").owner == "ann"
    assert store.pop_calls() == ["load"]
    assert new.open(f"sid={planted}").owner == "mallory"
    with victim.request(new) as session:
        session.regenerate()
    assert new.open(f"sid={planted}; {own}").owner is None  # superseded: decided too


def test_a_value_of_the_current_name_is_none_of_the_former(make: Make) -> None:
    """The signature is bound to the name."""
    new = make(cookie_name="__Host-sid", cookie_secure=True, former_cookie_names=["sid"])
    jar = Jar()
    with jar.request(new) as session:
        session.login("ann")
    [value] = jar.cookies.values()
    assert new.open(f"sid={value}").owner is None


@pytest.mark.parametrize("cookie", ["x", "A" * 99, "gone"])
@pytest.mark.parametrize("end", [Session.invalidate, Session.clear])
def test_a_logout_with_a_cookie_that_opens_nothing_expires_it(
    make: Make, store: RecordingStore, cookie: str, end: Callable[[Session], None]
) -> None:
    """So that the browser forgets it; a request without one is told nothing."""
    manager = make()
    if cookie == "gone":
        cookie = signed(manager, "ann")
        store.inner.delete(cookie[:22])
    session = manager.open(header(cookie))
    end(session)
    [(_, line)] = manager.commit(session)
    assert "Max-Age=0" in line
    session = manager.open("other=1")
    end(session)
    assert manager.commit(session) == []


@pytest.mark.parametrize(
    "joined",
    ["a=1,{}", "{},a=1", "a=1, {}", "{} , a=1", "a=1; b=2,{}", "a=1,{},b=2; c=3", "a=1,{0},{0}"],
)
def test_lines_that_a_front_end_joined_by_commas(make: Make, joined: str) -> None:
    """HTTP/2 hands the crumbs of the header on as several lines."""
    manager = make()
    assert manager.open(joined.format(header(signed(manager, "ann")))).owner == "ann"


def test_a_pair_after_a_comma_hides_none_of_ours(make: Make) -> None:
    """It may be the value of another cookie."""
    manager = make()
    ann, bob = signed(manager, "ann"), signed(manager, "bob")
    assert manager.open(f"a=1,sid={bob}; sid={ann}").owner == "ann"
    assert manager.open(f"sid={ann}; a=1,sid={bob}").owner == "ann"
    assert manager.open(f"sid={ann},sid={bob}").owner == "ann"
    assert manager.open(f"a=1,sid={bob}; sid=x").owner is None


def test_the_host_of_these_tests_is_below_the_domain() -> None:
    assert HOST.endswith(".example.com")


def test_a_new_name_in_a_rolling_deployment(make: Make, clock: ManualClock) -> None:
    """Old workers know only the former name; whichever answers, the visitor stays who he is, and a
    login or logout by either counts for both at once."""
    old = make()
    new = make(cookie_name="__Host-sid", cookie_secure=True, former_cookie_names=["sid"])
    jar = Jar()
    with jar.request(old) as session:
        session.login("ann")
    for manager in (old, new, new, old, new):
        assert jar.owner(manager) == "ann"
    with jar.request(old) as session:
        session.login("ann")
        session["x"] = 1
    for pause in (0, 20, 20):
        clock.advance(pause)
        with jar.request(new) as session:
            assert (session.owner, session["x"]) == ("ann", 1)
        assert len({value[:44] for value in jar.cookies.values()}) == 1  # it was replaced
    with jar.request(old) as session:
        session.invalidate()
    assert (jar.owner(old), jar.owner(new)) == (None, None)


def test_a_login_lists_nothing_where_there_is_no_index_and_says_so_once(
    make: Make, store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wsgi_sessions")
    manager = make()
    signed(manager, "ann")
    signed(manager, "bob")
    assert (
        caplog.messages.count("logins are not listed by owner: this store has no index of owners")
        == 1
    )
