"""The devices page in one process: what it shows, what it ends, what it refuses."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask
from flask import session as flask_session
from markupsafe import escape
from webtest import TestApp, TestResponse

from tests.support.devices_site import MOUNT, mounted, site
from wsgi_sessions import (
    ConfigurationError,
    CookieStore,
    MemcachedStore,
    MemoryStore,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
)
from wsgi_sessions.devices import Device as Row
from wsgi_sessions.devices import DevicesPage, Templates, View, Words
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.testing import ManualClock

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
SECRET = "the signing secret of the tests"


class Device(TestApp):
    """A browser of its own, which checks WSGI on the outside."""

    def __init__(self, app: Any, agent: str = FIREFOX) -> None:
        super().__init__(validator(app), extra_environ={"HTTP_USER_AGENT": agent})

    def log_in(self, owner: str = "ann") -> Device:
        self.get(f"/?login={owner}")
        return self

    @property
    def owner(self) -> str:
        found = re.search("You are (.+?)\\.", self.get("/").text)
        assert found
        return found[1]

    def open(self, **options: Any) -> TestResponse:
        return self.get(MOUNT, **options)

    def end(self, what: str, token: str | None = None, status: int = 303) -> TestResponse:
        token = token_of(self.open()) if token is None else token
        return self.post(MOUNT, {"end": what, "token": token}, status=status)


def token_of(page: TestResponse) -> str:
    return re.findall('name="token" value="(.+?)"', page.text)[0]


def rows(page: TestResponse) -> list[str]:
    """The text of each device."""
    found = re.findall("<li class.*?>(.*?)</li>", page.text, re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]+>", " ", row)).split()) for row in found]


def ids(page: TestResponse) -> list[str]:
    """Of the devices that have a button."""
    return [one for one in re.findall('name="end" value="(.+?)"', page.text) if one != "others"]


@pytest.fixture
def application(clock: ManualClock) -> SessionMiddleware:
    return mounted(site, MemoryStore(clock=clock), secret=SECRET, clock=clock)


@pytest.fixture
def ann(application: SessionMiddleware) -> Device:
    return Device(application).log_in()


@pytest.fixture
def other(application: SessionMiddleware, clock: ManualClock, ann: Device) -> Device:
    """Ann's second device, an hour later."""
    clock.advance(3600)
    return Device(application).log_in()


# What it shows


def test_each_device_has_its_name_and_when_it_was_first_and_last_seen(
    ann: Device, other: Device, clock: ManualClock
) -> None:
    clock.advance(120)

    assert rows(ann.open()) == [
        "Firefox on Linux This device Active now · First seen 1 hour ago",
        "Firefox on Linux Last seen 2 minutes ago · First seen 2 minutes ago Log out",
    ]


def test_this_device_comes_first_and_then_who_was_seen_last(
    application: SessionMiddleware, ann: Device, clock: ManualClock
) -> None:
    for _ in range(3):
        clock.advance(3600)
        Device(application).log_in()

    seen = [re.findall("Active now|Last seen .*? ago|just now", row)[0] for row in rows(ann.open())]

    assert seen == ["Active now", "just now", "Last seen 1 hour ago", "Last seen 2 hours ago"]


def test_nobody_sees_the_devices_of_another_owner(
    application: SessionMiddleware, ann: Device
) -> None:
    Device(application).log_in("bob")

    assert len(rows(ann.open())) == 1


def test_alone_there_is_no_button(ann: Device) -> None:
    page = ann.open()

    assert "You are logged in on no other device." in page.text
    assert "<button" not in page.text


def test_no_more_than_a_hundred_are_shown_and_the_others_are_counted(
    application: SessionMiddleware, ann: Device
) -> None:
    for _ in range(104):
        Device(application).log_in()

    page = ann.open()

    assert len(rows(page)) == 100
    assert "5 more" in page.text
    ann.end("others")
    assert len(rows(ann.open())) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-5, "just now"), (59, "just now"), (60, "1 minute ago"), (3599, "59 minutes ago")),
        *((3600, "1 hour ago"), (86_399, "23 hours ago"), (86_400 * 40, "40 days ago")),
    ],
)
def test_a_time_is_told_by_its_largest_unit(seconds: float, words: str) -> None:
    assert Words().ago(seconds) == words


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{0.__class__}{token}",
        "%s&lt;",
    ],
)
def test_what_a_browser_calls_itself_is_text(application: SessionMiddleware, hostile: str) -> None:
    """In the list and in the button's label, whatever the words and templates are."""
    words = Words(title=hostile, lead=hostile, last_seen="<i>{ago}", log_out_others=hostile)
    here, there = (Row("A" * 22, hostile, is_this, 0.0, 0.0) for is_this in (True, False))
    view = View(words, words.title, words.lead, 60.0, [here, there], notice=hostile, back=hostile)

    html = DevicesPage(application.manager).render(view)

    body = html.partition("</style>")[2]
    assert not re.search("<script|<img|<i>", body)
    assert unescape(re.findall('aria-label="(.*?)"', body)[0]) == (
        f"Log out {hostile}, <i>1 minute ago"
    )
    assert body.count(str(escape(hostile))) == 8


