"""A value that would come back as another is that other at once, and no change in it is lost."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, MsgpackCodec, Session, SessionManager, UnsupportedValue
from wsgi_sessions.record import StoredType
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


class Token(dict[str, Any]):
    """As those of OAuth libraries."""

    def is_expired(self) -> bool:
        return True


class Kind(StrEnum):
    BASIC = "basic"


@dataclass
class Cart:
    lines: list[str]


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(MemoryStore())


@pytest.fixture
def visitor(store: RecordingStore) -> Visitor:
    return Visitor(SessionManager(store, secret=SECRET, clock=ManualClock()))


PUTS: dict[str, Callable[[Session, Any], object]] = {
    "[]": lambda s, value: s.__setitem__("k", value),
    "update": lambda s, value: s.update(k=value),
    "|=": lambda s, value: s.__ior__({"k": value}),
    "setdefault": lambda s, value: s.setdefault("k", value),
    "mutate": lambda s, value: s.mutate("k", lambda _: value),
    "get_or_create": lambda s, value: s.get_or_create("k", lambda: value),
    "removed before": lambda s, value: (s.pop("k", 0), s.get_or_create("k", lambda: value)),
}


@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
def test_it_is_its_parent_when_it_is_read_in_the_same_request(
    visitor: Visitor, put: Callable[[Session, Any], Any]
) -> None:
    """Or ``token.is_expired()`` would work once, and fail with the next click."""
    with visitor.request() as session:
        session["other"] = 1
        put(session, Token(a=[Token(b=Kind.BASIC)]))
        same = session["k"]
    with visitor.request() as session:
        later = session["k"]

    for value in (same, later):
        assert value == {"a": [{"b": "basic"}]}
        assert list(map(type, (value, value["a"][0], value["a"][0]["b"]))) == [dict, dict, str]


@pytest.mark.parametrize("call", ["setdefault", "get_or_create"])
def test_what_is_returned_is_what_the_session_holds(visitor: Visitor, call: str) -> None:
    """Or it would be of one type in this request, and of another in the next."""
    with visitor.request() as session:
        given: Any = Token(a=1) if call == "setdefault" else lambda: Token(a=1)
        value = getattr(session, call)("k", given)
        assert type(value) is dict
        assert session["k"] is value


def test_a_session_whose_changes_lead_nowhere_converts_as_well(visitor: Visitor) -> None:
    """Its cookie was replaced by another request."""
    with visitor.request() as session:
        session["x"] = 1
    old = visitor.twin()
    with visitor.request() as session:
        session.regenerate()
    detached = old.open()

    assert type(detached.get_or_create("k", lambda: Token(a=1))) is dict
    assert type(detached["k"]) is dict


# Changes are not lost


@pytest.mark.parametrize("read", [False, True], ids=["not read", "read back"])
def test_a_change_in_what_was_assigned_is_saved(visitor: Visitor, read: bool) -> None:
    """As one in a plain value is, whether or not the session was read in between."""
    with visitor.request() as session:
        session["k"] = token = Token(a=1)
        assert not read or session["k"] == {"a": 1}
        token["b"] = 2
    with visitor.request() as session:
        assert session["k"] == {"a": 1, "b": 2}


def test_a_change_in_what_was_read_back_is_saved(visitor: Visitor) -> None:
    """It is a value like any other; of changes in both it is the one that counts."""
    with visitor.request() as session:
        session["k"] = token = Token(a=1)
        session["k"]["b"] = 2
        token["c"] = 3
    with visitor.request() as session:
        assert session["k"] == {"a": 1, "b": 2}


def test_changes_before_and_after_a_save_are_saved(visitor: Visitor) -> None:
    """Of what was assigned, again and again."""
    with visitor.request() as session:
        session["k"] = token = Token(a=1)
        for number in range(3):
            session.save()
            token["a"] = number
            assert session.modified
            assert not session.modified or session["k"] == {"a": number}
    with visitor.request() as session:
        assert session["k"] == {"a": 2}


def test_one_that_is_met_at_the_commit_is_converted_then(visitor: Visitor) -> None:
    """It was put into a plain list that the session had handed out."""
    with visitor.request() as session:
        session["k"] = [1]
    with visitor.request() as session:
        items = session["k"]
        items.append(Token(a=Kind.BASIC))
        session.save()
        assert [type(item) for item in session["k"]] == [int, dict]
        items.append(2)  # the application's own list is watched as before
    with visitor.request() as session:
        assert session["k"] == [1, {"a": "basic"}, 2]
        assert type(session["k"][1]["a"]) is str


def test_one_that_takes_the_place_of_an_equal_value_is_no_change(
    visitor: Visitor, store: RecordingStore
) -> None:
    """It is what was stored already."""
    with visitor.request() as session:
        session["k"] = [{"a": 1}]
    store.pop_calls()
    with visitor.request() as session:
        session["k"][0] = Token(a=1)
        session.save()
        assert type(session["k"][0]) is dict
    assert [call for call in store.pop_calls() if call[0] == "save"] == []


@pytest.mark.parametrize(
    "remove",
    [
        lambda s: s.pop("k"),
        lambda s: s.clear(),
        lambda s: s.update(k=5),
        lambda s: s.update(k=[5]),
        lambda s: s.invalidate(),
        lambda s: s.mutate("k", lambda _: 5),
        lambda s: s.rollback(),
    ],
)
def test_what_was_assigned_has_no_say_once_the_key_is_another(
    visitor: Visitor, remove: Callable[[Session], object]
) -> None:
    """A change in it brings nothing back."""
    with visitor.request() as session:
        session["x"] = 1
    with visitor.request() as session:
        session["k"] = token = Token(a=1)
        remove(session)
        token["b"] = 2
        session["y"] = 1
    with visitor.request() as session:
        assert session.get("k") in (None, 5, [5])


def test_another_requests_change_is_merged_with_it(visitor: Visitor) -> None:
    """The later save wins, as for any value; other keys stay."""
    with visitor.request() as session:
        session["k"] = Token(a=1)
    twin = visitor.twin()
    first, second = visitor.open(), twin.open()
    first["k"] = token = Token(a=2)
    second["other"] = 1
    assert second["k"] == {"a": 1}
    twin.respond(second)
    token["a"] = 3
    visitor.respond(first)
    with visitor.request() as session:
        assert dict(session) == {"k": {"a": 3}, "other": 1}


def test_one_that_cannot_be_stored_is_refused_on_its_line(visitor: Visitor) -> None:
    """With the path; nothing of it is kept."""
    with visitor.request() as session:
        with pytest.raises(UnsupportedValue, match=r"^k\.a\[0\]: object is not one of"):
            session["k"] = Token(a=[object()])
        assert "k" not in session


def test_a_frozen_clock_gives_datetimes(visitor: Visitor) -> None:
    """In the same request, in the next, and after it is released."""
    with freeze_time("2026-01-02 03:04:05"), visitor.request() as session:
        session["k"] = [datetime.now(), date.today()]
        same = session["k"]
    with visitor.request() as session:
        later = session["k"]

    for value in (same, later):
        assert list(map(type, value)) == [datetime, date]
        assert value[0] == datetime(2026, 1, 2, 3, 4, 5)


def test_a_strict_codec_refuses_it() -> None:
    """Who wants refusals has them."""
    manager = SessionManager(MemoryStore(), secret=SECRET, codec=MsgpackCodec(strict=True))
    with Visitor(manager).request() as session:
        with pytest.raises(UnsupportedValue, match=r"^k\[0\]: OrderedDict would come back as dict"):
            session["k"] = [OrderedDict(a=1)]
        session["k"] = items = [1]
        items.append(Kind.BASIC)
        with pytest.raises(UnsupportedValue, match=r"^k\[1\]: Kind would come back as str"):
            session.save()
        items.pop()


# Types of the application's own

CART = StoredType(Cart, "cart", asdict, lambda plain: Cart(**plain))
PATH = StoredType(Path, "path", str, Path, immutable=True)


@pytest.fixture
def shopper(store: RecordingStore) -> Iterator[Visitor]:
    """Whose session holds values of own types."""
    codec = MsgpackCodec(types=[CART, PATH])
    visitor = Visitor(SessionManager(store, secret=SECRET, codec=codec, clock=ManualClock()))
    with visitor.request() as session:
        session.update(user="ann", cart=Cart(["tea"]), path=Path("x"), gone=1)
        session.login("ann")
    return visitor


def test_an_own_type_stays_and_a_change_in_it_is_noticed(shopper: Visitor) -> None:
    """Without any flag."""
    with shopper.request() as session:
        assert (session["cart"], session["path"]) == (Cart(["tea"]), Path("x"))
        session["cart"].lines.append("pot")
    with shopper.request() as session:
        assert session["cart"] == Cart(["tea", "pot"])


def test_one_that_was_declared_immutable_is_not_looked_at_again(store: RecordingStore) -> None:
    """As a ``str`` is not."""
    calls: list[Path] = []

    def text(path: Path) -> str:
        calls.append(path)
        return str(path)

    codec = MsgpackCodec(types=[PATH._replace(to_plain=text)])
    visitor = Visitor(SessionManager(store, secret=SECRET, codec=codec))
    with visitor.request() as session:
        session["path"] = Path("x")
        assert session["path"] == Path("x")
        assigned = len(calls)
        session.save()
        assert session.modified is False

    assert len(calls) == assigned


class JsonCodec:
    """Of the application's own, and nothing but the two methods."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


