"""What the demo shows beside the shop, in one process."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest
from webtest import TestResponse

from tests.demo.test_demo import Browser, panels, session_cookies
from wsgi_sessions import MemoryStore
from wsgi_sessions.demo.observed import SID, Observed
from wsgi_sessions.demo.race import REQUESTS
from wsgi_sessions.demo.responses import STOPPED
from wsgi_sessions.demo.shop import WITHOUT_SESSION, shop
from wsgi_sessions.testing import ManualClock

PHONE_SID = "demo-phone-sid"


@pytest.fixture
def demo(clock: ManualClock) -> Observed:
    store = MemoryStore(clock=clock)
    return Observed(shop, store, secret="the tests' secret", clock=clock)


@pytest.fixture
def browser(demo: Observed) -> Browser:
    return Browser(demo)


@pytest.fixture
def alice(browser: Browser) -> Browser:
    browser.log_in()
    return browser


def pictures(run: TestResponse) -> list[str]:
    return re.findall(r'<img src="(.+?)"', run.text)


def scores(page: TestResponse) -> list[int]:
    return [int(score) for score in re.findall(r"<output>(\d+)</output>", page.text)]


def fire(demo: Observed, threads: int) -> list[int]:
    """A run whose requests are sent so many at a time; what each side has kept."""
    browser = Browser(demo)
    run = browser.send("/race", "/race").follow()
    cookies = list(browser.cookiejar)

    def load(picture: str) -> TestResponse:
        return Browser(demo).with_cookies(cookies).get(picture)

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(load, pictures(run)))
    assert {answer.content_type for answer in answers} == {"image/svg+xml"}
    return scores(browser.get("/race"))


def test_of_requests_that_overlap_the_naive_session_loses_and_this_one_does_not(
    demo: Observed,
) -> None:
    ours, naive = fire(demo, threads=2 * REQUESTS)
    assert ours == REQUESTS
    assert naive < REQUESTS


def test_of_requests_one_after_the_other_the_naive_session_keeps_all() -> None:
    """So it is no straw man: it is the overlap that it loses by."""
    demo = Observed(shop, MemoryStore(), secret="the tests' secret", pause=0)
    assert fire(demo, threads=1) == [REQUESTS, REQUESTS]


def test_before_the_first_run_nothing_is_shown(browser: Browser) -> None:
    assert scores(browser.get("/race")) == []
    assert browser.get("/race/run").status_int == 303


@pytest.mark.parametrize("number", [0, 21])
@pytest.mark.parametrize("side", ["ours", "naive"])
def test_a_picture_of_another_run_changes_nothing(browser: Browser, side: str, number: int) -> None:
    browser.send("/race", "/race")
    [run, *_] = re.findall(r"/race/ours/(.+?)/", browser.get("/race/run").text)
    browser.get(f"/race/{side}/{'x' * 22}/1.svg", status=404)
    browser.get(f"/race/{side}/{run}/{number}.svg", status=404)
    assert scores(browser.get("/race")) == [0, 0]


def test_the_phone_is_a_device_of_its_own(alice: Browser) -> None:
    assert "Logged out" in alice.get("/phone/").text
    cookie = alice.cookies[SID]

    alice.send("/devices", "/devices/phone")

    assert PHONE_SID in alice.cookies
    assert alice.cookies[SID] == cookie
    phone = alice.get("/phone/")
    assert "Hello, alice" in phone.text
    assert 'http-equiv="refresh"' in phone.text
    assert "frame-ancestors 'self'" in phone.headers["Content-Security-Policy"]
    assert "Safari on iPhone" in alice.get("/account/devices").text


def test_either_device_logs_the_other_out(alice: Browser) -> None:
    alice.send("/devices", "/devices/phone")
    page = alice.send("/devices", "/devices/end").follow()
    assert "Logged out: 1 other device." in page.text
    assert "Logged out" in alice.get("/phone/").text
    assert "refresh" not in alice.get("/phone/").text

    alice.send("/devices", "/devices/phone")
    alice.send("/phone/", "/phone/end-others")
    assert alice.get("/account").location.endswith("/login")
    assert "Hello, alice" in alice.get("/phone/").text
    alice.send("/phone/", "/phone/logout")
    assert "Logged out" in alice.get("/phone/").text


@pytest.mark.parametrize("action", ["/phone/logout", "/phone/end-others"])
def test_the_forms_of_the_phone_need_its_token(alice: Browser, action: str) -> None:
    alice.send("/devices", "/devices/phone")
    for token in ("", "forged"):
        alice.post(action, {"csrf": token}, status=303)
    assert "Hello, alice" in alice.get("/phone/").text
    assert "Hello, alice" in alice.get("/account").text


def test_a_phone_that_looks_again_by_itself_keeps_no_session_alive(
    alice: Browser, clock: ManualClock
) -> None:
    alice.send("/devices", "/devices/phone")
    for _ in range(26):
        clock.advance(3600)
        phone = alice.get("/phone/")
    assert "Logged out" in phone.text


def test_the_phone_needs_somebody_who_is_logged_in(browser: Browser) -> None:
    page = browser.get("/devices").follow()
    assert "Log in first" in page.text
    browser.send("/login", "/devices/phone")
    assert PHONE_SID not in browser.cookies
    assert "Logged out" in browser.get("/phone/").text


def test_a_stopped_store_fails_for_one_browser_only(demo: Observed, alice: Browser) -> None:
    other = Browser(demo)
    other.log_in("bob")
    alice.post("/store/stop", status=303)

    page = alice.get("/cart", status=503)
    assert page.headers["Retry-After"] == "1"
    assert session_cookies(page) == []
    assert "Start the store" in page.text
    assert panels(page)[-1]["Store calls"].detail.endswith("(StoreUnavailable)")
    assert alice.get("/about").status_int == 200
    assert "The store is stopped" in alice.get("/store").text
    assert "Hello, bob" in other.get("/account").text

    alice.post("/store/start", status=303)
    assert STOPPED not in alice.cookies
    assert "Hello, alice" in alice.get("/account").text


def test_a_form_is_refused_while_the_store_is_stopped_and_nothing_is_lost(alice: Browser) -> None:
    """The middleware's own answer, where the application does not look at the session."""
    alice.send("/", "/cart/add", tea="sencha")
    page = alice.get("/account")
    [token, *_] = re.findall('name="csrf" value="(.+?)"', page.text)
    alice.post("/store/stop", status=303)
    assert "Start the store" in alice.post("/logout", {"csrf": token}, status=503).text
    alice.post("/store/start", status=303)
    assert "Sencha" in alice.get("/cart").text


