"""Beaker's middleware and session over the stores of this library."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from beaker.session import SessionObject
from paste.deploy import loadapp
from webtest import TestApp

from tests.beaker.site import SECRET, Site, put
from tests.support.recording import RecordingStore
from wsgi_sessions import ConfigurationError, MemoryStore, SessionClosed, StoreUnavailable
from wsgi_sessions import SessionMiddleware as OurMiddleware
from wsgi_sessions.beaker import BeakerSession, SessionMiddleware
from wsgi_sessions.testing import ManualClock

ROOT = Path(__file__).parents[2]


def site_of(store: Any = None, **options: Any) -> Site:
    config = {f"session.{name}": value for name, value in {"secret": SECRET, **options}.items()}
    return Site(lambda app: SessionMiddleware(app, config, store=store))


@pytest.fixture
def site(store: RecordingStore, clock: ManualClock) -> Site:
    return site_of(store, clock=clock)


# -- what is saved, and when


def test_what_was_changed_is_saved_with_and_without_save(site: Site) -> None:
    """Beaker without ``session.auto`` would save the first only."""
    site.get(put(a=1))
    site.get(lambda session: session.update(b=2))
    site.get(lambda session: session.setdefault("cart", []).append("pen"))
    site.get(lambda session: session["cart"].append("book"))
    assert site.read() == {"a": 1, "b": 2, "cart": ["pen", "book"]}


def test_an_untouched_request_costs_no_store_call_and_no_header(
    site: Site, store: RecordingStore
) -> None:
    site.get(put(a=1))
    store.pop_calls()
    response = site.get(lambda session: "untouched")
    assert store.pop_calls() == []
    assert not {"Set-Cookie", "Vary", "Cache-Control"} & set(response.headers)


def test_any_number_of_saves_is_one_write(site: Site, store: RecordingStore) -> None:
    site.get(put(a=1))
    store.pop_calls()

    def act(session: Any) -> None:
        for number in range(5):
            session["a"] = number + 2
            session.save()

    site.get(act)
    assert store.pop_calls() == ["load", "save"]
    site.get(lambda session: session.save(accessed_only=True))
    site.get(lambda session: session.save())
    assert "save" not in store.pop_calls()


def test_persist_saves_at_once_and_says_what_went_wrong(site: Site, store: RecordingStore) -> None:
    site.get(put(a=1))

    def act(session: Any) -> str:
        session["a"] = 2
        session.persist()
        saved = store.pop_calls()[-1]
        session["a"] = 3
        store.failing = {"save"}
        with pytest.raises(StoreUnavailable):
            session.persist()
        session.revert()
        return saved

    assert site.get(act).text == "save"
    store.failing = set()
    assert site.read() == {"a": 2}


def test_overlapping_requests_lose_nothing(site: Site, store: RecordingStore) -> None:
    """With Beaker the later one wins all."""
    site.get(put(a=1))
    twin = site.twin()
    store.before["save"] = lambda: site.get(put(b=2), twin)
    site.get(put(c=3))
    assert site.read() == {"a": 1, "b": 2, "c": 3}


# -- Beaker's names


def test_every_public_name_of_beakers_session_is_there() -> None:
    """But for those that say how Beaker works inside."""
    names = {name for name in (*vars(SessionObject), *dir(dict)) if not name.startswith("_")}
    from beaker.session import Session as Beakers

    names |= {name for name in vars(Beakers) if not name.startswith("_")}
    names -= {"serialize_cookie_date", "fromkeys"}
    assert {name for name in names if not hasattr(BeakerSession, name)} == set()


def test_the_state_under_beakers_names(site: Site, clock: ManualClock) -> None:
    def first(session: Any) -> None:
        assert session.is_new
        assert session.last_accessed is None
        assert session.accessed()
        assert not session.dirty()
        session["a"] = 1
        assert session.dirty()

    site.get(first)
    began = clock()
    clock.advance(100_000)

    def later(session: Any) -> None:
        assert not session.accessed()
        assert not session.accessed
        assert not session.is_new
        assert session.created == began
        assert session.last_accessed == began
        assert session.has_key("a")
        assert not session.has_key("b")
        assert session.timeout == 31 * 86_400
        session.timeout = 900

    site.get(later)
    site.get(lambda session: session["a"])
    clock.advance(901)
    assert site.read() == {}


@pytest.mark.parametrize("name", ["delete", "invalidate"])
def test_a_session_that_is_ended_is_gone(name: str, site: Site, store: RecordingStore) -> None:
    site.get(put(a=1))
    old = site.twin()
    response = site.get(lambda session: getattr(session, name)() or session.save())
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert site.read(old) == {}
    assert "delete" in store.pop_calls()


def test_an_invalidated_session_goes_on_as_a_new_one(site: Site) -> None:
    site.get(put(a=1))

    def act(session: Any) -> bool:
        before = session.id
        session.invalidate()
        session["b"] = 2
        session.save()
        return bool(before != session.id and session.is_new)

    assert site.get(act).text == "True"
    assert site.read() == {"b": 2}


def test_a_new_id_is_a_new_secret(site: Site) -> None:
    site.get(put(a=1))
    stolen = site.twin()
    site.get(lambda session: session.regenerate_id() or session.save())
    assert site.read() == {"a": 1}
    assert site.read(stolen) == {}


def test_revert_and_load(site: Site, store: RecordingStore) -> None:
    site.get(put(a=1))
    twin = site.twin()

    def act(session: Any) -> None:
        session["a"] = 2
        session.revert()
        assert session["a"] == 1
        site.get(put(a=3), twin)
        session.load()
        assert session["a"] == 3

    site.get(act)
    assert site.read() == {"a": 3}


def test_a_lock_locks_nothing_and_says_so(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.get(lambda session: session.lock() or session.unlock())
    assert "use session.increment() or session.mutate()" in caplog.text


def test_a_session_is_had_by_its_id(site: Site) -> None:
    """To be read, changed and ended; a made-up one is none."""
    site.get(put(a=1))
    id = site.get(lambda session: session.id).text
    admin = TestApp(site.app)

    def act(session: Any) -> None:
        assert session.get_by_id("x" * 22) is None
        other = session.get_by_id(id)
        assert other["a"] == 1
        other["a"] = 2
        other.save()

    site.get(act, admin)
    assert site.read() == {"a": 2}
    site.get(lambda session: session.get_by_id(id).delete(), admin)
    assert site.read() == {}


def test_the_domain_of_one_sessions_cookie(site: Site) -> None:
    def act(session: Any) -> None:
        assert session.domain is None
        session["a"] = 1
        session.domain = ".example.com"

    assert "Domain=example.com" in site.get(act).headers["Set-Cookie"]
    site = site_of(MemoryStore(), cookie_domain="example.org")
    assert "Domain=example.org" in site.get(put(a=1)).headers["Set-Cookie"]


def test_the_path_is_one_for_all(store: RecordingStore) -> None:
    site = site_of(store, cookie_path="/shop")

    def act(session: Any) -> str:
        session.path = "/shop"
        with pytest.raises(ConfigurationError, match=r"session\.cookie_path"):
            session.path = "/other"
        return str(session.path)

    assert site.get(act).text == "/shop"
    assert "Path=/shop" in site.get(put(a=1)).headers["Set-Cookie"]


def test_after_the_headers_a_new_session_cannot_begin(store: RecordingStore) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"x"
        environ["beaker.session"]["a"] = 1

    with pytest.raises(SessionClosed):
        TestApp(SessionMiddleware(app, store=store, secret=SECRET)).get("/")


# -- options


def set_cookie(**options: Any) -> str:
    return str(site_of(MemoryStore(), **options).get(put(a=1)).headers["Set-Cookie"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "beaker.session.id=V; HttpOnly; Path=/; SameSite=Lax"),
        ({"key": "shop"}, "shop=V; HttpOnly; Path=/; SameSite=Lax"),
        ({"httponly": "false"}, "beaker.session.id=V; Path=/; SameSite=Lax"),
        ({"secure": "true"}, "beaker.session.id=V; HttpOnly; Path=/; SameSite=Lax; Secure"),
        ({"samesite": "Strict"}, "beaker.session.id=V; HttpOnly; Path=/; SameSite=Strict"),
        ({"cookie_path": "/a"}, "beaker.session.id=V; HttpOnly; Path=/a; SameSite=Lax"),
        (
            {"cookie_expires": "3600"},
            "beaker.session.id=V; Expires; HttpOnly; Max-Age=3600; Path=/; SameSite=Lax",
        ),
        (
            {"cookie_expires": timedelta(hours=2), "timeout": 600},
            "beaker.session.id=V; Expires; HttpOnly; Max-Age=600; Path=/; SameSite=Lax",
        ),
        (
            {"cookie_expires": False},
            "beaker.session.id=V; Expires; HttpOnly; Max-Age=2678400; Path=/; SameSite=Lax",
        ),
    ],
)
def test_the_cookie_is_as_beakers_options_say(options: dict[str, Any], expected: str) -> None:
    pair, *attributes = set_cookie(**options).split("; ")
    shown = sorted("Expires" if one.startswith("Expires") else one for one in attributes)
    assert "; ".join([f"{pair.partition('=')[0]}=V", *shown]) == expected


@pytest.mark.parametrize("timeout", [600, "600", "10 minutes"])
def test_a_timeout_is_the_idle_lifetime(timeout: Any, clock: ManualClock) -> None:
    site = site_of(MemoryStore(clock=clock), timeout=timeout, clock=clock)
    site.get(put(a=1))
    for _ in range(3):
        clock.advance(590)
        assert site.read() == {"a": 1}
    clock.advance(601)
    assert site.read() == {}


STORES: dict[str, Callable[[pytest.FixtureRequest, Path], dict[str, Any]]] = {
    "MemoryStore": lambda request, path: {},
    "FileStore": lambda request, path: {"type": "file", "data_dir": f"{path}/a b"},
    "FileStore of dbm": lambda request, path: {"type": "dbm", "data_dir": str(path)},
    "SQLAlchemyStore": lambda request, path: {
        "type": "ext:database",
        "url": f"sqlite:///{path}/beaker.db",
    },
    "RedisStore": lambda request, path: {
        "type": "ext:redis",
        "url": request.getfixturevalue("redis_server").url,
    },
    "MemcachedStore": lambda request, path: {
        "type": "ext:memcached",
        "url": request.getfixturevalue("memcached").address,
    },
    "MongoDBStore": lambda request, path: {
        "type": "ext:mongodb",
        "url": f"{request.getfixturevalue('mongodb_url')}/beaker",
    },
    "EncryptedCookies": lambda request, path: {"type": "cookie", "validate_key": SECRET},
    "SQLiteStore": lambda request, path: {"store": f"sqlite:///{path}/sessions.db"},
}


@pytest.mark.parametrize("name", STORES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_each_type_has_a_store_of_this_library(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    options = STORES[name](request, tmp_path)
    site = site_of(**options)
    site.get(put(a=[1]))
    assert site.read() == {"a": [1]}
    assert type(site.app.manager.store).__name__ == name.partition(" ")[0]
    if hasattr(site.app.manager.store, "close"):
        site.app.manager.store.close()


def test_a_cluster_of_redis_is_named_by_its_nodes() -> None:
    from wsgi_sessions.beaker.configuration import Configuration

    with pytest.raises(ConfigurationError, match="url as text"):
        Configuration({}, {"type": "ext:rediscluster", "urls": object()}).store()
    store = Configuration(
        {}, {"type": "ext:rediscluster", "urls": "redis://a:7001,redis://b:7002"}
    ).store()
    assert type(store).__name__ == "RedisStore"


def test_what_was_encrypted_is_encrypted_again(store: RecordingStore, clock: ManualClock) -> None:
    site = site_of(store, encrypt_key="e" * 16, validate_key="v", clock=clock)
    site.get(put(a="plain text"))
    assert "plain text" not in str(vars(store.inner))
    assert site.read() == {"a": "plain text"}


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"timeot": 1}, TypeError, r"session\.timeot: did you mean session\.timeout"),
        ({"timeout": "soon"}, ConfigurationError, r"session\.timeout"),
        ({"auto": "perhaps"}, ConfigurationError, r"session\.auto"),
        ({"type": "ext:google"}, ConfigurationError, r"session\.type is 'ext:google'"),
        ({"type": "file"}, ConfigurationError, r"session\.data_dir"),
        ({"type": "ext:redis"}, ConfigurationError, r"session\.url"),
        ({"type": "ext:redis", "url": object()}, ConfigurationError, "RedisStore"),
        ({"type": "cookie"}, ConfigurationError, "secret"),
        ({"use_cookies": False}, ConfigurationError, r"session\.use_cookies"),
        ({"namespace_class": object}, ConfigurationError, "give a store"),
        ({"cookie_expires": datetime(2030, 1, 1)}, ConfigurationError, "True, False or seconds"),
        ({"lifetime": "soon"}, ConfigurationError, "lifetime"),
    ],
)
def test_a_wrong_option_is_refused_when_the_application_starts(
    options: dict[str, Any], error: type[Exception], said: str
) -> None:
    config = {f"session.{name}": value for name, value in options.items()}
    with pytest.raises(error, match=said):
        SessionMiddleware(lambda environ, start_response: [], config)


def test_options_of_this_library_may_stand_among_beakers() -> None:
    app = SessionMiddleware(
        lambda environ, start_response: [],
        {"session.lifetime": "15m", "beaker.session.merge_keys": "grid", "other": 1},
        login_keys=["user"],
        secret=SECRET,
    )
    assert app.manager.options.lifetime == 900
    assert app.manager.options.merge_keys == ("grid",)
    assert app.manager.options.login_keys == ("user",)


def test_what_is_wrapped_has_to_be_an_application() -> None:
    with pytest.raises(TypeError):
        SessionMiddleware(MemoryStore())  # type: ignore[arg-type]


# -- Paste

INI = """
[app:main]
paste.app_factory = tests.beaker.test_beaker:counting_app
filter-with = sessions

