"""Sessions of another library become ours: what the visitor, the application and the store see."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.old_library import OldLibrary
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor, warm
from wsgi_sessions import (
    ConfigurationError,
    CookieStore,
    MemoryStore,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
)
from wsgi_sessions.migration import OldSession
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


@pytest.fixture
def old() -> OldLibrary:
    return OldLibrary(RecordingStore())


@pytest.fixture
def make(
    store: RecordingStore, clock: ManualClock, old: OldLibrary
) -> Callable[..., SessionManager]:
    def make(**options: Any) -> SessionManager:
        return SessionManager(
            **{"store": store, "secret": SECRET, "clock": clock, "migrate_from": old} | options
        )

    return make


@pytest.fixture
def manager(make: Callable[..., SessionManager], store: RecordingStore) -> SessionManager:
    manager = warm(make())
    store.pop_calls()
    return manager


class Returning(Visitor):
    """A visitor who still has the other library's cookie."""

    def __init__(self, manager: SessionManager, header: str) -> None:
        super().__init__(manager)
        self.old = header

    @property
    def header(self) -> str:
        return "; ".join(filter(None, [self.old, super().header]))


@pytest.fixture
def returning(manager: SessionManager, old: OldLibrary) -> Returning:
    return Returning(manager, old.put("k1", user="ada", cart=["tea"]))


# What the visitor gets


def test_the_session_goes_on_under_a_cookie_of_ours(
    returning: Returning, manager: SessionManager
) -> None:
    """Its values are there, and a request that only reads them is sent the cookie."""
    with returning.request() as session:
        assert session.copy() == {"user": "ada", "cart": ["tea"]}
    assert Visitor(manager, returning.cookie).read() == {"user": "ada", "cart": ["tea"]}


def test_changes_of_the_first_request_are_kept(
    returning: Returning, manager: SessionManager
) -> None:
    """Also those inside a value."""
    with returning.request() as session:
        session["cart"].append("milk")
        del session["user"]
    assert Visitor(manager, returning.cookie).read() == {"cart": ["tea", "milk"]}


def test_the_old_record_is_deleted(returning: Returning, old: OldLibrary) -> None:
    """Once, and after everything is saved."""
    for _ in range(2):
        with returning.request() as session:
            session["user"]
    assert old.read("k1") is None


@pytest.mark.parametrize("permanent", [False, True])
def test_permanent_stays_what_it_was(
    manager: SessionManager, old: OldLibrary, permanent: bool
) -> None:
    """So the new cookie ends when the old one would have."""
    visitor = Returning(manager, old.put("k2", user="u", permanent=permanent))
    with visitor.request() as session:
        assert session.permanent is permanent
    assert visitor.set_cookie is not None
    assert ("Max-Age" in visitor.set_cookie) is permanent


def test_who_was_logged_in_is_the_owner(
    make: Callable[..., SessionManager], old: OldLibrary, clock: ManualClock
) -> None:
    """So that all sessions of a user can be ended, these too."""
    store = MemoryStore(clock=clock)
    visitor = Returning(make(store=store), old.put("k3", owner="ada"))
    with visitor.request() as session:
        assert session.owner == "ada"
        assert session.id in store.keys_of("ada")


def test_a_lost_response_costs_nothing(returning: Returning, old: OldLibrary) -> None:
    """Who comes again with the old cookie has the same session."""
    with returning.request() as session:
        session["n"] = 1
        first = session.id
    returning.cookie = ""
    with returning.request() as session:
        assert (session.id, session["n"], session["user"]) == (first, 1, "ada")


def test_an_application_that_fails_loses_nothing(returning: Returning) -> None:
    """It had looked at the session, and nothing was committed."""
    returning.open()["user"]
    assert returning.read() == {"user": "ada", "cart": ["tea"]}


def test_our_cookie_wins(returning: Returning, manager: SessionManager, old: OldLibrary) -> None:
    """Who has both is not asked for the old one."""
    own = Visitor(manager)
    with own.request() as session:
        session["user"] = "bob"
    returning.cookie = own.cookie
    assert returning.read() == {"user": "bob"}
    assert old.place.pop_calls() == ["save"]  # which is the test's own


def test_an_old_cookie_of_the_same_name(make: Callable[..., SessionManager]) -> None:
    """The usual case in Flask: it is replaced by ours."""
    old = OldLibrary()
    old.cookie_name = "sid"
    visitor = Visitor(make(migrate_from=old))
    visitor.cookie = old.put("k4", user="u").partition("=")[2]
    with visitor.request() as session:
        assert session["user"] == "u"
    assert visitor.cookie != "k4"
    assert visitor.read() == {"user": "u"}


def test_several_readers(make: Callable[..., SessionManager]) -> None:
    """The first that knows a cookie has it."""
    readers = [OldLibrary(), OldLibrary()]
    readers[1].cookie_name = "older"
    manager = make(migrate_from=readers)
    assert Returning(manager, readers[1].put("k5", a=1)).read() == {"a": 1}
    assert Returning(manager, readers[0].put("k6", a=2)).read() == {"a": 2}


