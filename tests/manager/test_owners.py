"""Sessions without a request: listed by owner, ended and changed by id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest

from tests.support.every_store import STORES
from tests.support.visitor import Visitor, warm
from wsgi_sessions import (
    ConfigurationError,
    CookieStore,
    MemcachedStore,
    MemoryStore,
    SessionClosed,
    SessionManager,
    SessionMiddleware,
)
from wsgi_sessions.manager.device import browser_and_system
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
INDEXED = [name for name in STORES if name != "memcached"]


@pytest.fixture
def inner(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.fixture
def manager(inner: MemoryStore, clock: ManualClock) -> SessionManager:
    return warm(SessionManager(inner, secret=SECRET, clock=clock, lifetime=3600))


def log_in(manager: SessionManager, owner: str, **values: Any) -> Visitor:
    visitor = Visitor(manager)
    with visitor.request() as session:
        session.login(owner)
        session.update(values)
    return visitor


def id_of(visitor: Visitor) -> str:
    return visitor.cookie[:22]


# Lists


@pytest.mark.parametrize("name", INDEXED)
def test_the_sessions_of_an_owner_are_listed_oldest_first(
    name: str, request: pytest.FixtureRequest, clock: ManualClock
) -> None:
    """Those that are alive, and nobody else's."""
    import time

    clock = ManualClock(time.time())
    manager = warm(SessionManager(STORES[name](request, clock), secret=SECRET, clock=clock))
    visitors = []
    for _ in range(3):
        visitors.append(log_in(manager, f"ann of {name}"))
        clock.advance(1)
    log_in(manager, f"bob of {name}")
    with visitors[1].request() as session:
        session.invalidate()
    listed = manager.sessions_of(f"ann of {name}")
    assert [info.id for info in listed] == [id_of(visitors[0]), id_of(visitors[2])]
    assert {info.owner for info in listed} == {f"ann of {name}"}


def test_what_is_listed_says_when(manager: SessionManager, clock: ManualClock) -> None:
    """It began, was last saved, and ends."""
    began = clock()
    visitor = log_in(manager, "ann")
    clock.advance(600)
    with visitor.request() as session:
        session["x"] = 1
    [info] = manager.sessions_of("ann")
    assert (info.created_at, info.last_seen, info.expires_at) == (began, clock(), clock() + 3600)
    assert (info.id, info.owner, info.permanent, info.device) == (
        *(id_of(visitor), "ann", False, None),
    )


def test_no_session_that_ended_by_itself_stays_in_the_index(
    manager: SessionManager, inner: MemoryStore, clock: ManualClock
) -> None:
    """A program that logs in ten times a day and never out."""
    for _ in range(50):
        log_in(manager, "robot")
        clock.advance(8640)
    assert len(list(inner.keys_of("robot"))) <= 1
    assert manager.sessions_of("robot") == []


@pytest.mark.parametrize("step", [100.0, 300.0, 400.0, 3000.0])
def test_a_session_in_use_stays_listed(
    manager: SessionManager, clock: ManualClock, step: float
) -> None:
    """However often it is saved, and until its last moment."""
    visitor = log_in(manager, "ann")
    for number in range(60):
        clock.advance(step)
        with visitor.request() as session:
            session["n"] = number
    clock.advance(3599)
    assert len(manager.sessions_of("ann")) == 1


def test_a_session_that_only_a_long_stream_saves_stays_listed(
    manager: SessionManager, clock: ManualClock
) -> None:
    """No request renews it."""
    visitor = log_in(manager, "ann")
    session = visitor.open()
    session.get("x")
    manager.finish(session, "200 OK", [])
    for number in range(40):
        clock.advance(1800)
        session["n"] = number
        session.save()
    assert len(manager.sessions_of("ann")) == 1


def test_a_lifetime_that_was_made_longer_moves_the_listing(
    manager: SessionManager, clock: ManualClock
) -> None:
    """By the visitor, or by id."""
    ann, bob = log_in(manager, "ann"), log_in(manager, "bob")
    with ann.request() as session:
        session.lifetime = 86_400
    with manager.open_id(id_of(bob)) as opened:
        assert opened is not None
        opened.lifetime = 86_400
    clock.advance(80_000)
    assert len(manager.sessions_of("ann")) == len(manager.sessions_of("bob")) == 1


