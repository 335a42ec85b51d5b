"""The demo in one process: its features, and that its panel tells the truth."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import unescape
from http.cookiejar import Cookie
from pathlib import Path
from wsgiref.validate import validator

import pytest
from webtest import TestApp, TestResponse

from tests.support.recording import RecordingStore
from wsgi_sessions import MemoryStore
from wsgi_sessions.demo.__main__ import main
from wsgi_sessions.demo.observed import NOTE, SID, Observed
from wsgi_sessions.demo.report import Fact, Summary
from wsgi_sessions.demo.shop import ROUTES, WITHOUT_SESSION, shop
from wsgi_sessions.testing import ManualClock

DAY = 86_400
POSTED = sorted(str(rule) for rule in ROUTES.iter_rules() if rule.methods == {"POST"})
FORMS = [path for path in POSTED if path not in WITHOUT_SESSION]
PAGES = sorted(str(rule) for rule in ROUTES.iter_rules() if "GET" in (rule.methods or ()))


class Browser(TestApp):
    """Fills in forms, checks WSGI on the outside and keeps cookies."""

    def __init__(self, app: Observed) -> None:
        super().__init__(validator(app))

    def send(self, page: str, action: str, status: int = 303, **fields: str) -> TestResponse:
        """Submit the first form of *page* to *action* with these fields; the answer."""
        found = re.search('name="csrf" value="(.+?)"', self.get(page).text)
        assert found
        return self.post(action, {**fields, "csrf": found[1]}, status=status)

    def with_cookies(self, cookies: Iterable[Cookie]) -> Browser:
        """Take them over. (``set_cookie`` would put quotes around the values.)"""
        for cookie in cookies:
            self.cookiejar.set_cookie(cookie)
        return self

    def log_in(self, name: str = "alice", **fields: str) -> TestResponse:
        return self.send("/login", "/login", name=name, password="demo", **fields)


def panels(page: TestResponse) -> list[dict[str, Fact]]:
    """What the panel says: of this request last, of the POST before it first."""
    found = re.findall(r"<section>(.*?)</section>", page.text, re.DOTALL)
    fact = re.compile(r"<dt>(.*?)</dt><dd><strong>(.*?)</strong> <span>(.*?)</span>")
    return [
        {label: Fact(label, head, unescape(detail)) for label, head, detail in fact.findall(text)}
        for text in found
    ]


def told_calls(panel: dict[str, Fact]) -> list[str]:
    """The names of the store calls a panel tells of."""
    calls = re.findall(r"([a-z_]+) [\d.e+-]+\sms", panel["Store calls"].detail)
    assert panel["Store calls"].headline == str(len(calls))
    return calls


def session_cookies(response: TestResponse) -> list[str]:
    return [line for line in response.headers.getall("Set-Cookie") if line.startswith(SID)]


@pytest.fixture
def demo(store: RecordingStore, clock: ManualClock) -> Observed:
    return Observed(validator(shop), store, secret="the tests' secret", clock=clock)


@pytest.fixture
def browser(demo: Observed) -> Browser:
    return Browser(demo)


# The features


def test_any_name_logs_in_with_the_password_that_is_shown(browser: Browser) -> None:
    """The login page tells the password, and it works."""
    assert "<kbd>demo</kbd>" in browser.get("/login").text

    page = browser.log_in("Zoë").follow()

    assert page.request.path == "/account"
    assert "Hello, Zoë" in page.text


def test_another_password_does_not(browser: Browser) -> None:
    """Then the visitor is told so and stays anonymous."""
    page = browser.send("/login", "/login", name="alice", password="guess").follow()

    assert "That is not the password" in page.text
    assert browser.get("/account").location.endswith("/login")


@pytest.mark.parametrize("name", ["", " \t ", "x" * 41, "a\0b"])
def test_an_impossible_name_is_refused(browser: Browser, name: str) -> None:
    """A name is one line of 1 to 40 printable characters."""
    page = browser.log_in(name).follow()

    assert "A name has 1 to 40 characters" in page.text


def test_a_login_changes_the_cookie_and_the_token(browser: Browser) -> None:
    """Whoever had the visitor's cookie or CSRF token has nothing of the user's."""
    before = browser.get("/login")
    old_cookie = browser.cookies[SID]

    page = browser.log_in().follow()

    tokens = [re.findall('name="csrf" value="(.+?)"', text)[0] for text in (before.text, page.text)]
    assert browser.cookies[SID] != old_cookie
    assert tokens[0] != tokens[1]


def test_a_login_keeps_the_cart(browser: Browser) -> None:
    """Nobody loses a cart by logging in."""
    browser.send("/", "/cart/add", tea="sencha")

    browser.log_in()

    assert "Sencha" in browser.get("/cart").text


def test_a_logout_ends_the_session(browser: Browser, store: RecordingStore) -> None:
    """The record is gone, the cookie is expired, and the old cookie opens nothing."""
    browser.log_in()
    old_cookies = list(browser.cookiejar)

    response = browser.send("/account", "/logout")

    assert "Max-Age=0" in session_cookies(response)[0]
    assert SID not in browser.cookies
    assert [key for key in store.inner.keys() if len(key) == 22] == []  # type: ignore[attr-defined]  # noqa: SIM118
    assert browser.with_cookies(old_cookies).get("/account").location.endswith("/login")
    assert store.pop_calls()[-1] == "load"


@pytest.mark.parametrize(("fields", "kept"), [({"remember": "on"}, True), ({}, False)])
def test_remember_me_makes_the_cookie_outlive_the_browser(
    browser: Browser, fields: dict[str, str], kept: bool
) -> None:
    """With it the cookie has 31 days, without it it ends with the browser."""
    [cookie] = session_cookies(browser.log_in(**fields))

    assert (f"Max-Age={31 * DAY}" in cookie) is kept
    assert ("31 days without a visit" in browser.get("/account").text) is kept


def test_remember_me_can_be_switched_later(browser: Browser) -> None:
    """The account page has a button for it, which sends the cookie anew."""
    browser.log_in()

    [on] = session_cookies(browser.send("/account", "/account/remember", remember="yes"))
    [off] = session_cookies(browser.send("/account", "/account/remember", remember="no"))

    assert f"Max-Age={31 * DAY}" in on
    assert "Max-Age" not in off


def test_the_cart_is_changed_in_place(browser: Browser) -> None:
    """Each change inside the list is saved."""
    cart = r'name="tea" value="(.+?)">\n<label.+\n.+\nvalue="(.+?)"'
    seen = []

    for page, action, fields in [
        ("/", "/cart/add", {"tea": "sencha"}),
        ("/", "/cart/add", {"tea": "sencha"}),
        ("/", "/cart/add", {"tea": "assam"}),
        ("/cart", "/cart/change", {"tea": "assam", "quantity": "7"}),
        ("/cart", "/cart/change", {"tea": "sencha", "quantity": "0"}),
    ]:
        browser.send(page, action, **fields)
        seen.append(re.findall(cart, browser.get("/cart").text))

    assert seen == [
        [("sencha", "1")],
        [("sencha", "2")],
        [("sencha", "2"), ("assam", "1")],
        [("sencha", "2"), ("assam", "7")],
        [("assam", "7")],
    ]
    assert "€53.20" in browser.get("/cart").text


def test_the_last_tin_leaves_an_empty_cart(browser: Browser) -> None:
    """Removing everything shows the page for it."""
    browser.send("/", "/cart/add", tea="sencha")

    page = browser.send("/cart", "/cart/change", tea="sencha", quantity="0").follow()

    assert "Your cart is empty" in page.text


def test_the_counter_counts(browser: Browser) -> None:
    """Each press is one more."""
    for _ in range(3):
        page = browser.send("/counter", "/counter").follow()

    assert '<output aria-label="Count">3</output>' in page.text


def test_a_message_is_shown_once(browser: Browser) -> None:
    """It is there after the redirect and gone after a reload."""
    message = '<p class="message" role="status">Oolong is in your cart.</p>'

    first = browser.send("/", "/cart/add", tea="oolong").follow()

    assert message in first.text
    assert message not in browser.get("/").text


def test_an_owner_sees_the_devices_and_logs_one_out(clock: ManualClock) -> None:
    """The page of :mod:`wsgi_sessions.devices`, with its own style."""
    demo = Observed(shop, MemoryStore(clock=clock), secret="the tests' secret", clock=clock)
    alice, other = Browser(demo), Browser(demo)
    for browser in (alice, other):
        browser.log_in()

    devices = alice.get("/account").click("Your devices")
    page = devices.form.submit("end", index=0).follow()

    assert devices.text.count("<li class") == 2
    assert "The device is logged out." in page.text
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert digest in page.headers["Content-Security-Policy"]
    assert page.click("Back").request.path == "/account"
    assert other.get("/account").location.endswith("/login")


def test_a_store_without_an_owner_index_has_no_page_of_devices(browser: Browser) -> None:
    """And no link to it. (The tests' store records calls, and lists nothing.)"""
    browser.log_in()

    assert "Your devices" not in browser.get("/account").text
    browser.get("/account/devices", status=404)


# What is wrong


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", [None, "", "forged"])
def test_every_form_needs_the_sessions_token(
    browser: Browser, store: RecordingStore, path: str, token: str | None
) -> None:
    """Without it nothing is changed, and the page says what to do."""
    browser.log_in()
    store.pop_calls()

    page = browser.post(path, {} if token is None else {"csrf": token}, status=400)

    assert "does not belong to your session" in page.text
    assert store.pop_calls() == ["load"]


def test_no_token_is_right_without_a_session(browser: Browser) -> None:
    """A POST out of nowhere is refused, an empty token is no exception."""
    browser.post("/counter", {"csrf": ""}, status=400)


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("/cart/add", {}),
        ("/cart/add", {"tea": "coffee"}),
        ("/cart/change", {"tea": "sencha"}),
        ("/cart/change", {"tea": "sencha", "quantity": "many"}),
        ("/cart/change", {"tea": "sencha", "quantity": "-1"}),
        ("/cart/change", {"tea": "sencha", "quantity": "100"}),
    ],
)
def test_a_form_that_was_tampered_with_is_refused(
    browser: Browser, action: str, fields: dict[str, str]
) -> None:
    """Fields that the page cannot send give a 400, not a 500."""
    browser.send("/", action, status=400, **fields)