# Gone is gone


def end(session: Any) -> None:
    session.invalidate()


def empty(session: Any) -> None:
    session.clear()


@pytest.mark.parametrize("logout", [end, empty])
@pytest.mark.parametrize("forgetful", [False, True], ids=["a record", "a signed cookie"])
def test_an_old_cookie_does_not_undo_a_logout(
    make: Callable[..., SessionManager], logout: Callable[[Any], None], forgetful: bool
) -> None:
    """Not even one whose session cannot be deleted."""
    old = OldLibrary()
    if forgetful:
        old.delete = lambda key: None  # type: ignore[method-assign]
    visitor = Returning(make(migrate_from=old), old.put("k7", user="ada"))
    with visitor.request() as session:
        session["user"]
    with visitor.request() as session:
        logout(session)
    visitor.cookie = ""
    assert visitor.read() == {}


def test_a_logout_by_the_old_cookie(returning: Returning, old: OldLibrary) -> None:
    """The very first request may be one, and need not look."""
    with returning.request() as session:
        session.invalidate()
    assert old.read("k1") is None
    assert returning.read() == {}


def test_a_login_kills_the_old_cookie(returning: Returning, clock: ManualClock) -> None:
    """Like any cookie that was there before; a request in flight does not overwrite the new one."""
    with returning.request() as session:
        session["user"]
    in_flight = Returning(returning.manager, returning.old)
    with returning.request() as session:
        session.login("ada")
    with in_flight.request() as session:
        session["late"] = True
    assert in_flight.set_cookie is None
    clock.advance(timedelta(minutes=1))
    assert Returning(returning.manager, returning.old).read() == {}
    assert "late" not in returning.read()


def test_a_session_that_ran_out_does_not_come_back(
    returning: Returning, clock: ManualClock
) -> None:
    """For as long as the old cookie could be good."""
    with returning.request() as session:
        session["user"]
    clock.advance(timedelta(days=2))
    returning.cookie = ""
    assert returning.read() == {}


# What it costs


def test_without_an_old_cookie_it_costs_nothing(
    manager: SessionManager, store: RecordingStore, old: OldLibrary
) -> None:
    """No call, for new visitors and for those whom no reader knows."""
    for header in ("", "other=1", "old=no/key"):
        assert manager.open(header).copy() == {}
    assert (store.pop_calls(), old.place.pop_calls()) == ([], [])


def test_what_a_takeover_costs(
    returning: Returning, store: RecordingStore, old: OldLibrary
) -> None:
    """Once for each session; afterwards it is like any other."""
    old.place.pop_calls()
    with returning.request() as session:
        session["user"]
    assert store.pop_calls() == ["load", "save", "save", "load", "save"]
    assert old.place.pop_calls() == ["load", "delete"]
    returning.read()
    assert (store.pop_calls(), old.place.pop_calls()) == (["load"], [])


def test_an_old_cookie_with_nothing_behind_it(
    manager: SessionManager, store: RecordingStore, old: OldLibrary
) -> None:
    """One look into each place."""
    assert manager.open("old=gone").copy() == {}
    assert (store.pop_calls(), old.place.pop_calls()) == (["load"], ["load"])


def test_an_untouched_session_is_not_taken_over(
    returning: Returning, store: RecordingStore, old: OldLibrary
) -> None:
    """You pay for what you touch."""
    old.place.pop_calls()
    with returning.request():
        pass
    assert (store.pop_calls(), old.place.pop_calls()) == ([], [])


# Faults


@pytest.mark.parametrize("place", ["old", "new"])
def test_a_fault_is_never_an_empty_session(
    returning: Returning, store: RecordingStore, old: OldLibrary, place: str
) -> None:
    """The visitor may try again."""
    failing = old.place if place == "old" else store
    failing.failing = {"load"}
    with pytest.raises(StoreUnavailable):
        returning.read()
    failing.failing = set()
    assert returning.read()["user"] == "ada"


def test_a_client_that_fails_in_its_own_way(make: Callable[..., SessionManager]) -> None:
    """Every exception of a reader is a store that is unavailable."""

    class Failing(OldLibrary):
        def read(self, key: str) -> OldSession | None:
            raise ConnectionError("secret-value")

    with pytest.raises(StoreUnavailable, match=r"^Failing could not .* ConnectionError$"):
        Returning(make(migrate_from=Failing()), "old=k").read()


def test_anonymous_if_so_configured(
    make: Callable[..., SessionManager], store: RecordingStore, old: OldLibrary
) -> None:
    """Nothing is saved, and the old cookie is not overwritten."""
    visitor = Returning(make(on_store_error="anonymous"), old.put("k8", user="u"))
    old.place.failing = {"load"}
    with visitor.request() as session:
        assert session.copy() == {}
        session["x"] = 1
    assert visitor.set_cookie is None
    old.place.failing = set()
    assert visitor.read() == {"user": "u"}


