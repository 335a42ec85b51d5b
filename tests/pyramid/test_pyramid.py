"""Pyramid's sessions, alone and inside the middleware."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid.authentication import SessionAuthenticationHelper as PyramidsHelper
from pyramid.config import Configurator
from pyramid.csrf import (
    LegacySessionCSRFStoragePolicy,
    SessionCSRFStoragePolicy,
    check_csrf_token,
    get_csrf_token,
    new_csrf_token,
)
from pyramid.httpexceptions import HTTPFound, HTTPNotFound
from pyramid.interfaces import ISession
from pyramid.response import FileIter, Response
from webtest import TestApp
from zope.interface.verify import verifyObject

from tests.pyramid.site import SECRET, WAYS, Site
from tests.support.recording import RecordingStore
from wsgi_sessions import (
    ConfigurationError,
    MemoryStore,
    Session,
    SessionClosed,
    SessionManager,
    SessionMiddleware,
    StoreError,
)
from wsgi_sessions.pyramid import PyramidSession, includeme, session_factory
from wsgi_sessions.testing import ManualClock

GET = {"wsgi.url_scheme": "http"}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(way: str, store: RecordingStore, clock: ManualClock) -> Site:
    return Site(way, store, clock)


def put(**values: Any) -> Callable[[Any], str]:
    def act(request: Any) -> str:
        request.session.update(values)
        return "put"

    return act


def test_a_session_is_what_pyramid_calls_one(site: Site) -> None:
    kinds = []

    def act(request: Any) -> str:
        assert verifyObject(ISession, request.session)
        kinds.append(type(request.session))
        assert type(request.session.created) is int
        assert request.session.new
        return "ok"

    site.get(act)
    assert kinds == [PyramidSession]


def test_values_last_and_nested_changes_are_noticed(site: Site) -> None:
    site.get(put(cart=["pen"]))
    site.get(lambda request: request.session["cart"].append("book") or "ok")
    assert site.read() == {"cart": ["pen", "book"]}


def test_an_untouched_request_costs_no_store_call_and_no_header(
    site: Site, store: RecordingStore
) -> None:
    """Also where something has asked for the session and looked at nothing of it."""
    site.get(put(a=1))
    store.pop_calls()
    for act in (lambda request: "untouched", lambda request: str(bool(request.session is None))):
        response = site.get(act)
        assert not {"Set-Cookie", "Vary", "Cache-Control"} & set(response.headers)
    assert store.pop_calls() == []


def test_a_read_costs_one_call_and_a_write_one_more(site: Site, store: RecordingStore) -> None:
    site.get(put(a=1))
    store.pop_calls()
    response = site.get(lambda request: request.session["a"])
    assert store.pop_calls() == ["load"]
    assert (response.headers["Vary"], response.headers["Cache-Control"]) == ("Cookie", "private")
    site.get(put(a=2))
    assert store.pop_calls() == ["load", "save"]


def test_changed_is_taken_and_writes_nothing_that_is_equal(
    site: Site, store: RecordingStore
) -> None:
    site.get(put(a=[1]))
    store.pop_calls()
    site.get(lambda request: request.session.changed() or "ok")
    assert store.pop_calls() == ["load"]


def test_an_invalidated_session_is_gone_and_its_object_goes_on_as_a_new_one(site: Site) -> None:
    site.get(put(a=1))
    old = site.twin()

    def act(request: Any) -> str:
        before = request.session.id
        request.session.invalidate()
        request.session["b"] = 2
        return str(before != request.session.id)

    assert site.get(act).text == "True"
    assert site.read() == {"b": 2}
    assert site.read(old) == {}


def test_a_session_ends_when_nobody_has_used_it_for_its_lifetime(
    way: str, store: RecordingStore, clock: ManualClock
) -> None:
    site = Site(way, store, clock, lifetime=1200)
    site.get(put(a=1))
    for _ in range(3):
        clock.advance(1100)
        assert site.read() == {"a": 1}
    clock.advance(1201)
    assert site.read() == {}


def test_a_permanent_session_has_a_cookie_that_outlives_the_browser(site: Site) -> None:
    response = site.get(
        lambda request: setattr(request.session, "permanent", True) or put(a=1)(request)
    )
    assert "Max-Age=2678400" in response.headers["Set-Cookie"]


# -- messages


def flash(*arguments: Any, **options: Any) -> Callable[[Any], str]:
    return lambda request: request.session.flash(*arguments, **options) or "flashed"


def test_messages_are_shown_once_in_their_order_by_queue(site: Site) -> None:
    for message in ("one", "two"):
        site.get(flash(message))
    site.get(flash({"level": 3}, "errors"))
    site.get(flash("two", allow_duplicate=False))
    shown: list[Any] = []

    def act(request: Any) -> str:
        session = request.session
        shown.append((session.peek_flash(), session.pop_flash(), session.pop_flash()))
        shown.append(session.pop_flash("errors"))
        return "shown"

    site.get(act)
    assert shown == [(["one", "two"], ["one", "two"], []), [{"level": 3}]]
    assert site.read() == {}


def overlapping(site: Site, store: RecordingStore, first: Any, second: Any) -> None:
    """*second* is answered whole before what *first* has done is saved."""
    twin = site.twin()
    store.before["save"] = lambda: site.get(second, twin)
    site.get(first)


def test_messages_of_overlapping_requests_all_arrive(site: Site, store: RecordingStore) -> None:
    site.get(flash("first"))
    overlapping(site, store, flash("one"), flash("two"))
    assert site.read() == {"_f_": ["first", "two", "one"]}


def test_of_equal_messages_that_overlap_one_is_kept_where_no_two_are_wanted(
    site: Site, store: RecordingStore
) -> None:
    site.get(put(a=1))
    once = flash("saved", allow_duplicate=False)
    overlapping(site, store, once, once)
    assert site.read()["_f_"] == ["saved"]


@pytest.mark.parametrize("shows_first", [False, True])
def test_a_message_that_arrives_while_others_are_shown_is_shown_next(
    site: Site, store: RecordingStore, shows_first: bool
) -> None:
    """And none is shown twice."""
    site.get(put(a=1))
    site.get(flash("old"))
    show, add = (lambda request: str(request.session.pop_flash())), flash("new")
    overlapping(site, store, *((add, show) if shows_first else (show, add)))
    assert site.read() == {"a": 1, "_f_": ["new"]}


def test_a_message_after_all_were_shown_is_the_only_one(site: Site) -> None:
    """In one request."""
    site.get(flash("old"))

    def act(request: Any) -> str:
        request.session.pop_flash()
        request.session.flash("new")
        return str(request.session.peek_flash())

    assert site.get(act).text == "['new']"
    assert site.read() == {"_f_": ["new"]}


# -- CSRF

POLICIES = {
    "the usual": LegacySessionCSRFStoragePolicy,
    "in the session": SessionCSRFStoragePolicy,
}


@pytest.mark.parametrize("policy", POLICIES)
def test_both_policies_keep_the_token_until_there_is_a_new_one(
    policy: str, way: str, store: RecordingStore, clock: ManualClock
) -> None:
    site = Site(
        way,
        store,
        clock,
        configure=lambda config: config.set_csrf_storage_policy(POLICIES[policy]()),
    )
    token = site.get(get_csrf_token).text
    assert len(token) >= 32
    assert site.get(get_csrf_token).text == token
    site.acts.append(lambda request: str(check_csrf_token(request)))
    assert site.browser.post("/", {"csrf_token": token}).text == "True"
    newer = site.get(new_csrf_token).text
    assert newer != token
    site.acts.append(lambda request: str(check_csrf_token(request, raises=False)))
    assert site.browser.post("/", {"csrf_token": token}).text == "False"
    assert site.get(get_csrf_token).text == newer


def test_overlapping_requests_agree_on_the_token(site: Site, store: RecordingStore) -> None:
    site.get(put(a=1))
    tokens = []

    def act(request: Any) -> str:
        tokens.append(request.session.get_csrf_token())
        return "ok"

    overlapping(site, store, act, act)
    assert len(tokens) == 2
    assert len({*tokens, site.read()["_csrft_"]}) == 1


# -- who is logged in


def remember(userid: Any) -> Callable[[Any], str]:
    from pyramid.security import remember

    return lambda request: str(remember(request, userid))


def forget(request: Any) -> str:
    from pyramid.security import forget

    return str(forget(request))


def who(request: Any) -> str:
    return repr(request.authenticated_userid)


@pytest.mark.parametrize("helper", [None, PyramidsHelper()], ids=["ours", "Pyramid's"])
def test_a_login_is_a_new_secret_and_an_owner_and_a_logout_the_end_of_both(
    helper: Any, way: str, store: RecordingStore, clock: ManualClock
) -> None:
    """By either helper: its key is a login key."""
    site = Site(way, store, clock, helper=helper)
    site.get(put(cart=[1]))
    before = site.twin()
    site.get(remember(7))
    assert site.get(who).text == "7"
    assert site.get(who, before).text == "None"
    assert site.get(lambda request: request.session.owner).text == "7"
    assert site.read()["cart"] == [1]
    stolen = site.twin()
    site.get(forget)
    assert site.get(who).text == site.get(who, stolen).text == "None"
    assert site.get(lambda request: str(request.session.owner)).text == "None"


def test_the_helper_knows_whom_another_framework_has_logged_in(site: Site) -> None:
    """By the session's owner."""
    site.get(lambda request: request.session.login("ann") or "in")
    assert site.get(who).text == "'ann'"
    site.get(forget)
    assert site.get(who).text == "None"


