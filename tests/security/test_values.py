"""Values that an attacker gets an application to put into a session.

Which types there are, what is refused and where the error points is in
``tests/record/test_codec.py`` and ``tests/record/test_codec_refusals.py``; here the values go
through a session, to the headers and back.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.wsgi_client import ask
from tests.support.recording import RecordingStore
from tests.support.values import fingerprint
from tests.support.visitor import Visitor
from wsgi_sessions import (
    MemoryStore,
    SessionManager,
    SessionMiddleware,
    SessionTooLarge,
    UnsupportedValue,
)
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def cycle() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


class Hostile:
    """Fails whoever compares, hashes, prints or looks into it."""

    def _fail(self, *_arguments: object) -> Any:
        raise AssertionError("the library ran code of a value")

    __eq__ = __hash__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = __lt__ = _fail
    __getattr__ = __reduce__ = __getstate__ = __format__ = __bytes__ = __index__ = _fail


class HostileText(str):
    __eq__ = __hash__ = Hostile._fail  # type: ignore[assignment]


class HostileDict(dict[str, Any]):
    __iter__ = items = keys = values = __getitem__ = __len__ = Hostile._fail  # type: ignore[assignment]


class HostileInt(int):
    __eq__ = __hash__ = __lt__ = __index__ = Hostile._fail  # type: ignore[assignment]


REFUSED: dict[str, Callable[[], Any]] = {
    "a cycle": cycle,
    "65 levels": lambda: nested(65),
    "900 levels": lambda: nested(900),
    "100,000 levels": lambda: nested(100_000),
    "a lone surrogate": lambda: "\ud800",
    "a lone surrogate as a key": lambda: {"\udfff": 1},
    "a hostile object": Hostile,
    "a class": lambda: Hostile,
    "a function": lambda: print,
    "an extension of the encoder's": lambda: ormsgpack.Ext(16, b""),
}


@pytest.fixture
def filled(visitor: Visitor) -> Visitor:
    with visitor.request() as session:
        session["list"] = ["before"]
    return visitor


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_come_back_is_refused_on_the_line(filled: Visitor, what: str) -> None:
    """Alone and inside of something; no code of the value runs, and what was stored is intact."""
    value = REFUSED[what]()
    session = filled.open()
    for wrapped in (value, [value], (1, value), {"a": value}, [{"b": [value]}]):
        with pytest.raises(UnsupportedValue):
            session["list"] = wrapped
    assert session["list"] == ["before"]
    assert filled.respond(session) is None
    assert filled.read() == {"list": ["before"]}


@pytest.mark.parametrize("what", REFUSED)
def test_what_got_in_by_a_change_inside_is_refused_before_the_headers(
    store: RecordingStore, clock: ManualClock, what: str
) -> None:
    """It is the application's error, raised as it is: no cookie, nothing sent to the store, and
    what was stored is intact."""
    value = REFUSED[what]()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = environ["wsgi.session"]
        if environ["PATH_INFO"] == "/harm":
            session["other"] = 1
            session["list"].append(value)
        session.setdefault("list", ["before"])
        start_response("200 OK", [])
        return [repr(session["list"]).encode()] if environ["PATH_INFO"] != "/harm" else []

    app = SessionMiddleware(app, store, secret=SECRET, clock=clock)
    cookie = f"sid={ask(app).cookie}"
    store.pop_calls()
    with pytest.raises(UnsupportedValue):
        ask(app, cookie, "/harm")
    assert store.pop_calls() == ["load"]
    assert ask(app, cookie).body == b"['before']"


@pytest.mark.parametrize(
    ("value", "stored"), [(HostileText("x"), "x"), (HostileInt(1), 1), (HostileDict(x=1), {"x": 1})]
)
def test_a_hostile_subclass_is_stored_as_its_parent_and_not_asked(
    filled: Visitor, value: Any, stored: Any
) -> None:
    """Nothing that it overrides is called."""
    for wrapped in (lambda v: v, lambda v: [v], lambda v: {"a": (1, v)}):
        with filled.request() as session:
            session["list"] = wrapped(value)
        assert fingerprint(filled.read()) == fingerprint({"list": wrapped(stored)})


def test_hostile_keys_are_refused_unseen(filled: Visitor) -> None:
    """A key is a str; nothing else is compared, hashed or shown."""
    session = filled.open()
    for key in (Hostile(), HostileInt(1)):
        with pytest.raises(UnsupportedValue):
            session[key] = 1
        for method in (session.mutate, session.get_or_create):
            with pytest.raises(UnsupportedValue):
                method(key, lambda *_: 1)
    assert Hostile() not in session


def test_a_hostile_key_that_is_text_is_that_text_and_not_asked(filled: Visitor) -> None:
    """Nothing that it overrides is called."""
    with filled.request() as session:
        session[HostileText("key")] = 1
        assert session.increment(HostileText("key")) == session[HostileText("key")] == 2
    assert filled.read()["key"] == 2


LOOK_LIKE_TAGS: list[Any] = [
    {" t": [1, 2]}, {" u": "0" * 32}, {" d": "Thu, 01 Jan 1970 00:00:00 GMT"}, {" di": [[1, 2]]},
    {"__type__": "datetime", "value": 0}, {"__class__": "os.system"}, {"$date": 0}, {"$oid": "x"},
    {"py/object": "os.system"}, {"py/reduce": [{"py/type": "os.system"}, {"py/tuple": ["true"]}]},
    {"__reduce__": ["os.system", ["true"]]}, {"!!python/object/apply:os.system": ["true"]},
    {"_id": 1, "data": b"", "version": 1}, {"secret_hash": b"h", "owner": "admin"},
    {"__proto__": {"admin": True}}, {"ext": 16}, [16, "a"], [b"\xc7\x00\x10", 1, 2],
    [{}, []], ["\x10", 1], [slice.__name__], b"\xc7\x00\x10", "\x00\x10", "MISSING", {"": {"": {}}},
]  # fmt: skip


@pytest.mark.parametrize("value", LOOK_LIKE_TAGS, ids=repr)
def test_what_looks_like_a_tag_is_what_it_is(visitor: Visitor, value: Any) -> None:
    """No dict, list or bytes of the application is taken for a marker of a type."""
    with visitor.request() as session:
        session["value"] = value
        session["inside"] = [{"a": (value, {1: value})}]
    found = visitor.read()
    assert fingerprint(found["value"]) == fingerprint(value)
    assert fingerprint(found["inside"]) == fingerprint([{"a": (value, {1: value})}])


KEYS = ["owner", "permanent", "secret", "id", "sid", "_draft", "__class__", "\x00", "", "a" * 5000,
        "signing-secret", "é", "\u202e", "\n", "new", "accessed"]  # fmt: skip


def test_no_key_has_a_meaning(visitor: Visitor) -> None:
    """What an application lets visitors name changes nothing of the session itself."""
    with visitor.request() as session:
        session.update(dict.fromkeys(KEYS, "mallory"))
    session = visitor.open()
    assert session.copy() == dict.fromkeys(KEYS, "mallory")
    assert (session.owner, session.permanent, session.new) == (None, False, False)


def test_a_hundred_thousand_keys_come_back(visitor: Visitor) -> None:
    """In the session and in one of its values; what goes beyond max_bytes is refused."""
    many = {f"{number:05}": number % 100 for number in range(100_000)}
    with visitor.request() as session:
        session.update(many)
    assert visitor.read() == many
    other = Visitor(visitor.manager)
    with other.request() as session:
        session["all"] = many
    assert other.read() == {"all": many}
    with pytest.raises(SessionTooLarge), other.request() as session:
        session["more"] = "x" * 500_000
    assert other.read() == {"all": many}


@pytest.mark.parametrize("keys", [None, ["11" * 32]], ids=["plain", "encrypted"])
@pytest.mark.parametrize("limit", [1000, 70_000, 1 << 20])
def test_max_bytes_is_exact(clock: ManualClock, limit: int, keys: Any) -> None:
    """A record of max_bytes is kept; with one byte more nothing is sent, and it is as before."""
    store = RecordingStore(MemoryStore(clock=clock))
    visitor = Visitor(
        SessionManager(store, secret=SECRET, max_bytes=limit, encryption_keys=keys, clock=clock)
    )
    with visitor.request() as session:
        session["x"] = b"."

    def refused(size: int) -> SessionTooLarge:
        store.pop_calls()
        with pytest.raises(SessionTooLarge) as caught, visitor.request() as session:
            session["x"] = b"." * size
        assert store.pop_calls() == ["load"]
        assert visitor.read() == {"x": b"."}
        return caught.value

    room = limit - (refused(limit).size - limit)
    assert refused(room + 1).size == limit + 1
    with visitor.request() as session:
        session["x"] = b"." * room
    assert visitor.read() == {"x": b"." * room}


EXTREMES = [
    float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 2**63, -(2**63) - 1, 2**64, 2**100_000,
    -(2**100_000), "\x00", "\u202e\ufeff", "\U0010ffff", b"\x00" * 100_000, nested(64), {1: 2**64},
]  # fmt: skip


@pytest.mark.parametrize("value", EXTREMES, ids=lambda value: f"{type(value).__name__}")
def test_extreme_values_come_back_exactly(visitor: Visitor, value: Any) -> None:
    """And are no change when they are read, though NaN equals nothing."""
    with visitor.request() as session:
        session["value"] = value
    session = visitor.open()
    assert fingerprint(session["value"]) == fingerprint(value)
    assert not session.modified
    assert visitor.respond(session) is None


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.binary(max_size=8)))
def test_any_keys_of_a_session_come_back(values: dict[str, bytes]) -> None:
    """Whatever a visitor names."""
    visitor = Visitor(SessionManager(MemoryStore(), secret=SECRET))
    with visitor.request() as session:
        session.update(values)
    assert visitor.read() == values


def test_a_value_that_another_thread_changes_is_saved_as_it_was_at_some_moment() -> None:
    """What is stored is whole: neither an error nor half of a change."""
    visitor = Visitor(SessionManager(MemoryStore(), secret=SECRET))
    with visitor.request() as session:
        session["list"], session["dict"] = [], {}
    stop, changed = threading.Event(), threading.Event()
    shared: list[Any] = [[], {}]

    def change() -> None:
        firsts = itertools.count(0, 1000)
        while not stop.is_set():
            items, names = shared
            if len(items) == 500:
                items.clear()
                names.clear()
            number = items[-1][0] + 1 if items else next(firsts)
            items.append((number, str(number)))
            names[number % 50] = [number]
            changed.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(100):
            with visitor.request() as session:
                shared[:] = session["list"], session["dict"]
                changed.clear()
                assert changed.wait(30)
            items: Any = visitor.read()["list"]
            first = items[0][0] if items else 0
            assert items == [(n, str(n)) for n in range(first, first + len(items))]
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