[filter:sessions]
paste.filter_app_factory = wsgi_sessions.beaker:session_filter_app_factory
beaker.session.type = file
beaker.session.data_dir = %(here)s/data
beaker.session.secret = the secret of the Beaker sessions
session.timeout = 600
session.cookie_expires = false
"""


def counting_app(_global_conf: Any) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        count = environ["beaker.session"].increment("n")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(count).encode()]

    return app


def test_the_filter_of_an_ini_file(tmp_path: Path) -> None:
    (tmp_path / "shop.ini").write_text(INI)
    browser = TestApp(loadapp(f"config:{tmp_path}/shop.ini"))
    first = browser.get("/")
    assert "Max-Age=600" in first.headers["Set-Cookie"]
    assert [first.text, browser.get("/").text] == ["1", "2"]
    assert (tmp_path / "data" / "sessions").is_dir()


def test_the_filter_has_an_entry_point() -> None:
    """``use = egg:wsgi-sessions#beaker_session``, as Beaker's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    factories = project["entry-points"]["paste.filter_app_factory"]
    assert factories == {"beaker_session": "wsgi_sessions.beaker:session_filter_app_factory"}


def test_webtest_finds_the_session_by_its_variable(store: RecordingStore) -> None:
    site = site_of(store, webtest_varname="session")
    response = site.get(
        put(a=1), extra_environ={"paste.testing": True, "paste.testing_variables": {}}
    )
    assert isinstance(response.request.environ["paste.testing_variables"]["session"], BeakerSession)


# -- beside others


def test_under_the_middleware_of_this_library_the_session_is_that_one(
    store: RecordingStore,
) -> None:
    acts: list[Any] = []
    site = Site(
        lambda app: OurMiddleware(SessionMiddleware(app, secret=SECRET), store, secret=SECRET)
    )
    site.get(lambda session: acts.append(session) or session.update(a=1))
    assert isinstance(acts[0], BeakerSession)
    assert store.pop_calls()[-1] == "save"
    [cookie] = site.browser.cookiejar
    assert cookie.name == "sid"
