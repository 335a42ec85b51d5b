"""How long a session lives, as a browser meets it; and that its cookie is one a browser keeps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.support.browser import Browser, Jar
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, SessionManager, SessionMiddleware
from wsgi_sessions.testing import ManualClock

HOUR = 3600.0
DAY = 24 * HOUR
LIFETIMES = {"/begin": DAY, "/remember": 31 * DAY}  # the defaults


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Does what the path ends with; all but ``nothing`` tell whether the visitor is known."""
    session = environ["wsgi.session"]
    action = environ["PATH_INFO"].rpartition("/")[2]
    match action:
        case "begin" | "write":
            session["visits"] = session.get("visits", 0) + 1
        case "remember":
            session["visits"], session.permanent = 1, True
        case "forget":
            session.permanent = False
        case "login":
            session.login("ann")
        case "regenerate":
            session.regenerate()
        case "logout":
            session.invalidate()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"" if action == "nothing" else b"known" if session else b"stranger"]


@pytest.fixture
def visit(store: RecordingStore, clock: ManualClock) -> Any:
    """Makes a browser that visits an application with these options."""

    def visit(at: str = "https://shop.example", **options: Any) -> Browser:
        app = SessionMiddleware(application, store, secret="secret", clock=clock, **options)
        return Browser(app, clock, at)

    return visit


# Idle


@pytest.mark.parametrize("kind", LIFETIMES)
def test_a_session_nobody_uses_ends_after_its_lifetime(
    visit: Any, clock: ManualClock, kind: str
) -> None:
    """Not a second earlier, and for who kept a copy of the cookie too."""
    punctual, late, thief = visit(), visit(), visit()
    for browser in (punctual, late):
        browser.get(kind)
    thief.jar = late.jar.copy()
    for cookie in thief.jar:
        cookie.expires_at = float("inf")

    clock.advance(LIFETIMES[kind] - 1)
    assert punctual.get().text == "known"
    clock.advance(1)
    assert late.get().text == "stranger"
    assert thief.get().text == "stranger"


@pytest.mark.parametrize("kind", LIFETIMES)
def test_a_session_that_is_used_goes_on(visit: Any, clock: ManualClock, kind: str) -> None:
    """Reading is use."""
    browser = visit(absolute_lifetime=None)
    browser.get(kind)
    for _ in range(100):
        clock.advance(0.9 * LIFETIMES[kind])
        assert browser.get().text == "known"


def test_a_request_that_does_not_look_at_the_session_is_no_use(
    visit: Any, clock: ManualClock, store: RecordingStore
) -> None:
    """It costs no store call, so it cannot renew anything."""
    browser = visit()
    browser.get("/begin")
    store.pop_calls()
    for _ in range(24):
        clock.advance(HOUR)
        assert browser.get("/nothing").cookies == []
    assert store.pop_calls() == []
    assert browser.get().text == "stranger"


# Renewal


@pytest.mark.parametrize("path", ["/", "/write"])
@pytest.mark.parametrize("kind", LIFETIMES)
def test_the_cookie_is_renewed_once_per_tenth_of_the_lifetime(
    visit: Any, clock: ManualClock, kind: str, path: str
) -> None:
    """Or per day if that is less; at the first use after it is over, however often it is used."""
    tenth = min(LIFETIMES[kind] / 10, DAY)
    browser = visit(absolute_lifetime=None)
    browser.get(kind)
    renewed_at = [clock()]
    for _ in range(1000):
        clock.advance(tenth / 40)
        if browser.get(path).cookies:
            renewed_at.append(clock())
    gaps = {later - earlier for earlier, later in pairwise(renewed_at)}
    assert len(renewed_at) > 20
    assert min(gaps) > tenth
    assert max(gaps) <= tenth * 41 / 40 + 1


def test_a_renewal_costs_one_round_trip(
    visit: Any, clock: ManualClock, store: RecordingStore
) -> None:
    """A read is a load; where a renewal is due it is a load and a save, once."""
    browser = visit()
    browser.get("/begin")
    clock.advance(3 * HOUR)
    store.pop_calls()
    browser.get()
    assert store.pop_calls() == ["load", "save"]
    browser.get()
    assert store.pop_calls() == ["load"]


