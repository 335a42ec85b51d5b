"""What frameworks, OAuth and date libraries put into sessions: instances of subclasses.

Each is stored as the listed type it descends from, is that when it is read in the same request,
and is said once in the log.
"""

from __future__ import annotations

import copy
import enum
import uuid
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from authlib.oauth2.rfc6749 import OAuth2Token
from freezegun import freeze_time
from markupsafe import Markup
from werkzeug.datastructures import ImmutableDict, ImmutableList, MultiDict

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import MsgpackCodec, SessionManager, UnsupportedValue
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.record import StoredType, codec
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


class SafeString(str):
    """As Django marks what is safe."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        raise AssertionError("what a subclass overrides is not called")


class Choice(str, enum.Enum):  # noqa: UP042  # noqa: UP042
    """As Django's TextChoices."""

    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Word(enum.StrEnum):
    A = "a"


class Point(NamedTuple):
    x: int
    y: int


class Float64(float):
    """As numpy's."""


class Pendulum(datetime):
    """As date libraries have it, with other arguments than datetime's own."""

    def __new__(cls, *parts: int, tz: tzinfo | None = None, **more: Any) -> Pendulum:
        return super().__new__(cls, *parts, tzinfo=tz, **more)

    def __reduce__(self) -> Any:
        raise AssertionError("not called")


class Pytz(tzinfo):
    """A zone of another library that has the name of one that can be stored."""

    zone = "Europe/Zurich"

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, when: datetime | None) -> str:
        return "CET"


class Offset(Pytz):
    zone = ""


