"""``FailingStore`` fails as it is told to, and is otherwise the store that it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from wsgi_sessions import MemoryStore, SessionMiddleware, Store, StoreUnavailable
from wsgi_sessions.stores import Listable, OwnerIndex, Purgeable, max_bytes_of
from wsgi_sessions.testing import FailingStore, ManualClock, StoreContract, logged_in, session_of


class TestContract(StoreContract):
    """What is not stopped keeps the rules of every store."""

    shared = False

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def store(self, clock: ManualClock) -> Store:
        return FailingStore(MemoryStore(clock=clock))


def keep(store: Store) -> Any:
    return store.save("key", b"data", expires_at=9e9, replacing=None)


@pytest.mark.parametrize("ability", [Store, OwnerIndex, Purgeable, Listable])
def test_it_has_the_abilities_of_its_store(ability: type) -> None:
    assert isinstance(FailingStore(MemoryStore()), ability)


class BareStore:
    """The three operations, and a limit."""

    max_bytes = 1000

    def load(self, key: str) -> None:
        return None

    def save(self, key: str, data: bytes, *, expires_at: float, replacing: Any) -> int:
        return 1

    def delete(self, key: str) -> None:
        return None


@pytest.mark.parametrize("ability", [OwnerIndex, Purgeable, Listable])
def test_it_has_no_ability_that_its_store_has_not(ability: type) -> None:
    assert not isinstance(FailingStore(BareStore()), ability)


def test_what_else_a_store_has_is_there() -> None:
    assert max_bytes_of(FailingStore(BareStore()), 5) == 1000
    assert max_bytes_of(FailingStore(MemoryStore()), 5) == 5


def test_a_stopped_store_raises_and_does_nothing() -> None:
    store = FailingStore()
    keep(store)
    store.stop()
    for call in (
        lambda: store.load("key"),
        lambda: store.save("other", b"", expires_at=9e9, replacing=None),
        lambda: store.delete("key"),
        lambda: store.keys_of("ann"),
        lambda: store.purge(),
        lambda: store.keys(),
    ):
        with pytest.raises(StoreUnavailable) as raised:
            call()
        assert raised.value.applied is False
    store.start()
    assert list(store.keys()) == ["key"]


def test_single_operations_are_stopped() -> None:
    store = FailingStore()
    with store.stop("save", "delete"):
        assert store.load("key") is None
        with pytest.raises(StoreUnavailable):
            keep(store)
        with pytest.raises(StoreUnavailable):
            store.delete("key")
    assert keep(store) is not None


def test_an_answer_that_is_lost_comes_after_the_deed() -> None:
    store = FailingStore()
    with store.lose_answers("save"), pytest.raises(StoreUnavailable) as raised:
        keep(store)
    assert raised.value.applied is None
    found = store.load("key")
    assert found is not None
    assert found.data == b"data"


@pytest.mark.parametrize("fail", [FailingStore.stop, FailingStore.lose_answers])
def test_what_is_no_operation_is_refused(fail: Callable[..., Any]) -> None:
    store = FailingStore()
    with pytest.raises(ValueError, match="'saves' is no operation of a store: did you mean 'save'"):
        fail(store, "saves")
    with pytest.raises(ValueError, match="'x' is no operation of a store, as load, save, delete"):
        fail(store, "x")
    assert keep(store) is not None


def test_the_end_of_the_block_starts_it_again_although_the_test_failed() -> None:
    store = FailingStore()
    with pytest.raises(ZeroDivisionError), store.stop():
        raise ZeroDivisionError
    assert keep(store) is not None


def test_the_calls_say_what_was_asked_failed_ones_included() -> None:
    store = FailingStore()
    keep(store)
    store.load("key")
    with store.stop(), pytest.raises(StoreUnavailable):
        store.delete("key")
    assert store.calls == ["save", "load", "delete"]


def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Two pages, one of which has no use for a session."""
    if environ["PATH_INFO"] == "/about":
        text = "about"
    else:
        text = str(environ["wsgi.session"].owner)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


def test_an_outage_logs_nobody_out() -> None:
    """What the page on testing shows."""
    store = FailingStore()
    app = SessionMiddleware(site, store=store, secret="the signing secret of the tests")
    client = Client(app)
    cookie = logged_in(app, "ann")
    client.set_cookie(*cookie.split("="))
    with store.stop():
        assert client.get("/about").status_code == 200
        response = client.get("/")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert "Set-Cookie" not in response.headers
    assert client.get("/").text == "ann"
    assert session_of(app, cookie).owner == "ann"