@pytest.mark.parametrize("used_after", [0.01, 0.05, 0.1, 0.11, 0.5, 0.99])
def test_throttled_renewal_takes_at_most_a_tenth(
    visit: Any, clock: ManualClock, used_after: float
) -> None:
    """After its last use a session lives nine tenths of its lifetime at least, one at most."""
    one, other = visit(), visit()
    for browser in (one, other):
        browser.get("/begin")
    clock.advance(used_after * DAY)
    for browser in (one, other):
        browser.get()
    clock.advance(0.9 * DAY - 1)
    assert one.get().text == "known"
    clock.advance(0.1 * DAY + 1)
    assert other.get().text == "stranger"


# What counts as activity


def is_no_poll(environ: dict[str, Any]) -> bool:
    return not environ["PATH_INFO"].startswith("/poll")


@pytest.mark.parametrize("kind", LIFETIMES)
@pytest.mark.parametrize("path", ["/poll/read", "/poll/write"])
def test_a_request_that_is_no_activity_does_not_prolong_a_session(
    visit: Any, clock: ManualClock, kind: str, path: str
) -> None:
    """Reading or writing, however often; it sends no cookie."""
    browser = visit(renews=is_no_poll)
    browser.get(kind)
    for _ in range(19):
        clock.advance(LIFETIMES[kind] / 20)
        response = browser.get(path)
        assert (response.text, response.cookies) == ("known", [])
    clock.advance(LIFETIMES[kind] / 20)
    assert browser.get("/poll/read").text == "stranger"


def test_what_a_request_that_is_no_activity_writes_is_kept(
    visit: Any, clock: ManualClock, store: RecordingStore
) -> None:
    """A read of it costs one round trip, although a renewal is due; the next activity renews."""
    browser = visit(renews=is_no_poll)
    browser.get("/begin")
    clock.advance(DAY / 2)
    browser.get("/poll/write")
    store.pop_calls()
    assert browser.get("/poll/read").cookies == []
    assert store.pop_calls() == ["load"]
    assert browser.get("/read").cookies != []
    clock.advance(DAY - 1)
    assert browser.get("/read").text == "known"


@pytest.mark.parametrize("path", ["/poll/login", "/poll/regenerate", "/poll/remember"])
def test_a_login_and_another_lifetime_are_activity_by_themselves(
    visit: Any, clock: ManualClock, path: str
) -> None:
    """They need a cookie, and would otherwise begin half used up."""
    browser = visit(renews=is_no_poll)
    browser.get("/begin")
    clock.advance(DAY / 2)
    assert browser.get(path).cookies != []
    clock.advance(DAY - 1)
    assert browser.get("/poll/read").text == "known"


def test_a_session_that_a_request_without_activity_begins_lives_its_whole_lifetime(
    visit: Any, clock: ManualClock
) -> None:
    browser = visit(renews=is_no_poll)
    assert browser.get("/poll/write").cookies != []
    clock.advance(DAY - 1)
    assert browser.get("/poll/read").text == "known"


def test_renews_is_not_asked_where_nothing_is_saved(visit: Any, clock: ManualClock) -> None:
    asked: list[str] = []

    def renews(environ: dict[str, Any]) -> bool:
        asked.append(environ["PATH_INFO"])
        return True

    browser = visit(renews=renews)
    for path in ("/begin", "/nothing", "/read", "/write"):
        browser.get(path)
    assert asked == ["/begin", "/write"]
    clock.advance(DAY / 2)
    browser.get("/read")
    assert asked == ["/begin", "/write", "/read"]


# Absolute


def test_every_session_ends_at_its_absolute_lifetime(visit: Any, clock: ManualClock) -> None:
    """Whatever the activity."""
    browser = visit(absolute_lifetime=10 * DAY)
    browser.get("/begin")
    for _ in range(10 * 24 - 1):
        clock.advance(HOUR)
        assert browser.get("/write").text == "known"
    clock.advance(HOUR - 1)
    assert browser.get().text == "known"
    clock.advance(1)
    assert browser.get().text == "stranger"


@pytest.mark.parametrize(("path", "ends_at"), [("/login", 16), ("/regenerate", 10)])
def test_a_login_starts_the_absolute_lifetime_again(
    visit: Any, clock: ManualClock, path: str, ends_at: int
) -> None:
    """``regenerate()`` alone does not."""
    browser = visit(absolute_lifetime=10 * DAY, lifetime=5 * DAY)
    browser.get("/begin")
    began_at = clock()
    for _ in range(2):
        clock.advance(3 * DAY)
        browser.get()
    browser.get(path)
    while browser.get().text == "known":
        clock.advance(HOUR)
    assert clock() - began_at == ends_at * DAY