class Lazy:
    """A lazy translation: no str, and says what it is in a page."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __html__(self) -> str:
        return self.text


def members(kind: type, value: Any) -> Any:
    """An instance of a new subclass of *kind* that holds *value* and overrides what it can."""

    def never(self: Any, *arguments: Any) -> Any:
        raise AssertionError("what a subclass overrides is not called")

    names = ("__iter__", "__len__", "__str__", "__repr__", "__int__", "__float__", "keys", "items")
    body: dict[str, Any] = {name: never for name in names if hasattr(kind, name)}
    return type("Overriding", (kind,), body)(value)


default: defaultdict[str, list[int]] = defaultdict(list, a=[1])
VALUES: list[tuple[Any, Any]] = [
    (OAuth2Token({"access_token": "x", "expires_in": 3600}), None),
    (SafeString("<b>"), "<b>"),
    (Choice.RED, "red"),
    (Level.HIGH, 3),
    (Flags.A | Flags.B, 3),
    (Word.A, "a"),
    (Point(1, 2), (1, 2)),
    (Float64(1.5), 1.5),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (default, {"a": [1]}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (MultiDict([("a", "1"), ("a", "2")]), {"a": ["1", "2"]}),
    (ImmutableDict(a=1), {"a": 1}),
    (ImmutableList([1, 2]), [1, 2]),
    (Pendulum(2026, 1, 2, 3, tz=UTC), datetime(2026, 1, 2, 3, tzinfo=UTC)),
    (
        Pendulum(2026, 1, 2, 3, tz=Pytz()),
        datetime(2026, 1, 2, 3, tzinfo=ZoneInfo("Europe/Zurich")),
    ),
    (
        Pendulum(2026, 1, 2, 3, tz=Offset()),
        datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))),
    ),
    (type("Date", (date,), {})(2026, 1, 2), date(2026, 1, 2)),
    (type("Time", (time,), {})(3, 4, 5, 6), time(3, 4, 5, 6)),
    (type("Delta", (timedelta,), {})(days=1, microseconds=2), timedelta(days=1, microseconds=2)),
    (type("Money", (Decimal,), {})("1.50"), Decimal("1.50")),
    (type("Key", (uuid.UUID,), {})(int=7), uuid.UUID(int=7)),
    (type("Safe", (Markup,), {})("<i>"), Markup("<i>")),
    (Lazy("<i>willkommen</i>"), Markup("<i>willkommen</i>")),
    (members(dict, {"a": 1}), {"a": 1}),
    (members(list, [1]), [1]),
    (members(tuple, (1,)), (1,)),
    (members(set, {1}), {1}),
    (members(frozenset, {1}), frozenset({1})),
    (members(str, "x"), "x"),
    (members(bytes, b"x"), b"x"),
    (members(int, 1 << 70), 1 << 70),
    (members(float, 0.5), 0.5),
]


def same(value: Any, expected: Any) -> bool:
    return type(value) is type(expected) and value == expected


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize(
    "wrapped",
    [lambda v: v, lambda v: [v], lambda v: {"k": (v,)}, lambda v: {"deep": [{"er": v}]}],
    ids=["itself", "in a list", "in a tuple", "deeper"],
)
def test_an_instance_of_a_subclass_is_its_parent_at_once_and_later(
    visitor: Visitor, value: Any, expected: Any, wrapped: Callable[[Any], Any]
) -> None:
    if expected is None:
        expected = dict(value)
    with visitor.request() as session:
        session["x"] = wrapped(value)
        now = session["x"]
    later = visitor.read()["x"]
    for found in (now, later):
        while type(found) in (list, dict, tuple) and not same(found, expected):
            found = found["k" if "k" in found else "deep"] if type(found) is dict and (
                "k" in found or "deep" in found) else (
                found["er"] if type(found) is dict else found[0])  # fmt: skip
        assert same(found, expected)


@pytest.mark.parametrize("value", [Choice.RED, Level.HIGH, Point(1, 2), SafeString("a")])
def test_a_subclass_is_a_key_or_an_item_as_its_parent(visitor: Visitor, value: Any) -> None:
    with visitor.request() as session:
        session["x"] = {value: 1}
        session["y"] = {value}
    [key] = visitor.read()["x"]  # type: ignore[attr-defined]
    [item] = visitor.read()["y"]  # type: ignore[attr-defined]
    assert type(key) in (str, int, tuple)
    assert type(item) is type(key)


def test_what_is_changed_in_place_is_met_at_the_commit(visitor: Visitor) -> None:
    with visitor.request() as session:
        session["tokens"] = []
        session["tokens"].append(OAuth2Token({"access_token": "x"}))
    assert type(visitor.read()["tokens"][0]) is dict  # type: ignore[index]


def test_the_object_that_was_assigned_may_be_changed_later(visitor: Visitor) -> None:
    """As with a plain dict: the session notices, although it holds a copy."""
    with visitor.request() as session:
        found: defaultdict[str, list[int]] = defaultdict(list)
        session["found"] = found
        found["a"].append(1)
    assert visitor.read() == {"found": {"a": [1]}}
    with visitor.request() as session:
        session["found"]["a"].append(2)
    assert visitor.read() == {"found": {"a": [1, 2]}}


def test_what_was_read_back_and_changed_goes_first(visitor: Visitor) -> None:
    with visitor.request() as session:
        token = OrderedDict(a=1)
        session["x"] = token
        session["x"]["b"] = 2
    assert visitor.read() == {"x": {"a": 1, "b": 2}}


def test_a_replaced_or_deleted_value_is_not_brought_back(visitor: Visitor) -> None:
    with visitor.request() as session:
        for key in ("replaced", "deleted"):
            session[key] = OrderedDict(a=1)
        session["replaced"] = 1
        del session["deleted"]
    assert visitor.read() == {"replaced": 1}
    with visitor.request() as session:
        session["x"] = OrderedDict(a=1)
        session.clear()
        session["y"] = 1
    assert visitor.read() == {"y": 1}


def test_a_frozen_clock_gives_and_takes_plain_times(visitor: Visitor) -> None:
    with freeze_time("2026-01-02 03:04:05"), visitor.request() as session:
        session["at"] = datetime.now(UTC)
        session["on"] = date.today()
    read = visitor.read()
    assert type(read["at"]) is datetime
    assert type(read["on"]) is date
    assert read["at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_each_type_is_logged_once_without_its_value(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "_reported", {})
    with visitor.request() as session:
        for number in range(3):
            session[f"x{number}"] = [OAuth2Token({"secret": "hunter2"}), Level.HIGH]
    assert [record.name for record in caplog.records] == ["wsgi_sessions"] * 2
    assert "OAuth2Token as" in caplog.messages[0]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda v: type(v).__name__)
def test_a_strict_codec_refuses_a_subclass(value: Any, expected: Any) -> None:
    manager = SessionManager(RecordingStore(), secret=SECRET, codec=MsgpackCodec(strict=True))
    with pytest.raises(UnsupportedValue, match=r"^x\[0\]: "):
        manager.open("")["x"] = [value]


@pytest.mark.parametrize(
    "value", [object(), enum.Enum("E", "A").A, 1j, range(3), PurePosixPath("/"), print, int]
)
def test_what_descends_from_nothing_listed_is_refused_by_path(value: object) -> None:
    with pytest.raises(UnsupportedValue, match=r"^cart\[1\]\.when: "):
        SessionManager(RecordingStore(), secret=SECRET).open("")["cart"] = [0, {"when": value}]


class Hostile(str):
    """Two keys that are different, and the same when they are stored."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def test_keys_and_items_that_would_be_one_are_refused() -> None:
    session = SessionManager(RecordingStore(), secret=SECRET).open("")
    for value in ({Hostile("a"): 1, "a": 2}, {Hostile("a"), "a"}, {Hostile("a"): 1, 1: 2, "a": 3}):
        with pytest.raises(UnsupportedValue, match=r"same|equal"):
            session["x"] = value