# What it ends


def test_one_device_is_logged_out_and_no_other(
    application: SessionMiddleware, ann: Device, other: Device
) -> None:
    third = Device(application).log_in()
    third_id = ids(ann.open())
    [other_id] = [id for id in ids(third.open()) if id in third_id]

    page = ann.end(other_id).follow()

    assert "Done. The device is logged out." in page.text
    assert [one.owner for one in (ann, other, third)] == ["ann", "nobody", "ann"]


def test_all_others_are_logged_out_and_this_one_stays(
    application: SessionMiddleware, ann: Device, other: Device
) -> None:
    bob = Device(application).log_in("bob")

    page = other.end("others").follow()

    assert "Done. All other devices are logged out." in page.text
    assert [one.owner for one in (ann, other, bob)] == ["nobody", "ann", "bob"]


def test_a_session_of_another_owner_is_not_ended(
    application: SessionMiddleware, ann: Device
) -> None:
    """An id is public, and the answer does not say whether there is such a session."""
    bob = Device(application).log_in("bob")
    Device(application).log_in("bob")
    [id] = ids(bob.open())

    response = ann.end(id)

    assert [len(rows(bob.open())), bob.owner] == [2, "bob"]
    assert response.location == ann.end("A" * 22).location


def test_a_device_that_is_out_already_is_no_error(ann: Device, other: Device) -> None:
    [id] = ids(ann.open())
    ann.end(id)

    assert "Done." in ann.end(id).follow().text


def test_showing_the_page_saves_nothing(
    application: SessionMiddleware, ann: Device, other: Device
) -> None:
    before = ann.cookies

    response = ann.open()

    assert "Set-Cookie" not in response.headers
    assert ann.cookies == before


# Who may


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_anonymous_visitor_is_refused_with_words(
    application: SessionMiddleware, method: str
) -> None:
    page = Device(application).request(MOUNT, method=method, status=403)

    assert "log in, then open it again" in page.text
    assert "<form" not in page.text