@pytest.mark.parametrize(
    ("pause", "ends_at"), [(DAY, DAY), (HOUR, 2 * DAY)], ids=["idle", "absolute"]
)
def test_lifetimes_hold_in_a_store_that_forgets_nothing(
    clock: ManualClock, pause: float, ends_at: float
) -> None:
    """Its clock may be wrong; ours decides."""
    store = MemoryStore(clock=ManualClock(0.0))
    options = {"secret": "secret", "clock": clock, "absolute_lifetime": 2 * DAY}
    browser = Browser(SessionMiddleware(application, store, **options), clock)
    browser.get("/begin")
    began_at = clock()
    while browser.get().text == "known" and clock() < began_at + 3 * DAY:
        clock.advance(pause)
    assert clock() == began_at + ends_at


# The cookie's own life


def test_an_ordinary_cookie_ends_with_the_browser(visit: Any) -> None:
    """It has neither Expires nor Max-Age."""
    browser = visit()
    browser.get("/begin")
    browser.jar.restart()
    assert browser.get().text == "stranger"


def test_a_permanent_cookie_outlives_the_browser(visit: Any, clock: ManualClock) -> None:
    """And goes when the session does."""
    browser = visit()
    browser.get("/remember")
    for _ in range(2):
        clock.advance(30 * DAY)
        browser.jar.restart()
        assert browser.get().text == "known"
    clock.advance(31 * DAY - 1)
    assert list(browser.jar) == []  # the absolute lifetime of 90 days cut it short


def test_a_permanent_cookie_ends_when_the_session_does(visit: Any, clock: ManualClock) -> None:
    """Never later than the absolute lifetime."""
    browser = visit(absolute_lifetime=40 * DAY)
    browser.get("/remember")
    [first] = browser.jar
    assert first.expires_at == clock() + 31 * DAY
    clock.advance(20 * DAY)
    browser.get()
    [renewed] = browser.jar
    assert renewed.expires_at == clock() + 20 * DAY


def test_permanent_can_be_taken_back(visit: Any, clock: ManualClock) -> None:
    """The cookie ends with the browser again, and the shorter lifetime holds."""
    browser = visit()
    browser.get("/remember")
    browser.get("/forget")
    [cookie] = browser.jar
    assert not cookie.persistent
    clock.advance(DAY)
    assert browser.get().text == "stranger"


# Clocks that are set


@pytest.mark.parametrize("by", [-DAY, -HOUR, HOUR, DAY], ids=["-day", "-hour", "+hour", "+day"])
def test_a_clock_that_jumps_ends_no_session(visit: Any, clock: ManualClock, by: float) -> None:
    """Nor does it when it jumps back; each jump costs at most one renewal."""
    browser = visit(lifetime=2 * DAY)
    browser.get("/begin")
    for jump in (by, -by, -by, by):
        clock.advance(jump)
        cookies = 0
        for path in ("/", "/write", "/"):
            page = browser.get(path)
            assert page.text == "known"
            cookies += len(page.cookies)
        assert cookies == (abs(by) > 2 * DAY / 10)


@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_a_clock_that_was_ahead_prolongs_by_no_more(
    visit: Any, clock: ManualClock, ahead: float
) -> None:
    """A session begun while the clock was wrong ends late by the error at most."""
    one, other, began_at = visit(), visit(), clock()
    clock.advance(ahead)
    for browser in (one, other):
        browser.get("/begin")
    clock.now = began_at + DAY - 1
    assert one.get().text == "known"
    clock.now = began_at + ahead + DAY
    assert other.get().text == "stranger"


@pytest.mark.parametrize("by", [-DAY, -HOUR, HOUR, DAY], ids=["-day", "-hour", "+hour", "+day"])
def test_a_logout_holds_whatever_the_clock_does(visit: Any, clock: ManualClock, by: float) -> None:
    """Neither the cookie that was logged out nor one that was replaced opens anything again."""
    browser, thief, older_thief = visit(lifetime=9 * DAY), visit(), visit()
    browser.get("/begin")
    older_thief.jar = browser.jar.copy()
    browser.get("/login")
    thief.jar = browser.jar.copy()
    for moment in (by, -by):
        clock.advance(moment)
        assert older_thief.get().text == "stranger"
    browser.get("/logout")
    for moment in (by, -by):
        clock.advance(moment)
        assert thief.get().text == "stranger"
        assert older_thief.get().text == "stranger"


# Where the cookie goes


HOST = {"cookie_name": "__Host-sid", "cookie_secure": True}
SECURE = {"cookie_name": "__Secure-sid", "cookie_secure": True}
DOMAIN = {"cookie_domain": "shop.example"}
PATH = {"cookie_path": "/shop"}
PARTITIONED = {"cookie_partitioned": True, "cookie_secure": True, "cookie_samesite": "None"}
SHOP, SUB, PLAIN = "https://shop.example", "https://www.shop.example", "http://shop.example"