def test_for_a_codec_that_says_nothing_of_it_no_value_of_its_types_is_immutable(
    store: RecordingStore,
) -> None:
    visitor = Visitor(SessionManager(store, secret=SECRET, codec=JsonCodec()))
    with visitor.request() as session:
        session["cart"] = cart = ["tea"]
        cart.append("pot")
    with visitor.request() as session:
        session["cart"].append("cup")
    with visitor.request() as session:
        assert session["cart"] == ["tea", "pot", "cup"]


def older_worker(shopper: Visitor) -> Visitor:
    """The same visitor at a process that knows none of the types, as while a site is deployed."""
    repository = shopper.manager
    return Visitor(
        SessionManager(repository.store, secret=SECRET, clock=ManualClock()), shopper.cookie
    )


def test_a_type_that_is_gone_costs_its_values_only(shopper: Visitor) -> None:
    """The visitor stays logged in, and what was not touched is still there for who knows it."""
    worker = older_worker(shopper)
    with worker.request() as session:
        assert session.owner == session["user"] == "ann"
        assert session.get("cart") is None
        assert "cart" not in session
        with pytest.raises(KeyError):
            session["cart"]
        assert dict(session) == {"user": "ann", "gone": 1}
        session["gone"] = 2
    with shopper.request() as session:
        assert (session["cart"], session["gone"]) == (Cart(["tea"]), 2)