def test_a_session_without_an_owner_is_refused(application: SessionMiddleware) -> None:
    def put(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.session"]["cart"] = ["pen"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"put"]

    mount = application.app
    application.app = put
    visitor = Device(application)
    visitor.get("/")
    application.app = mount

    assert "<form" not in visitor.open(status=403).text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_allow_refuses_sees_and_ends_nothing(clock: ManualClock, method: str) -> None:
    application = mounted(
        site,
        MemoryStore(clock=clock),
        page={"allow": lambda environ: environ["REMOTE_USER"] == "ann"},
        secret=SECRET,
        clock=clock,
    )
    ann = Device(application).log_in()
    Device(application).log_in()
    allowed = ann.open(extra_environ={"REMOTE_USER": "ann"})
    fields = {"end": "others", "token": token_of(allowed)}

    eve = {"status": 403, "extra_environ": {"REMOTE_USER": "eve"}}
    page = ann.get(MOUNT, **eve) if method == "GET" else ann.post(MOUNT, fields, **eve)

    assert "not allowed" in page.text
    assert len(rows(ann.open(extra_environ={"REMOTE_USER": "ann"}))) == 2


# Forgery


@pytest.mark.parametrize("token", ["", "forged", "ä", "0" * 64])
def test_a_form_without_the_sessions_token_ends_nothing(
    ann: Device, other: Device, token: str
) -> None:
    page = ann.end("others", token, status=403)

    assert "out of date" in page.text
    assert other.owner == "ann"


def test_the_token_of_another_session_is_refused(
    application: SessionMiddleware, ann: Device, other: Device
) -> None:
    """Be it one of the same owner."""
    for stranger in (other, Device(application).log_in("eve")):
        ann.end("others", token_of(stranger.open()), status=403)


def test_a_login_makes_older_forms_worthless(ann: Device, other: Device) -> None:
    token = token_of(ann.open())

    ann.log_in()

    ann.end("others", token, status=403)


def test_a_token_in_the_address_counts_for_nothing(ann: Device, other: Device) -> None:
    """Addresses end up in logs."""
    query = f"?token={token_of(ann.open())}&end=others"

    ann.post(MOUNT + query, status=403)
    ann.get(MOUNT + query)

    assert other.owner == "ann"


def test_the_token_shows_nothing_of_the_cookie(ann: Device, other: Device) -> None:
    [cookie] = ann.cookies.values()
    sid = cookie.strip('"').partition(".")[0]

    page = ann.open()

    assert sid not in page.text
    assert sid[22:] not in page.text
    assert token_of(page) == token_of(ann.open())  # stored nowhere, and yet it stays


def test_no_address_makes_the_page_claim_a_logout(ann: Device) -> None:
    for done in ("1", "ended", token_of(ann.open()), "ä"):
        assert "Done." not in ann.get(MOUNT, {"done": done}).text


# HTTP


@pytest.mark.parametrize("what", ["", "all", "../../etc/passwd", "A" * 21, "A" * 23, "\n" * 22])
def test_a_form_that_names_no_device_is_a_bad_request(
    ann: Device, other: Device, what: str
) -> None:
    assert "names no device" in ann.end(what, status=400).text
    assert other.owner == "ann"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_another_method_is_refused_with_those_that_work(ann: Device, method: str) -> None:
    """405 with ``Allow`` (RFC 9110, 15.5.6)."""
    assert ann.request(MOUNT, method=method, status=405).headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/x", "//", "/A"])
def test_any_other_path_is_not_found(ann: Device, path: str) -> None:
    assert "no such page" in ann.get(MOUNT + path, status=404).text


def test_a_slash_at_the_end_is_the_same_page(ann: Device) -> None:
    assert len(rows(ann.get(MOUNT + "/"))) == 1


def test_a_large_body_is_not_read(ann: Device) -> None:
    ann.post(MOUNT, {"token": "x" * 5000}, status=403)


def test_a_post_leads_back_by_a_relative_address(ann: Device) -> None:
    """The page does not know where proxies have mounted it."""
    response = ann.end("others")

    assert re.fullmatch(r"\?done=[0-9a-f]{64}", response.headers["Location"])
    assert response.headers["Cache-Control"] == "no-store"
    assert response.follow().request.path == MOUNT


def test_head_is_get_without_a_body(ann: Device) -> None:
    head, get = ann.head(MOUNT), ann.open()

    assert head.body == b""
    assert head.headers == get.headers


@pytest.mark.parametrize("path", [MOUNT, f"{MOUNT}/missing"])
def test_every_response_is_strict(ann: Device, path: str) -> None:
    response = ann.get(path, status="*")

    [style] = re.findall("<style>(.*?)</style>", response.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert response.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "<script" not in response.text
    assert not re.search(r"\sstyle=|\son\w+=", response.text)


# Words and templates


def test_words_are_replaced_one_by_one_and_are_text(clock: ManualClock) -> None:
    class German(Words):
        def ago(self, seconds: float) -> str:
            return f"vor {seconds:.0f} Sekunden"

    words = German(language="de", title="Deine Geräte & <mehr>", first_seen="Zuerst {ago}")
    application = mounted(
        site, MemoryStore(clock=clock), page={"words": words}, secret=SECRET, clock=clock
    )

    page = Device(application).log_in().open()

    assert '<html lang="de"' in page.text
    assert "<h1>Deine Geräte &amp; &lt;mehr&gt;</h1>" in page.text
    assert "Zuerst vor 0 Sekunden" in page.text


def test_words_may_depend_on_the_request(clock: ManualClock) -> None:
    def words(environ: dict[str, Any]) -> Words:
        is_german = environ.get("HTTP_ACCEPT_LANGUAGE") == "de"
        return Words(title="Geräte") if is_german else Words()

    application = mounted(
        site, MemoryStore(clock=clock), page={"words": words}, secret=SECRET, clock=clock
    )
    ann = Device(application).log_in()

    pages = [ann.open(headers={"Accept-Language": language}) for language in ("de", "en")]

    assert ["<h1>Geräte</h1>" in page.text for page in pages] == [True, False]
    assert "<h1>Your devices</h1>" in pages[1].text


def test_a_template_and_the_style_are_replaced_and_values_stay_text(clock: ManualClock) -> None:
    style = "main { color: teal }"
    application = mounted(
        site,
        MemoryStore(clock=clock),
        page={
            "templates": Templates(page="<style>{style}</style><h6>{title}</h6>{content}"),
            "words": Words(title="<b>"),
            "style": style,
            "back": None,
        },
        secret=SECRET,
        clock=clock,
    )

    page = Device(application).log_in().open()

    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert page.text.startswith(f"<style>{style}</style><h6>&lt;b&gt;</h6>")
    assert digest in page.headers["Content-Security-Policy"]


def test_a_subclass_renders_with_another_engine(clock: ManualClock) -> None:
    class Plain(DevicesPage):
        def render(self, view: View) -> str:
            return "\n".join(device.name for device in view.devices)

    application = mounted(site, MemoryStore(clock=clock), secret=SECRET, clock=clock)
    application.app.mounts[MOUNT] = Plain(application.manager)  # type: ignore[attr-defined]

    assert Device(application).log_in().open().text == "Firefox on Linux"


# Mistakes and outages


def test_something_else_than_a_manager_is_refused_with_the_remedy() -> None:
    middleware: Any = SessionMiddleware(site, MemoryStore())

    with pytest.raises(TypeError, match=r"not SessionMiddleware: write DevicesPage\(middleware\."):
        DevicesPage(middleware)


@pytest.mark.parametrize(
    "store", [MemcachedStore(), CookieStore()], ids=["MemcachedStore", "EncryptedCookies"]
)
def test_a_store_without_an_owner_index_is_refused(store: MemcachedStore | CookieStore) -> None:
    """When the page is built, with stores that have one; nothing is connected to."""
    manager = SessionManager(store, secret=SECRET)

    with pytest.raises(ConfigurationError, match=r"keeps no list .* use RedisStore, SQLiteStore"):
        DevicesPage(manager)


def test_outside_of_the_middleware_it_says_where_it_belongs() -> None:
    page = DevicesPage(SessionManager(MemoryStore(), secret=SECRET))

    with pytest.raises(ConfigurationError, match=r"no session under 'wsgi\.session': mount"):
        TestApp(page).get("/")


def test_it_finds_the_session_under_the_managers_key(clock: ManualClock) -> None:
    def log_in(environ: Any, start_response: Any) -> list[bytes]:
        environ["ours"].login("ann")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    application = mounted(
        log_in, MemoryStore(clock=clock), secret=SECRET, clock=clock, environ_key="ours"
    )
    ann = Device(application)
    ann.get("/")

    assert len(rows(ann.open())) == 1


def test_a_store_that_is_down_is_answered_by_the_middleware(
    ann: Device, application: SessionMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("as the test asked")

    monkeypatch.setattr(application.manager.store, "load", fail)

    response = ann.open(status=503)

    assert response.headers["Retry-After"] == "1"


# Flask


@pytest.fixture
def flask_app(clock: ManualClock) -> Flask:
    app = Flask(__name__)
    sessions = FlaskSessions(app, store=MemoryStore(clock=clock), secret=SECRET, clock=clock)
    assert sessions
    page = DevicesPage(app.extensions["wsgi_sessions"].manager)
    app.register_blueprint(page.blueprint(), url_prefix=MOUNT)

    @app.get("/")
    def index() -> str:
        from flask import request, url_for

        if "login" in request.args:
            flask_session["user_id"] = request.args["login"]
        assert url_for("devices.page") == MOUNT + "/"
        return f"You are {flask_session.get('user_id', 'nobody')}."

    return app


def test_a_blueprint_is_the_same_page(flask_app: Flask) -> None:
    """Owners come from Flask's login keys; a view or hook may have read the form before."""

    @flask_app.before_request
    def read() -> None:
        from flask import request

        assert request.form is not None

    ann, other = Device(flask_app).log_in(), Device(flask_app).log_in()
    assert [len(rows(ann.get(MOUNT + end))) for end in ("", "/")] == [2, 2]
    assert ann.open().headers["Cache-Control"] == "no-store"

    page = ann.end("others").follow()

    assert "All other devices are logged out." in page.text
    assert [ann.owner, other.owner] == ["ann", "nobody"]
    ann.request(f"{MOUNT}/", method="PUT", status=405)
    ann.end("others", "forged", status=403)


def test_a_hook_of_the_blueprint_guards_the_page(flask_app: Flask, clock: ManualClock) -> None:
    app = Flask(__name__)
    FlaskSessions(app, store=MemoryStore(clock=clock), secret=SECRET)
    blueprint = DevicesPage(app.extensions["wsgi_sessions"].manager).blueprint("mine")
    blueprint.before_request(lambda: ("not you", 401))
    app.register_blueprint(blueprint, url_prefix=MOUNT)

    assert Device(app).open(status=401).text == "not you"