def test_a_store_without_an_index_names_those_that_have_one() -> None:
    """Instead of a list that is empty."""
    manager = SessionManager(MemcachedStore(), secret=SECRET)
    for ask in (manager.sessions_of, manager.revoke_all):
        with pytest.raises(ConfigurationError, match=r"MemcachedStore.*RedisStore"):
            ask("ann")
    in_cookie = SessionManager(CookieStore(), secret=SECRET)
    with pytest.raises(ConfigurationError, match="CookieStore"):
        in_cookie.open_id("A" * 22)
    with pytest.raises(ConfigurationError, match="CookieStore"):
        in_cookie.revoke("A" * 22, owner=None)


# Ending


def test_only_the_owner_named_is_logged_out(manager: SessionManager) -> None:
    """Ids are public."""
    ann = log_in(manager, "ann")
    assert not manager.revoke(id_of(ann), owner="bob")
    assert ann.open().owner == "ann"
    assert manager.revoke(id_of(ann), owner="ann")
    assert not manager.revoke(id_of(ann), owner="ann")
    assert ann.open().owner is None


@pytest.mark.parametrize("id", ["", "x", "A" * 21, "A" * 22, "A" * 44, "../../etc", "ä" * 22])
def test_an_id_that_is_none_ends_and_opens_nothing(manager: SessionManager, id: str) -> None:
    """Whatever it looks like."""
    assert not manager.revoke(id, owner=None)
    with manager.open_id(id) as session:
        assert session is None


def test_what_cannot_be_read_is_ended_for_anybody_only(
    manager: SessionManager, inner: MemoryStore, clock: ManualClock
) -> None:
    """A damaged record names no owner."""
    id = "A" * 22
    inner.save(id, b"damaged", expires_at=clock() + 60, replacing=None)
    assert not manager.revoke(id, owner="ann")
    assert inner.load(id) is not None
    assert manager.revoke(id, owner=None)
    assert inner.load(id) is None


def test_all_of_an_owner_are_ended_also_those_that_others_only_can_read(
    manager: SessionManager, inner: MemoryStore, clock: ManualClock
) -> None:
    """Of a worker that is newer, or has another key: the store lists whose they are."""
    newer = SessionManager(inner, secret=SECRET, clock=clock, encryption_keys=[b"k" * 32])
    warm(newer)
    ann, bob = log_in(newer, "ann"), log_in(newer, "bob")
    log_in(manager, "ann")
    assert manager.revoke_all("ann", keep=id_of(ann)) == 1
    assert ann.open().owner == "ann"
    assert manager.revoke_all("ann") == 1
    assert (ann.open().owner, bob.open().owner) == (None, "bob")
    assert manager.revoke_all("ann") == 0


def test_all_but_one_are_ended(manager: SessionManager) -> None:
    """The one that asks, as a session or as its id."""
    visitors = [log_in(manager, "ann") for _ in range(4)]
    bob = log_in(manager, "bob")
    assert manager.revoke_all("ann", keep=visitors[1].open()) == 3
    assert [visitor.open().owner for visitor in visitors] == [None, "ann", None, None]
    assert manager.revoke_all("ann", keep=id_of(visitors[1])) == 0
    assert manager.revoke_all("ann") == 1
    assert bob.open().owner == "bob"


def test_a_session_that_was_ended_stays_dead_under_ten_requests(
    inner: MemoryStore, manager: SessionManager
) -> None:
    """That are in flight, each of which writes."""
    ann = log_in(manager, "ann")
    opened, go = Barrier(11), Event()

    def visit(number: int) -> None:
        visitor = ann.twin()
        for attempt in range(20):
            session = visitor.open()
            session[f"{number}"] = attempt
            if attempt == 0:
                opened.wait(60)
                go.wait(60)
            manager.commit(session)

    with ThreadPoolExecutor(10) as pool:
        running = [pool.submit(visit, number) for number in range(10)]
        opened.wait(60)
        go.set()
        assert manager.revoke(id_of(ann), owner="ann")
        for one in running:
            one.result(60)
    assert ann.open().copy() == {}
    assert manager.sessions_of("ann") == []
    assert inner.load(id_of(ann)) is None


# Changing


def test_a_role_is_changed_under_the_hands_of_its_visitor(manager: SessionManager) -> None:
    """Neither loses what the other did, and nobody is logged out."""
    ann = log_in(manager, "ann", role="editor", cart=["book"])
    request = ann.open()
    request["cart"].append("pen")
    with manager.open_id(id_of(ann)) as session:
        assert session is not None
        session["role"] = "admin"
        session["seen"] = 1
        ann.respond(request)
    assert ann.read() == {"role": "admin", "cart": ["book", "pen"], "seen": 1}
    assert ann.open().owner == "ann"
    assert not ann.open().superseded