def test_an_unknown_path_is_not_found(browser: Browser) -> None:
    """With a page that leads back."""
    assert "There is no such page" in browser.get("/tea/pot", status=404).text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/cart/add", {"POST"}), ("POST", "/about", {"GET", "HEAD"}), ("PUT", "/logout", None)],
)
def test_a_wrong_method_is_told_the_right_one(
    browser: Browser, method: str, path: str, allowed: set[str] | None
) -> None:
    """405 with ``Allow`` (RFC 9110, 15.5.6)."""
    page = browser.request(path, method=method, status=405)

    assert set(page.headers["Allow"].split(", ")) == (allowed or {"POST"})


@pytest.mark.parametrize("fields", [{"name": "x" * 20_000}, {f"f{n}": "" for n in range(3000)}])
def test_a_large_body_is_refused(browser: Browser, fields: dict[str, str]) -> None:
    """A form of this shop has less than 16 KiB."""
    browser.send("/login", "/login", status=413, **fields)


def test_what_users_type_is_text(browser: Browser) -> None:
    """Markup in a name is shown, not obeyed; nor does it get the panel into another place."""
    name = "<!--what the session did--><b>"

    page = browser.log_in(name).follow()

    assert "<b>" not in page.text
    assert "Hello, &lt;!--what the session did--&gt;&lt;b&gt;" in page.text
    assert page.text.count("What the session did</h2>") == 1


