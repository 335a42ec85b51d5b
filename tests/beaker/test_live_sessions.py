"""Live sessions of the real Beaker are ours after the change of one import."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beaker.ext.memcached import MemcachedNamespaceManager
from beaker.ext.mongodb import MongoNamespaceManager
from beaker.ext.redisnm import RedisNamespaceManager
from beaker.middleware import SessionMiddleware as BeakersMiddleware

from tests.beaker.site import SECRET, Site, put
from wsgi_sessions import ConfigurationError, MemoryStore
from wsgi_sessions.beaker import SessionMiddleware
from wsgi_sessions.migration import BeakerReader

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Beaker closes no connection


@pytest.fixture(autouse=True, scope="module")
def no_open_connections() -> Iterator[None]:
    """Those of these tests are not closed in others, which know of no such warning."""
    yield
    for clients in (RedisNamespaceManager, MemcachedNamespaceManager, MongoNamespaceManager):
        clients.clients.dict.clear()
    gc.collect()


Place = Callable[[pytest.FixtureRequest, Path], dict[str, Any]]

PLACES: dict[str, Place] = {
    "memory": lambda request, path: {},
    "file": lambda request, path: {"data_dir": str(path)},
    "dbm": lambda request, path: {"data_dir": str(path)},
    "ext:database": lambda request, path: {
        "url": f"sqlite:///{path}/beaker.db",
        "lock_dir": str(path),
    },
    "ext:redis": lambda request, path: {"url": request.getfixturevalue("redis_server").url},
    "ext:memcached": lambda request, path: {
        "url": request.getfixturevalue("memcached").address,
        "lock_dir": str(path),
        "memcache_module": "memcache",
    },
    "ext:mongodb": lambda request, path: {
        "url": f"{request.getfixturevalue('mongodb_url')}/beaker"
    },
    "cookie": lambda request, path: {"validate_key": SECRET},
}
FORMS: dict[str, dict[str, Any]] = {
    "pickle": {},
    "json": {"data_serializer": "json"},
    "encrypted pickle": {"encrypt_key": "e" * 16, "validate_key": SECRET},
    "encrypted json": {
        "encrypt_key": "e" * 16,
        "validate_key": SECRET,
        "data_serializer": "json",
    },
}
VALUES: dict[str, Any] = {"user": "ann", "n": 7, "cart": [{"item": "pen"}], "text": "Räikkönen"}
PICKLED: dict[str, Any] = {"when": datetime(2026, 1, 2, 3, 4), "price": Decimal("1.50"), "set": {1}}


class Basket(list):
    """An object of the application's own."""


@pytest.fixture(params=[(kind, form) for kind in PLACES for form in FORMS], ids=":".join)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    kind, form = request.param
    options = {"type": kind, "secret": SECRET, **PLACES[kind](request, tmp_path), **FORMS[form]}
    return {f"session.{name}": value for name, value in options.items()}


@pytest.fixture
def beakers(config: dict[str, Any]) -> Site:
    """A site of Beaker's, where a visitor has a session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Beaker's own
        site = Site(lambda app: BeakersMiddleware(app, dict(config)))
        site.get(put(**values_of(config)))
        return site


def values_of(config: dict[str, Any]) -> dict[str, Any]:
    return VALUES if config.get("session.data_serializer") == "json" else VALUES | PICKLED


def ours(config: dict[str, Any], beakers: Site, **options: Any) -> Site:
    """The same site with the import changed. What is kept in the cookie goes to a store."""
    if config["session.type"] == "cookie":
        options.setdefault("store", MemoryStore())
    site = Site(lambda app: SessionMiddleware(app, config, **options))
    site.take_over(beakers)
    return site


@pytest.mark.parametrize("trust", [False, True])
def test_a_visitor_keeps_the_session_and_has_it_once(
    config: dict[str, Any], beakers: Site, trust: bool
) -> None:
    """After a logout the old cookie opens nothing."""
    config = config | {"session.trust_pickles": trust}
    site = ours(config, beakers)
    old = site.twin()
    assert site.read() == values_of(config)
    site.get(put(more=1))
    assert site.read(old)["more"] == 1
    site.get(lambda session: session.delete())
    assert site.read() == site.read(old) == {}


def test_the_old_record_is_deleted(config: dict[str, Any], beakers: Site) -> None:
    """So that Beaker finds nothing any more; of a cookie there is none."""
    site = ours(config, beakers)
    site.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert beakers.read() == ({} if config["session.type"] != "cookie" else values_of(config))


def test_a_cookie_that_beaker_would_not_take_opens_nothing(
    config: dict[str, Any], beakers: Site
) -> None:
    """Signed by another secret, or not at all."""
    wrong = {"session.secret": "another", "session.validate_key": "another"}
    site = ours(config | wrong, beakers)
    assert site.read() == {}


def test_a_session_that_beaker_has_timed_out_is_gone(config: dict[str, Any], beakers: Site) -> None:
    reader = {name.removeprefix("session."): value for name, value in config.items()}
    [cookie] = beakers.browser.cookiejar
    for timeout, found in ((3600, True), (1e-9, False)):
        old = BeakerReader(**reader, timeout=timeout)
        key = old.key(cookie.value)
        assert key is not None
        assert (old.read(key) is not None) == found


def test_unsigned_ids_are_taken_where_beaker_has_no_secret(tmp_path: Path) -> None:
    config = {"session.data_dir": str(tmp_path)}
    beakers = Site(lambda app: BeakersMiddleware(app, dict(config)))
    beakers.get(put(**VALUES))
    site = Site(lambda app: SessionMiddleware(app, config))
    site.take_over(beakers)
    assert site.read() == VALUES


@pytest.mark.parametrize(
    "value", ["../../etc/passwd", "a" * 31, "A" * 32, "é" * 32, "", '"', "a" * 65, "a" * 32 + "/"]
)
def test_what_is_no_id_of_beakers_is_asked_of_no_place(value: str, tmp_path: Path) -> None:
    assert BeakerReader(data_dir=str(tmp_path)).key(value) is None


def test_a_session_with_objects_is_read_by_beaker_itself_if_that_is_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it but the objects."""
    config: dict[str, Any] = {"session.data_dir": str(tmp_path), "session.secret": SECRET}
    beakers = Site(lambda app: BeakersMiddleware(app, dict(config)))
    beakers.get(put(**VALUES, odd=object))
    site = Site(lambda app: SessionMiddleware(app, config))
    site.take_over(beakers)
    assert site.read() == {}
    assert "trust_pickles=True" in caplog.text
    site = Site(lambda app: SessionMiddleware(app, config | {"session.trust_pickles": "true"}))
    site.take_over(beakers)
    assert site.read() == VALUES
    assert "without 'odd'" in caplog.text