def test_an_old_record_that_cannot_be_deleted(
    returning: Returning, old: OldLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the session goes on, and is not migrated a second time."""
    old.place.failing = {"delete"}
    with returning.request() as session:
        session["user"] = "changed"
    assert "could not be deleted" in caplog.text
    returning.cookie = ""
    assert returning.read()["user"] == "changed"


def test_what_cannot_be_kept_is_left_out_and_named(
    make: Callable[..., SessionManager], caplog: pytest.LogCaptureFixture
) -> None:
    """It costs that key, not the session; and no value is in the log."""

    class Odd(OldLibrary):
        def read(self, key: str) -> OldSession | None:
            odd = {"odd": object(), 1: "one", "\ud800": "half", "x": [{"deep": 1234567j}]}
            odd |= {"k" * 33: 1j, ("s3cret",): 1}
            return OldSession({"user": "ada"} | odd, permanent=False)

    assert Returning(make(migrate_from=Odd()), "old=k").read() == {"user": "ada"}
    for name in ("'odd'", "without 1", r"'\ud800'", "'x'", "type tuple", "type str"):
        assert name in caplog.text
    assert "1234567j" not in caplog.text
    assert "s3cret" not in caplog.text
    assert "kkk" not in caplog.text


@pytest.mark.parametrize("values", [{}, {"big": "x" * 2000}], ids=["empty", "too large"])
def test_what_is_empty_or_too_large_stays_where_it_is(
    make: Callable[..., SessionManager], old: OldLibrary, values: dict[str, Any]
) -> None:
    """The visitor is new, and that is no error."""
    visitor = Returning(make(max_bytes=1000), old.put("k9", **values))
    assert visitor.read() == {}
    assert old.read("k9") is not None


@pytest.mark.parametrize("damaged", [b"", b"x" * 22, b"\xff" * 22])
def test_a_damaged_claim(returning: Returning, store: RecordingStore, damaged: bytes) -> None:
    """It costs the one session, and is no permanent error."""
    names: list[str] = []
    save = store.inner.save

    def note(key: str, data: bytes, **options: Any) -> Any:
        names.append(key)
        return save(key, damaged if key.startswith("migrated-") else data, **options)

    store.inner.save = note  # type: ignore[method-assign]
    with returning.request() as session:
        session["user"]
    store.inner.save = save  # type: ignore[method-assign]
    returning.cookie = ""
    assert any(name.startswith("migrated-") for name in names)
    assert returning.read() == {}


# What is kept, and where


def test_neither_place_tells_the_others_secrets(
    make: Callable[..., SessionManager],
    old: OldLibrary,
    store: RecordingStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The claim is no key to the old session, and nothing in the store opens the new one."""
    caplog.set_level(logging.DEBUG, logger="wsgi_sessions")
    returning = Returning(make(), old.put(key := "keyofanoldsession", user="ada"))
    kept: list[str] = []
    save = store.inner.save

    def note(name: str, data: bytes, **options: Any) -> Any:
        kept.extend((name, repr(data)))
        return save(name, data, **options)

    store.inner.save = note  # type: ignore[method-assign]
    with returning.request() as session:
        secret = session.sid[22:]
    assert secret not in "".join(kept)
    assert key not in "".join(kept)
    for hidden in (key, secret):
        assert hidden not in caplog.text


def test_encrypted_records(make: Callable[..., SessionManager], old: OldLibrary) -> None:
    """A session that is migrated is encrypted like any other."""
    visitor = Returning(make(encryption_keys=["00" * 32]), old.put("k10", user="u"))
    with visitor.request() as session:
        session["user"]
    assert visitor.read() == {"user": "u"}


def test_the_shared_secret(make: Callable[..., SessionManager], old: OldLibrary) -> None:
    """It works without a configured one."""
    visitor = Returning(make(secret=None), old.put("k11", user="u"))
    with visitor.request() as session:
        session["user"]
    visitor.old = ""
    assert visitor.read() == {"user": "u"}


def test_what_cannot_be_migrated_into() -> None:
    """Cookies have no place for the claim; and not everything is a reader."""
    with pytest.raises(ConfigurationError, match="a store that keeps records"):
        SessionManager(CookieStore(), secret=SECRET, migrate_from=OldLibrary())
    for wrong in (object(), "redis", [OldLibrary(), None]):
        with pytest.raises(TypeError, match=r"^migrate_from .* give a reader"):
            SessionManager(MemoryStore(), migrate_from=wrong)


def test_through_the_middleware(old: OldLibrary) -> None:
    """The option is the middleware's as well."""
    from webtest import TestApp

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(environ["wsgi.session"].get("user")).encode()]

    middleware = SessionMiddleware(app, MemoryStore(), secret=SECRET, migrate_from=old)
    client = TestApp(middleware)
    header = {"Cookie": old.put("k12", user="ada")}
    assert client.get("/", headers=header).text == "ada"
    assert client.get("/").text == "ada"