def test_a_value_whose_type_is_gone_can_be_replaced_and_removed(shopper: Visitor) -> None:
    """It is in the way of nothing."""
    worker = older_worker(shopper)
    with worker.request() as session:
        session["cart"] = []
        del session["path"]
    with shopper.request() as session:
        assert session["cart"] == []
        assert "path" not in session


def test_a_function_that_fails_when_it_reads_costs_its_value(
    shopper: Visitor, store: RecordingStore
) -> None:
    """As a type that is gone does, since a release that changes a class logs nobody out; and it is
    never an exception in the application."""
    broken = CART._replace(from_plain=lambda plain: plain["missing"])
    manager = SessionManager(
        store, secret=SECRET, codec=MsgpackCodec(types=[broken, PATH]), clock=ManualClock()
    )
    with Visitor(manager, shopper.cookie).request() as session:
        assert session.get("cart") is None
        assert session.owner == "ann"
    assert shopper.open()["cart"] == Cart(["tea"])


@pytest.mark.parametrize(
    "write",
    [
        lambda session: session.mutate("cart", lambda lines: [*lines, 1], default=[]) == [1],
        lambda session: session.mutate("merged", lambda lines: [*lines, 1], default=[]) == [1],
        lambda session: session.increment("path") == 1,
        lambda session: session.get_or_create("cart", list) == [],
        lambda session: session.setdefault("cart", []) == [],
    ],
    ids=["mutate", "mutate, merged", "increment", "get_or_create", "setdefault"],
)
def test_a_value_whose_type_is_gone_is_as_if_it_were_missing(
    shopper: Visitor, store: RecordingStore, write: Callable[[Session], bool]
) -> None:
    """Whatever else asks for it, and where another request has put it meanwhile too."""
    with shopper.request() as session:
        session["merged"] = Cart(["tea"])
    manager = SessionManager(store, secret=SECRET, clock=ManualClock(), merge_keys=["merged"])
    worker = Visitor(manager, shopper.cookie)
    with worker.request() as session:
        assert write(session)
        with shopper.request() as other:
            other.update(cart=Cart(["pot"]), path=Path("y"), merged=Cart(["pot"]))
    assert worker.open()["user"] == "ann"