def test_another_user_finds_nothing_of_the_former_ones(site: Site) -> None:
    site.get(remember(7))
    site.get(put(private=1))
    site.get(remember("8"))
    assert site.get(who).text == "'8'"
    assert site.read() == {"auth.userid": "8"}


def test_the_owner_of_a_user_id_may_be_another_text(
    way: str, store: RecordingStore, clock: ManualClock
) -> None:
    from wsgi_sessions.pyramid import SessionAuthenticationHelper

    helper = SessionAuthenticationHelper("user.", owner="user-{}".format)
    site = Site(way, store, clock, helper=helper)
    site.get(remember(7))
    assert site.get(who).text == "7"
    assert site.get(lambda request: request.session.owner).text == "user-7"


def test_the_helper_takes_the_plain_dict_of_unit_tests() -> None:
    from pyramid.testing import DummyRequest

    from wsgi_sessions.pyramid import SessionAuthenticationHelper

    helper, request = SessionAuthenticationHelper(), DummyRequest()
    assert helper.remember(request, 7) == []
    assert helper.authenticated_userid(request) == 7
    assert helper.forget(request) == []
    assert helper.authenticated_userid(request) is None


def test_a_logout_that_the_store_refuses_expires_the_cookie(
    site: Site, store: RecordingStore
) -> None:
    site.get(remember(7))
    store.failing = {"load", "delete", "save"}
    response = site.get(forget, status=503)
    assert "Max-Age=0" in response.headers["Set-Cookie"]