class Bomb:
    """Executes something when it is unpickled."""

    def __reduce__(self) -> Any:
        return logging.getLogger("bomb").error, ("executed",)


@pytest.mark.parametrize("where", ["the file", "the session"])
def test_nothing_is_executed(where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import pickle

    config: dict[str, Any] = {"session.data_dir": str(tmp_path), "session.secret": SECRET}
    beakers = Site(lambda app: BeakersMiddleware(app, dict(config)))
    if where == "the session":
        beakers.get(put(bomb=Bomb()))
    else:
        beakers.get(put(n=1))
        [path] = tmp_path.rglob("*.cache")
        path.write_bytes(pickle.dumps({"session": Bomb()}))
    site = Site(lambda app: SessionMiddleware(app, config))
    site.take_over(beakers)
    assert site.read() == {}
    assert "executed" not in caplog.text


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("content", [b"", b"crap", b"\x80\x04N."])
def test_a_damaged_session_is_no_outage(content: bytes, trust: bool, tmp_path: Path) -> None:
    """The visitor begins anew."""
    config: dict[str, Any] = {"session.data_dir": str(tmp_path), "session.trust_pickles": trust}
    beakers = Site(lambda app: BeakersMiddleware(app, {"session.data_dir": str(tmp_path)}))
    beakers.get(put(n=1))
    [path] = tmp_path.rglob("*.cache")
    path.write_bytes(content)
    site = Site(lambda app: SessionMiddleware(app, config))
    site.take_over(beakers)
    assert site.read() == {}
    site.get(put(n=2))
    assert site.read() == {"n": 2}


def test_a_place_that_does_not_answer_is_an_outage() -> None:
    """And no empty session."""
    config = {"session.type": "ext:redis", "session.url": "redis://127.0.0.1:1"}
    site = Site(lambda app: SessionMiddleware(app, config, store=MemoryStore()))
    site.browser.set_cookie("beaker.session.id", "a" * 32)
    site.acts.append(lambda session: session.get("n"))
    site.browser.get("/", status=503)


def test_a_lifetime_of_the_browser_stays_one(tmp_path: Path) -> None:
    """And a cookie that Beaker had made to outlive it goes on doing so."""
    for expires, age in ((True, False), (False, True), (3600, True)):
        config = {
            "session.data_dir": str(tmp_path),
            "session.cookie_expires": expires,
            "session.timeout": 7200,
        }
        beakers = Site(lambda app, config=config: BeakersMiddleware(app, dict(config)))
        beakers.get(put(n=1))
        site = Site(lambda app, config=config: SessionMiddleware(app, config))
        site.take_over(beakers)
        line = site.get(lambda session: session["n"]).headers["Set-Cookie"]
        assert ("Max-Age" in line) == age
        assert not age or f"Max-Age={7200 if expires is False else 3600}" in line


def test_a_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="trust_pickles=True lets Beaker itself read"):
        BeakerReader(type="ext:google")


def test_expired_for_beaker_counts_from_its_last_access(tmp_path: Path) -> None:
    config: dict[str, Any] = {"session.data_dir": str(tmp_path)}
    beakers = Site(lambda app: BeakersMiddleware(app, dict(config)))
    beakers.get(put(n=1))
    [cookie] = beakers.browser.cookiejar
    reader = BeakerReader(data_dir=str(tmp_path), timeout=timedelta(hours=1))
    assert reader.lifetime == 3600
    key = reader.key(cookie.value)
    assert key is not None
    old = reader.read(key)
    assert old is not None
    assert old.values == {"n": 1}