@pytest.mark.parametrize(
    ("options", "goes_to", "does_not_go_to"),
    [
        ({}, [SHOP + "/shop/x"], [SUB + "/", PLAIN + "/"]),
        ({"cookie_secure": False}, [SHOP + "/", PLAIN + "/"], [SUB + "/"]),
        (HOST, [SHOP + "/x"], [SUB + "/", PLAIN + "/"]),
        (SECURE, [SHOP + "/x"], [SUB + "/", PLAIN + "/"]),
        (SECURE | PATH, [SHOP + "/shop/x"], [SHOP + "/"]),
        (SECURE | DOMAIN, [SUB + "/"], ["https://example/", "https://myshop.example/"]),
        (DOMAIN, [SHOP + "/", SUB + "/"], [PLAIN + "/"]),
        (PATH, [SHOP + "/shop", SHOP + "/shop/x"], [SHOP + "/", SHOP + "/shopping"]),
        (PARTITIONED, [SHOP + "/"], [PLAIN + "/"]),
    ],
    ids=["-", "secure=False", "__Host", "__Secure", "__Secure+path", "__Secure+domain", "domain",
         "path", "partitioned"],
)  # fmt: skip
def test_the_cookie_goes_where_the_options_say(
    visit: Any, options: dict[str, Any], goes_to: list[str], does_not_go_to: list[str]
) -> None:
    """A browser keeps it, sends it there and nowhere else, and drops it at the logout."""
    browser = visit(**options)
    browser.get("/begin")
    for url in goes_to:
        assert browser.jar.header_for(url).count("sid=") == 1
    for url in does_not_go_to:
        assert browser.jar.header_for(url) == ""
    here = goes_to[0].rstrip("/")
    assert browser.get("/", at=here).text == "known"
    browser.get("/logout", at=here)
    assert list(browser.jar) == []


@pytest.mark.parametrize("name", ["sid", "__Secure-sid", "__Host-sid"])
def test_a_secure_cookie_is_worth_nothing_over_plain_http(visit: Any, name: str) -> None:
    """The browser refuses it, so a wrong set-up is seen at once and leaks no cookie."""
    browser = visit(PLAIN, cookie_name=name, cookie_secure=True)
    page = browser.request("/begin")
    [header] = page.cookies
    assert not browser.jar.take(page.url, header)


@pytest.mark.parametrize(
    "header",
    [
        "__Host-a=1; Path=/",
        "__Host-a=1; Secure",
        "__Host-a=1; Secure; Path=/shop",
        "__Host-a=1; Secure; Path=/; Domain=shop.example",
        "__host-a=1; Path=/",
        "__Secure-a=1",
        "__secure-a=1; Path=/",
        "a=1; Domain=other.example",
        "a=1; Domain=www.shop.example",
        "a=" + "1" * 4096,
    ],
)
def test_the_browser_of_these_tests_refuses_what_browsers_refuse(
    clock: ManualClock, header: str
) -> None:
    """RFC 6265bis section 5.7; else the tests above would prove nothing."""
    jar = Jar(clock)
    assert not jar.take(SHOP + "/", header)
    assert list(jar) == []


# -- an end that the application sets


def test_an_end_that_was_set_comes_whatever_the_activity(
    visitor: Visitor, clock: ManualClock
) -> None:
    with visitor.request() as session:
        session["x"], session.expires_at = 1, clock() + 3 * HOUR
    for _ in range(2):
        clock.advance(HOUR)
        assert visitor.read() == {"x": 1}
    with visitor.request() as session:
        session.renew()
        assert session.expires_at == clock() + HOUR

    clock.advance(HOUR)

    assert visitor.read() == {}


def test_none_sets_the_ordinary_end_again(visitor: Visitor, clock: ManualClock) -> None:
    with visitor.request() as session:
        session["x"], session.expires_at = 1, clock() + HOUR
    with visitor.request() as session:
        session.expires_at = None

    clock.advance(20 * HOUR)

    assert visitor.read() == {"x": 1}


def test_a_clock_may_give_whole_numbers(store: RecordingStore) -> None:
    """As one that a test puts in the place of ``time.time`` does."""
    visitor = Visitor(SessionManager(store, secret="x" * 32, clock=lambda: 1_800_000_000))
    with visitor.request() as session:
        session["x"] = 1

    assert visitor.read() == {"x": 1}