# -- a store that fails


def is_apology(response: Any) -> bool:
    headers = response.headers
    return (
        (response.status_int, response.body) == (503, b"Service Unavailable\n")
        and (headers["Retry-After"], headers["Cache-Control"]) == ("1", "no-store")
        and "Set-Cookie" not in headers
    )


VIEWS: dict[str, Callable[[Any], Any]] = {
    "a page": lambda request: "text",
    "a redirect": lambda request: HTTPFound("/elsewhere"),
    "an error that is raised": lambda request: (_ for _ in ()).throw(HTTPNotFound()),
    "a stream": lambda request: Response(app_iter=iter([b"a", b"b"])),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("operation", ["load", "save"])
def test_a_failure_of_the_store_is_a_503(
    site: Site, store: RecordingStore, view: str, operation: str
) -> None:
    site.get(put(n=1))
    store.failing = {operation}

    def act(request: Any) -> Any:
        request.session["n"] = request.session["n"] + 1
        return VIEWS[view](request)

    assert is_apology(site.get(act, status=503))
    store.failing = set()
    assert site.read() == {"n": 1}


@pytest.mark.parametrize("kind", [StoreError, Exception])
def test_an_exception_view_of_the_application_comes_first(
    kind: type[Exception], way: str, store: RecordingStore, clock: ManualClock
) -> None:
    def configure(config: Configurator) -> None:
        view = lambda error, request: Response("closed for a moment", 500)  # noqa: E731
        config.add_exception_view(view, context=kind)

    site = Site(way, store, clock, configure=configure)
    site.get(put(n=1))
    store.failing = {"load"}
    assert site.get(lambda request: request.session["n"], status=500).text == "closed for a moment"


def test_what_an_application_changed_that_raised_is_not_saved(site: Site) -> None:
    site.get(put(n=1))

    def act(request: Any) -> Any:
        request.session["n"] = 2
        raise RuntimeError("the view's own")

    with pytest.raises(RuntimeError, match="the view's own"):
        site.get(act)
    assert site.read() == {"n": 1}


def test_what_was_changed_before_an_error_that_was_answered_is_saved(site: Site) -> None:
    """A 5xx included."""
    site.get(put(n=1))

    def act(request: Any) -> Any:
        request.session["n"] = 2
        raise HTTPNotFound()

    site.get(act, status=404)
    assert site.read() == {"n": 2}


# -- when it is saved


def test_other_callbacks_and_subscribers_may_change_the_session(site: Site) -> None:
    """A callback that was added later too; after the headers what needs no cookie."""
    site.get(put(n=1))

    def act(request: Any) -> str:
        request.session["view"] = 1
        request.add_response_callback(lambda request, _: request.session.update(callback=1))
        request.add_finished_callback(lambda request: None)
        return "ok"

    site.get(act)
    assert site.read() == {"n": 1, "view": 1, "callback": 1}


def test_a_subscriber_of_the_response_may_change_a_stored_session(
    way: str, store: RecordingStore, clock: ManualClock
) -> None:
    from pyramid.events import NewResponse

    def configure(config: Configurator) -> None:
        config.add_subscriber(lambda event: event.request.session.update(late=1), NewResponse)

    site = Site(way, store, clock, configure=configure)
    site.get(put(n=1))
    site.get(lambda request: "untouched by the view")
    assert site.read() == {"n": 1, "late": 1}


def test_a_stream_may_change_a_stored_session(site: Site) -> None:
    """And keeps its length, its other headers and its end."""
    site.get(put(n=1))
    closed = []

    class Chunks:
        def __init__(self, request: Any) -> None:
            self.session = request.session

        def __iter__(self) -> Iterator[bytes]:
            self.session["first"] = 1
            yield b"one"
            self.session["second"] = 1
            yield b"two"

        def close(self) -> None:
            closed.append(True)

    response = site.get(lambda request: Response(app_iter=Chunks(request), content_length=6))
    assert response.body == b"onetwo"
    assert response.headers["Content-Length"] == "6"
    assert closed == [True]
    assert site.read() == {"n": 1, "first": 1, "second": 1}


def test_a_stream_that_asks_for_the_session_too_late_is_told(
    store: RecordingStore, clock: ManualClock
) -> None:
    """Alone, where nobody would save it."""
    site = Site("alone", store, clock)

    def chunks(request: Any) -> Iterator[bytes]:
        request.session["n"] = 1
        yield b"one"

    with pytest.raises(SessionClosed, match=r"say request\.session in the view"):
        site.get(lambda request: Response(app_iter=chunks(request)))


def test_a_file_is_sent_as_it_is(
    way: str, store: RecordingStore, clock: ManualClock, tmp_path: Any
) -> None:
    """So that servers keep sendfile."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    site = Site(way, store, clock)
    site.get(put(n=1))
    bodies = []

    def act(request: Any) -> Response:
        bodies.append(FileIter(path.open("rb")))
        return Response(app_iter=bodies[0], content_length=7)

    def app(environ: Any, start_response: Any) -> Any:
        body = site.app(environ, start_response)
        bodies.append(body)
        return body

    if way == "alone":
        site.acts.append(act)
        assert TestApp(app).get("/").body == b"content"
        assert bodies[0] is bodies[1]


def test_a_subrequest_with_the_same_environ_uses_the_same_session(site: Site) -> None:

    def act(request: Any) -> str:
        assert request.session.new  # alone, the copy is of an environ that has the session
        inner = request.copy()
        site.acts.append(put(inner=1))
        request.invoke_subrequest(inner)
        request.session["outer"] = 1
        return "ok"

    site.get(act)
    assert site.read() == {"inner": 1, "outer": 1}


def test_a_wsgi_application_inside_pyramid_has_the_session_too(site: Site) -> None:
    """As a devices page that is mounted there."""

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.session"]["inner"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"inner"]

    def act(request: Any) -> Any:
        request.session["outer"] = 1
        return request.get_response(inner)

    assert site.get(act).text == "inner"
    assert site.read() == {"outer": 1, "inner": 1}


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("attempts", [2, 3])
def test_a_request_that_is_tried_again_counts_once(
    way: str, store: RecordingStore, clock: ManualClock, attempts: int, answered: bool
) -> None:
    """By pyramid_retry: what the attempts before the last changed is forgotten."""
    from pyramid_retry import RetryableException

    def configure(config: Configurator) -> None:
        config.include("pyramid_retry")
        if answered:
            config.add_exception_view(lambda request: Response("sorry"), context=RetryableException)

    site = Site(way, store, clock, configure=configure)
    site.get(put(n=0))
    made = []

    def act(request: Any) -> str:
        request.session.increment("n")
        request.session["attempt"] = len(made)
        made.append(True)
        if len(made) < attempts:
            site.acts.append(act)
            raise RetryableException
        return "ok"

    site.get(act)
    assert site.read() == {"n": 1, "attempt": attempts - 1}


# -- how it is configured


def test_ini_settings_are_read_by_the_one_parser(tmp_path: Any) -> None:
    settings = {
        "wsgi_sessions.store": f"file://{tmp_path}/sessions",
        "wsgi_sessions.secret": SECRET,
        "wsgi_sessions.cookie_name": "shop",
        "wsgi_sessions.permanent_lifetime": "30 days",
        "wsgi_sessions.cookie_httponly": "false",
        "wsgi_sessions.merge_keys": "grid tabs",
        "wsgi_sessions.clock": ManualClock(),
        "pyramid.includes": "wsgi_sessions.pyramid",
    }
    config = Configurator(settings=settings)
    config.add_route("page", "/")
    config.add_view(put(a=1), route_name="page", renderer="string")
    line = TestApp(config.make_wsgi_app()).get("/").headers["Set-Cookie"]
    assert re.fullmatch(r"shop=[^;]+; Path=/; SameSite=Lax", line)
    assert (tmp_path / "sessions").is_dir()


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("lifetme", "1h", TypeError, "did you mean lifetime"),
        ("lifetime", "soon", ConfigurationError, "lifetime"),
        ("store", "reddis://localhost", ConfigurationError, "begins with one of"),
        ("codec", "msgpack", ConfigurationError, "give the object in Python"),
    ],
)
def test_a_wrong_setting_is_refused_when_the_application_starts(
    name: str, value: str, error: type[Exception], said: str
) -> None:
    config = Configurator(settings={f"wsgi_sessions.{name}": value})
    with pytest.raises(error, match=rf"settings wsgi_sessions\.\*: .*{said}"):
        includeme(config)


@pytest.mark.parametrize("given", [MemoryStore, object()])
def test_a_mistake_in_the_code_is_refused_when_the_application_starts(given: Any) -> None:
    with pytest.raises(TypeError):
        session_factory(given)


def test_help_shows_the_options() -> None:
    import inspect

    assert "lifetime" in inspect.signature(session_factory).parameters
    assert "Idle time after which" in str(session_factory.__doc__)


def test_a_factory_with_options_of_its_own_inside_a_middleware_is_told(
    store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; the middleware's count."""
    config = Configurator(settings={})
    config.add_route("page", "/")
    config.add_view(put(a=1), route_name="page", renderer="string")
    config.set_session_factory(session_factory(MemoryStore(), secret=SECRET, lifetime=900))
    browser = TestApp(SessionMiddleware(config.make_wsgi_app(), store, secret=SECRET))
    for _ in range(2):
        browser.get("/")
    assert caplog.text.count("ignored: store, lifetime") == 1
    assert "save" in store.pop_calls()


def test_a_session_is_shared_with_whatever_else_is_under_the_middleware(
    store: RecordingStore, clock: ManualClock
) -> None:
    """A manager of the same options reads it too."""
    site = Site("inside the middleware", store, clock)
    site.get(put(a=1))
    manager = SessionManager(store, secret=SECRET, clock=clock)
    [cookie] = site.browser.cookiejar
    session: Session = manager.open(f"{cookie.name}={cookie.value}")
    assert dict(session) == {"a": 1}