def test_what_a_visitor_who_logs_in_again_overtakes_is_dropped_and_said(
    manager: SessionManager,
) -> None:
    """The new login is not touched."""
    ann = log_in(manager, "ann", role="editor")
    with manager.open_id(id_of(ann)) as session:
        assert session is not None
        session["role"] = "admin"
        with ann.request() as request:
            request.login("ann")
        session.save()
        assert session.superseded
    assert ann.read() == {"role": "editor"}


def _change_and(need: Any, manager: SessionManager, id: str) -> None:
    with manager.open_id(id) as opened:
        assert opened is not None
        opened["x"] = 1
        need(opened)


def test_what_needs_a_cookie_is_refused_by_id(inner: MemoryStore, clock: ManualClock) -> None:
    """And nothing else of the block is saved."""
    manager = SessionManager(inner, secret=SECRET, clock=clock, login_keys=("user",))
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["user"] = 7
    needs = [
        lambda session: session.login("ann"),
        lambda session: session.regenerate(),
        lambda session: session.update(user=8),
        lambda session: session.pop("user"),
        lambda session: setattr(session, "permanent", True),
        lambda session: session.sid,
    ]
    for need in needs:
        with pytest.raises(SessionClosed, match="by its id"):
            _change_and(need, manager, id_of(visitor))
    assert visitor.read() == {"user": 7}
    with manager.open_id(id_of(visitor)) as opened:
        opened["user"] = 7
        opened.permanent = False
    assert visitor.read() == {"user": 7}


def test_a_session_is_cleared_by_id_under_its_secret(manager: SessionManager) -> None:
    """What is put in its place is seen by the visitor."""
    ann = log_in(manager, "ann", cart=["book"])
    with manager.open_id(id_of(ann)) as session:
        assert session is not None
        session.clear()
        session["note"] = "moved"
    assert ann.read() == {"note": "moved"}


def test_a_session_is_ended_by_id_looked_at_or_not(manager: SessionManager) -> None:
    """And what is put in afterwards has nowhere to go."""
    for look in (False, True):
        ann = log_in(manager, "ann", a=1)
        with manager.open_id(id_of(ann)) as session:
            assert session is not None
            if look:
                assert session["a"] == 1
            session.invalidate()
            assert dict(session) == {}
            with pytest.raises(SessionClosed):
                session["b"] = 1
        assert ann.read() == {}


def test_get_by_id_finds_what_is_stored_before_anything_else_looked(
    manager: SessionManager,
) -> None:
    """There is no cookie, but there is a session."""
    ann = log_in(manager, "ann", role="editor", cart=["book"])
    with manager.open_id(id_of(ann)) as session:
        assert session is not None
        assert session.get("role") == "editor"
        assert session.get("cart") == ["book"]
        assert not session.new
        assert session.reload()
        assert session.get("role") == "editor"


def test_a_change_by_id_is_no_activity_of_the_visitor(
    manager: SessionManager, clock: ManualClock
) -> None:
    """The session ends when it would have, unless ``renew`` is called."""
    ann = log_in(manager, "ann")
    clock.advance(3000)
    with manager.open_id(id_of(ann)) as session:
        assert session is not None
        session["role"] = "admin"
    assert manager.sessions_of("ann")[0].expires_at == clock() + 600
    with manager.open_id(id_of(ann)) as session:
        assert session is not None
        session.renew()
    assert manager.sessions_of("ann")[0].expires_at == clock() + 3600


def test_nothing_is_saved_of_a_block_that_raises(manager: SessionManager) -> None:
    """The exception goes on."""
    ann = log_in(manager, "ann", a=1)
    kept = []

    def fail(session: Any) -> None:
        kept.append(session)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _change_and(fail, manager, id_of(ann))
    assert ann.read() == {"a": 1}
    with pytest.raises(SessionClosed):
        kept[0]["a"] = 3


# A session in hand


def test_a_stream_learns_of_a_logout_by_one_reload(manager: SessionManager) -> None:
    """After that it reads nothing and saves nothing."""
    ann = log_in(manager, "ann", a=1)
    stream = ann.open()
    assert stream["a"] == 1
    manager.finish(stream, "200 OK", [])
    assert stream.reload()
    with ann.twin().request() as other:
        other["a"] = 2
    assert stream.reload()
    assert stream["a"] == 2
    manager.revoke(id_of(ann), owner="ann")
    assert not stream.reload()
    assert stream.superseded
    assert dict(stream) == {}
    stream["a"] = 3
    stream.save()
    assert ann.read() == {}
    assert not stream.reload()