@pytest.mark.parametrize("path", [*PAGES, "/missing"])
def test_every_response_has_the_security_headers(browser: Browser, path: str) -> None:
    """No script and no frame; the one style is allowed by its digest."""
    response = browser.get(path, status="*")

    policy = response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in response.text
    assert "style=" not in response.text.split("</style>")[-1]
    for style in re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL):
        digest = b64encode(sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_head_has_the_headers_of_get(browser: Browser) -> None:
    """And no body, whose length is told."""
    head, get = browser.head("/about"), browser.get("/about")

    assert head.body == b""
    assert head.headers == get.headers


def test_a_store_that_is_down_is_a_friendly_page(browser: Browser, store: RecordingStore) -> None:
    """A failed load costs one page; the visitor is still logged in afterwards."""
    browser.log_in()
    store.failing = {"load"}

    page = browser.get("/account", status=503)

    assert "Nothing is lost" in page.text
    assert panels(page)[-1]["Store calls"].detail.endswith("(StoreUnavailable)")
    assert "the store failed" in panels(page)[-1]["Session cookie"].detail
    assert page.headers["Retry-After"]
    assert session_cookies(page) == []
    store.failing = set()
    assert "Hello, alice" in browser.get("/account").text


def test_a_failed_commit_is_a_friendly_page(browser: Browser, store: RecordingStore) -> None:
    """The middleware's plain 503 is made a page, its headers stay."""
    browser.get("/counter")
    store.failing = {"save"}

    page = browser.send("/counter", "/counter", status=503)

    assert "Nothing is lost" in page.text
    assert told_calls(panels(page)[-1]) == ["load", "save"]
    assert page.content_type == "text/html"
    assert page.headers["Cache-Control"] == "no-store"


def test_a_failed_logout_expires_the_cookie_all_the_same(
    browser: Browser, store: RecordingStore
) -> None:
    """As the middleware promises; the page in between does not lose that."""
    browser.log_in()
    store.failing = {"delete"}

    page = browser.send("/account", "/logout", status=503)

    assert "Max-Age=0" in session_cookies(page)[0]


def test_a_browser_that_asks_for_an_icon_gets_it(browser: Browser, store: RecordingStore) -> None:
    """Whatever page it is on; for nothing."""
    browser.log_in()
    store.pop_calls()

    icon = browser.get("/favicon.ico")

    assert icon.content_type.startswith("image/svg+xml")
    assert icon.text.startswith("<svg xmlns=")
    assert store.pop_calls() == []


# The panel


@pytest.mark.parametrize("path", ["/about", "/goodbye", "/missing"])
def test_a_page_that_leaves_the_session_alone_costs_nothing(
    browser: Browser, store: RecordingStore, path: str
) -> None:
    """No store call and no header, though there is a session; and the panel says so."""
    browser.log_in()
    browser.get("/account")
    store.pop_calls()

    page = browser.get(path, status="*")

    [panel] = panels(page)
    assert store.pop_calls() == told_calls(panel) == []
    assert panel["Store calls"].detail == "the page did not touch the session"
    assert panel["Session cookie"].headline == "not sent"
    assert not {"Set-Cookie", "Vary", "Cache-Control"} & set(page.headers)


def test_the_panel_tells_the_calls_the_store_got(browser: Browser, store: RecordingStore) -> None:
    """Page by page, form by form, what it says is what another recorder saw below it."""
    steps = [
        ("/", "/cart/add", {"tea": "sencha"}),
        ("/cart", "/cart/change", {"tea": "sencha", "quantity": "3"}),
        ("/counter", "/counter", {}),
        ("/login", "/login", {"name": "alice", "password": "demo"}),
        ("/account", "/account/remember", {"remember": "yes"}),
        ("/account", "/logout", {}),
    ]
    told, seen = [], []

    for page, action, fields in steps:
        token = re.search('name="csrf" value="(.+?)"', (shown := browser.get(page)).text)
        seen.append(store.pop_calls())
        redirect = browser.post(action, {**fields, "csrf": token and token[1]})
        seen.append(store.pop_calls())
        after = redirect.follow()
        seen.append(store.pop_calls())
        told += map(told_calls, [panels(shown)[-1], *panels(after)])

    assert told == seen
    assert ["load", "delete"] in seen


NONE = "none was needed"


@pytest.mark.parametrize(
    ("action", "fields", "decoded", "written"),
    [
        ("/cart/add", {"tea": "sencha"}, NONE, "cart, messages"),
        ("/counter", {}, NONE, "count"),
        ("/logout", {}, NONE, "csrf (removed)"),
        ("/cart/change", {"tea": "sencha", "quantity": "1"}, NONE, "nothing to save"),
        (
            "/login",
            {"name": "alice", "password": "demo"},
            NONE,
            "csrf, messages; of the session itself: secret, owner",
        ),
    ],
)
def test_the_panel_tells_which_keys_were_decoded_and_written(
    browser: Browser, action: str, fields: dict[str, str], decoded: str, written: str
) -> None:
    """By name: only what a form needs is decoded, only what it changed is written."""
    page = browser.send("/", action, **fields).follow()

    before = panels(page)[0]
    assert before["Keys decoded"].detail == decoded
    assert before["Keys written"].detail == written


def test_a_key_that_is_not_needed_is_not_decoded(browser: Browser) -> None:
    """Of a session with a cart, counting decodes nothing: numbers and texts come with the head."""
    browser.send("/", "/cart/add", tea="sencha").follow()
    browser.send("/counter", "/counter")

    page = browser.send("/counter", "/counter").follow()

    assert panels(page)[0]["Keys decoded"] == Fact("Keys decoded", "0 of 3", NONE)


def test_the_panel_tells_why_a_cookie_was_sent(browser: Browser, clock: ManualClock) -> None:
    """New, not needed, regenerated, switched, renewed, ended; the header agrees each time."""
    new = browser.get("/login")
    unchanged = browser.get("/login")
    login = browser.log_in()
    account = login.follow()
    switch = browser.send("/account", "/account/remember", remember="yes")
    switched = switch.follow()
    clock.advance(4 * DAY)
    renewed = browser.get("/account")
    logout = browser.send("/account", "/logout")
    goodbye = logout.follow()

    told = [
        (response, page and panels(page)[0]["Session cookie"])
        for response, page in [
            (new, new),
            (unchanged, unchanged),
            (login, account),
            (switch, switched),
            (renewed, renewed),
            (logout, goodbye),
        ]
    ]
    assert [fact.detail.partition(":")[0] for _, fact in told] == [
        "a new session",
        "not needed",
        "regenerated",
        "“remember me” was switched",
        "renewed",
        "the session has ended",
    ]
    for response, fact in told:
        assert bool(session_cookies(response)) is (fact.headline != "not sent")


def test_the_panel_tells_two_sessions_apart(
    browser: Browser, demo: Observed, clock: ManualClock
) -> None:
    """An old cookie loads a record that it does not open: what is saved then is a new session."""
    browser.get("/login")
    late = Browser(demo).with_cookies(browser.cookiejar)
    browser.log_in()
    clock.advance(60)

    [panel] = panels(late.get("/login"))

    assert told_calls(panel) == ["load", "save"]
    assert panel["Keys decoded"].headline == "0 of 1"
    assert panel["Keys written"].detail == "csrf"
    assert panel["Session cookie"].detail == "a new session"


def test_the_panel_tells_of_a_save_that_came_second(
    demo: Observed, browser: Browser, store: RecordingStore
) -> None:
    """Another request gets in between: refused, loaded again, merged. Nothing is lost."""
    browser.get("/counter")
    other = Browser(demo).with_cookies(browser.cookiejar)
    store.before["save"] = lambda: other.send("/counter", "/counter")

    page = browser.send("/counter", "/counter").follow()

    before = panels(page)[0]
    assert told_calls(before) == ["load", "save", "load", "save"]
    assert "refused: another request was faster" in before["Store calls"].detail
    assert before["Keys written"].detail == "count"
    assert '<output aria-label="Count">2</output>' in page.text


def test_a_post_is_reported_by_another_worker(store: RecordingStore, clock: ManualClock) -> None:
    """The report travels with the browser: workers share nothing but the store."""
    workers = [Browser(Observed(shop, store, secret="x", clock=clock)) for _ in range(2)]
    workers[1].cookiejar = workers[0].cookiejar

    workers[0].send("/counter", "/counter")
    page = workers[1].get("/counter")

    assert "POST /counter → 303" in page.text
    assert "POST /counter → 303" not in workers[1].get("/counter").text


def test_the_panel_names_the_calls_for_the_shared_secret() -> None:
    """Without a secret of its own a worker asks the store for one, once."""
    browser = Browser(Observed(shop, MemoryStore()))

    first, second = (panels(browser.get("/login"))[0]["Store calls"] for _ in range(2))

    assert first.headline == "3"
    assert first.detail.count("(the shared signing secret)") == 2
    assert second.headline == "1"


def test_a_store_keeps_its_other_abilities() -> None:
    """One that can list sessions by owner still does, and the panel counts that call."""
    store = MemoryStore()
    browser = Browser(Observed(shop, store))

    page = browser.log_in().follow()

    assert told_calls(panels(page)[0]) == ["load", "save_owned"]
    assert len(list(store.keys_of("alice"))) == 1


@pytest.mark.parametrize(
    "note",
    [
        "x",
        "é",
        urlsafe_b64encode(b"[1, 2]").decode(),
        urlsafe_b64encode(b'["x", [["label", 1, "detail"]]]').decode(),
        urlsafe_b64encode(b'["x", [["too", "short"]]]').decode(),
        urlsafe_b64encode(b"[" * 2000).decode(),
    ],
)
def test_a_report_that_is_none_is_ignored(browser: Browser, note: str) -> None:
    """Anybody can send a cookie of that name."""
    assert Summary.from_note(note) is None
    browser.set_cookie(NOTE, note.encode("ascii", "replace").decode())

    assert len(panels(browser.get("/about"))) == 1


def test_a_forged_report_is_text(browser: Browser) -> None:
    """One of the right shape is shown, escaped."""
    browser.set_cookie(NOTE, Summary("<b>", [Fact("<i>", "", "")]).to_note())

    page = browser.get("/about")

    assert "&lt;b&gt;" in page.text
    assert "<b>" not in page.text


def test_a_page_with_a_report_is_not_cached(browser: Browser) -> None:
    """It was made for one request."""
    page = browser.send("/", "/cart/add", tea="sencha").follow()

    assert page.headers["Cache-Control"] == "no-store"


# Starting it


def test_importing_the_app_makes_nothing(tmp_path: Path) -> None:
    """``gunicorn wsgi_sessions.demo:app`` opens its store with the first request that needs it."""
    program = "from wsgi_sessions.demo import app; assert callable(app)"

    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["jinja2", "gunicorn.app.base"])
def test_without_a_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    """One line instead of a traceback."""
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "wsgi_sessions.demo.server", raising=False)

    assert main([]) == 1
    assert 'pip install "wsgi-sessions[demo]"' in capsys.readouterr().err


def test_the_app_is_imported_without_its_libraries() -> None:
    """So that the command can say which is missing."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['jinja2', 'gunicorn']));"
        "import wsgi_sessions.demo.__main__"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_port_in_use_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, and with the way out."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert main(["--port", str(port)]) == 1

    error = capsys.readouterr().err
    assert f"port {port} is in use" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "there is no port 70000"),
        (["--host", "not a host"], "cannot listen at not a host"),
        (["--store", "tea://pot"], "a store's URL begins with"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """A wrong argument ends with what was wrong."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_a_state_directory_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the option that names another place."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    assert main([]) == 1
    assert "--store" in capsys.readouterr().err