# Types of the application's own


@dataclass
class Account:
    name: str
    roles: list[str]


ACCOUNT = StoredType(Account, "account", lambda a: [a.name, a.roles], lambda p: Account(*p))
PATH = StoredType(PurePosixPath, "path", str, PurePosixPath, immutable=True)


def manager_of(store: RecordingStore, clock: ManualClock, *types: StoredType) -> SessionManager:
    return SessionManager(store, secret=SECRET, codec=MsgpackCodec(types=types), clock=clock)


def test_a_type_of_the_applications_own_comes_back(
    store: RecordingStore, clock: ManualClock
) -> None:
    visitor = Visitor(manager_of(store, clock, ACCOUNT, PATH))
    with visitor.request() as session:
        session["account"] = account = Account("ann", ["admin"])
        session["paths"] = {PurePosixPath("/a"): [PurePosixPath("/b")]}
        assert session["account"] is account
        account.roles.append("owner")
    read = visitor.read()
    assert read["account"] == Account("ann", ["admin", "owner"])
    assert read["paths"] == {PurePosixPath("/a"): [PurePosixPath("/b")]}
    with visitor.request() as session:
        session["account"].name = "bob"
    assert visitor.read()["account"] == Account("bob", ["admin", "owner"])


def test_a_type_that_is_gone_costs_its_value_only(
    store: RecordingStore, clock: ManualClock
) -> None:
    visitor = Visitor(manager_of(store, clock, ACCOUNT, PATH))
    with visitor.request() as session:
        session["account"], session["n"] = Account("ann", []), 1
    later = Visitor(manager_of(store, clock), visitor.cookie)
    with pytest.raises(ValueError, match="account"):
        MsgpackCodec().loads(MsgpackCodec(types=[ACCOUNT]).dumps(Account("ann", [])))
    assert later.open()["n"] == 1


@pytest.mark.parametrize("which", ["to", "from"])
def test_a_function_that_raises_is_told_without_the_value(which: str) -> None:
    def broken(value: Any) -> Any:
        raise RuntimeError("hunter2")

    functions = (broken, Account) if which == "to" else (lambda a: a.name, broken)
    codec = MsgpackCodec(types=[StoredType(Account, "account", *functions)])
    with pytest.raises((UnsupportedValue, ValueError), match="RuntimeError") as caught:
        codec.loads(codec.dumps([Account("ann", [])]))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "types",
    [
        [ACCOUNT, ACCOUNT],
        [StoredType(Account, "", str, str)],
        [StoredType(Account, "x" * 101, str, str)],
        [StoredType(Account, "a", "str", str)],  # type: ignore[arg-type]
        [StoredType(int, "a", str, str)],
        [Fraction],
        [Account, Account],
        [(Account, "a")],
    ],
)
def test_types_that_cannot_work_are_refused_at_once(types: Any) -> None:
    with pytest.raises(ConfigurationError, match="types:"):
        MsgpackCodec(types=types)


def test_bytes_are_the_same_for_a_subclass_and_its_parent() -> None:
    codec = MsgpackCodec()
    assert codec.dumps({"a": [OrderedDict(b=1)]}) == codec.dumps({"a": [{"b": 1}]})
    data = codec.dumps(OAuth2Token({"a": (1, 2)}))
    assert codec.dumps(copy.deepcopy(codec.loads(data))) == data


@pytest.mark.parametrize("key", [Choice.RED, SafeString("red"), Markup("red")], ids=type)
def test_a_subclass_of_str_names_the_same_key_as_its_text(visitor: Visitor, key: str) -> None:
    """However it hashes and prints itself; the key that is kept is a ``str``."""
    with visitor.request() as session:
        session[key] = 1
        session.update({key: session[key] + 1})
        session.setdefault(key, 9)
        assert session.increment(key) == session.get_or_create(key, int) == 3
        assert list(map(type, session)) == [str]
    with visitor.request() as session:
        assert (session[key], session.get(key), key in session) == (3, 3, True)
        assert session["red"] == session.pop(key) == 3
        session[key] = 4
        del session[key]
        assert (key in session, session.pop(key, None)) == (False, None)
    assert visitor.read() == {}