def test_reload_forgets_what_was_not_saved_and_follows_a_new_secret(
    manager: SessionManager,
) -> None:
    """One that the request itself has made; another request's ends it."""
    ann = log_in(manager, "ann", a=1)
    mine = ann.open()
    mine.regenerate()
    mine["a"] = 2
    mine.save()
    mine["a"] = 3
    assert mine.reload()
    assert mine["a"] == 2
    ann.respond(mine)
    with ann.twin().request() as other:
        other.regenerate()
    assert not mine.reload()


def test_a_session_that_was_created_is_stored_although_empty(
    manager: SessionManager, inner: MemoryStore
) -> None:
    """Until it is cleared."""
    visitor = Visitor(manager)
    with visitor.request() as session:
        session.create()
        id = session.id
    assert visitor.cookie.startswith(id)
    assert inner.load(id) is not None
    assert not visitor.open().new
    with visitor.request() as session:
        session["a"] = 1
    with visitor.request() as session:
        del session["a"]
    assert inner.load(id) is not None
    with visitor.request() as session:
        session.create()
        session.clear()
    assert inner.load(id) is None


def test_renew_counts_however_recent_the_last_was(
    manager: SessionManager, clock: ManualClock
) -> None:
    """The cookie goes out afresh."""
    ann = log_in(manager, "ann")
    clock.advance(10)
    with ann.request() as session:
        session.renew()
    assert ann.set_cookie is not None
    assert manager.sessions_of("ann")[0].expires_at == clock() + 3600
    nobody = Visitor(manager)
    with nobody.request() as session:
        session.renew()
    assert nobody.set_cookie is None


# Options

AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Linux",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0 Safari/537.36 Edg/126.0": "Edge on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15": "Safari on macOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) CriOS/126.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36": "Samsung Internet on Android",
    "curl/8.5.0": "curl",
    "": None,
    "\xff" * 10_000: None,
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_browser_is_called_what_its_user_calls_it(agent: str) -> None:
    """Not what it says for the sake of old sites."""
    assert browser_and_system({"HTTP_USER_AGENT": agent}) == AGENTS[agent]


def test_the_device_is_described_at_a_login_and_at_no_other_time(clock: ManualClock) -> None:
    """In at most 100 characters."""
    asked = []

    def describe(environ: dict[str, Any]) -> str:
        asked.append(environ["PATH_INFO"])
        return environ["PATH_INFO"] * 100

    manager = SessionManager(
        MemoryStore(clock=clock), secret=SECRET, clock=clock, describe_device=describe
    )
    session = manager.open(None, {"PATH_INFO": "/login"})
    session.login("ann")
    [(_, line)] = manager.commit(session)
    cookie = line.partition(";")[0]
    session = manager.open(cookie, {"PATH_INFO": "/page"})
    session["a"] = 1
    session.regenerate()
    manager.commit(session)
    assert asked == ["/login"]
    [info] = manager.sessions_of("ann")
    assert info.device == ("/login" * 100)[:100]


def test_the_domain_of_the_cookie_is_that_of_the_request() -> None:
    """Where it is a function of the environment, and for a cookie that is expired too."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/out":
            environ["wsgi.session"].invalidate()
        else:
            environ["wsgi.session"]["a"] = 1
        start_response("200 OK", [])
        return []

    wrapped = SessionMiddleware(
        app,
        MemoryStore(),
        secret=SECRET,
        cookie_domain=lambda environ: environ["HTTP_HOST"].removeprefix("www."),
        cookie_secure=True,
    )

    def call(host: str, path: str = "/", cookie: str = "") -> str:
        lines: list[str] = []
        environ = {"HTTP_HOST": host, "PATH_INFO": path, "wsgi.url_scheme": "https"}
        if cookie:
            environ["HTTP_COOKIE"] = cookie

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            lines.extend(value for name, value in headers if name == "Set-Cookie")

        wrapped(environ, start_response)
        return lines[0]

    first = call("www.a.example")
    assert "Domain=a.example" in first
    assert "Domain=b.example" in call("b.example")
    assert "Domain=a.example" in call("www.a.example", "/out", first.partition(";")[0])
    manager = wrapped.manager
    session = manager.open(None)
    session["a"] = 1
    with pytest.raises(ConfigurationError, match="environ"):
        manager.commit(session)