@pytest.mark.parametrize("path", WITHOUT_SESSION)
def test_the_store_is_not_switched_by_another_site(browser: Browser, path: str) -> None:
    browser.post(path, headers={"Origin": "https://elsewhere.example"}, status=400)
    browser.post(path, headers={"Origin": "http://localhost"}, status=303)
    assert panels(browser.get("/store"))[0]["Store calls"].headline == "0"


def test_of_a_record_nothing_is_decoded_until_it_is_asked_for(alice: Browser) -> None:
    alice.send("/", "/cart/add", tea="sencha")
    page = alice.get("/record")
    assert panels(page)[-1]["Keys decoded"].headline.startswith("0 of")

    decoded = page.click(href=r"key=cart")

    assert "'tea': 'sencha'" in unescape(decoded.text)
    assert panels(decoded)[-1]["Keys decoded"].detail == "cart"
    assert decoded.text.count('class="mark"') == 1


def test_a_record_shows_no_secret(alice: Browser) -> None:
    """Its id, and a hash of the rest."""
    cookie = alice.cookies[SID]
    page = alice.get("/record").text
    assert cookie[:22] in page
    assert cookie[22:44] not in page


def test_what_is_asked_of_a_record_is_text(alice: Browser) -> None:
    page = alice.get("/record", params={"key": "<script>"})
    assert "<script>" not in page.text


def test_without_a_session_there_is_no_record(browser: Browser) -> None:
    assert "There is none yet" in browser.get("/record").text
    assert SID not in browser.cookies


def test_the_promises_cost_nothing_to_read(alice: Browser) -> None:
    page = alice.get("/promises")
    assert page.text.count("<li><h2>") == 6
    assert panels(page)[-1]["Store calls"].headline == "0"
