"""The codec stores an instance of a subclass as the value of its parent, and says so."""

from __future__ import annotations

import enum
import importlib.util
import logging
import threading
import time as clock
import traceback
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from bson.tz_util import FixedOffset
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from tests.support.values import EXAMPLES, PARIS, fingerprint, unhurried
from wsgi_sessions import MsgpackCodec, UnsupportedValue
from wsgi_sessions.record import Converted

codec = MsgpackCodec()


def touch(*_args: object, **_keywords: object) -> Any:
    raise AssertionError("what a subclass overrides was called")


def of_subclass(parent: type, *args: Any, **overridden: Any) -> Any:
    return type("Sub", (parent,), overridden)(*args)


# Everything that could be called while a value is read.
NAMES = """__iter__ __len__ __getitem__ __contains__ __eq__ __ne__ __lt__ __str__ __repr__ __bytes__
__int__ __index__ __float__ __bool__ __reduce_ex__ __copy__ __deepcopy__ __format__ __html__
__getattribute__ copy keys values items union replace utcoffset tzinfo days hex total_seconds"""
OVERRIDDEN = dict.fromkeys(NAMES.split(), touch)


def made_of(parent: type, value: Any, **overridden: Any) -> Any:
    """An instance of a subclass of *parent* with what *value* holds."""
    sub = type("Sub", (parent,), overridden)
    if parent is datetime:
        clock = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
        return sub(value.year, value.month, value.day, *clock, fold=value.fold)
    if parent is date:
        return sub(value.year, value.month, value.day)
    if parent is time:
        clock = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
        return sub(*clock, fold=value.fold)
    if parent is timedelta:
        return sub(value.days, value.seconds, value.microseconds)
    return sub(int=value.int) if parent is UUID else sub(value)


CANNOT_HAVE_SUBCLASSES = (bool, type(None))
SUBCLASSED = [value for value in EXAMPLES if type(value) not in CANNOT_HAVE_SUBCLASSES]


@pytest.mark.parametrize("value", SUBCLASSED, ids=lambda value: type(value).__name__)
def test_an_instance_of_a_subclass_is_stored_as_its_parents_value(value: Any) -> None:
    """Exactly: for each listed type and its edges, alone and inside of others, whatever the
    subclass overrides."""
    for overridden in ({}, OVERRIDDEN):
        instance = made_of(type(value), value, **overridden)
        for wrap in (lambda item: item, lambda item: [item], lambda item: ({"a": item},)):
            data = codec.dumps(wrap(instance))

            assert type(data) is Converted
            assert data == codec.dumps(wrap(value))
            assert fingerprint(codec.loads(data)) == fingerprint(wrap(value))


@pytest.mark.parametrize(
    "value", ["a", b"k", 5, 2**70, 1.5, Decimal(3), UUID(int=1), Markup("m"), date(2024, 1, 1),
              (1, "x"), frozenset({1}), timedelta(1), datetime(2024, 1, 1, tzinfo=UTC)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_keys_and_items_of_sets_too(value: Any) -> None:
    """At any depth."""
    instance = made_of(type(value), value)

    for wrap in (
        lambda item: {item: 1},
        lambda item: {item, None},
        lambda item: frozenset({item}),
        lambda item: {(0, frozenset({(item,)})): [{item: {item}}]},
    ):
        data = codec.dumps(wrap(instance))
        assert type(data) is Converted
        assert fingerprint(codec.loads(data)) == fingerprint(wrap(value))
        assert codec.dumps(codec.loads(data)) == data


class Word(enum.StrEnum):
    A = "a"


class Choice(str, enum.Enum):  # noqa: UP042
    """As Django's ``TextChoices`` is made."""

    A = "a"

    def __str__(self) -> str:
        return "Choice A"


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2


class SafeString(str):
    """As Django's: an ``str``, and its own page of HTML."""

    def __html__(self) -> str:
        return self


class Token(dict[str, Any]):
    """As those of oauthlib and Authlib: a ``dict`` with attributes and views of its own."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.old_scope = ["openid"]

    def __getitem__(self, key: str) -> Any:
        return f"shown for {key}"


class Sorted(dict[str, Any]):
    def __iter__(self) -> Any:
        return iter(sorted(super().__iter__()))

    def items(self) -> Any:
        return [("other", 1)]


def moved_to_its_end() -> OrderedDict[str, int]:
    ordered = OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    return ordered


Point = namedtuple("Point", "x y")

SEEN: list[tuple[Any, Any]] = [
    (Token({"access_token": "t", "scope": ["openid"]}), {"access_token": "t", "scope": ["openid"]}),
    (Sorted(b=1, a=2), {"b": 1, "a": 2}),
    (moved_to_its_end(), {"b": 2, "a": 1}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (MultiDict([("a", "1"), ("a", "2")]), {"a": ["1", "2"]}),
    (ImmutableMultiDict([("a", "1")]), {"a": ["1"]}),
    (Word.A, "a"), (Choice.A, "a"), (Right.READ | Right.WRITE, 3), (SafeString("<b>"), "<b>"),
    (Point(1, [2]), (1, [2])), (clock.gmtime(0), (1970, 1, 1, 0, 0, 0, 3, 1, 0)),
    ({Word.A: [Choice.A], Choice.A: 1}, {"a": 1}), ([Point(Word.A, {Right.READ})], [("a", {1})]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "stored"), SEEN, ids=lambda value: type(value).__name__)
def test_what_frameworks_and_libraries_put_in(given: Any, stored: Any) -> None:
    """A ``MultiDict`` is a ``dict`` of lists, so nothing of it is lost."""
    assert fingerprint(codec.loads(codec.dumps(given))) == fingerprint(stored)


@unhurried
@given(st.recursive(st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_tree_of_subclasses_is_that_of_its_parents(tree: Any) -> None:
    """With the same bytes."""

    def disguised(value: Any) -> Any:
        if type(value) is dict:
            return Token({disguised(key): disguised(item) for key, item in value.items()})
        return of_subclass(type(value), value)

    assert codec.dumps(disguised(tree)) == codec.dumps(tree)


# Times


class Zone(tzinfo):
    """A zone of another library. *key* names one that the standard library has."""

    def __init__(self, key: str | None, offset: timedelta | None) -> None:
        if key is not None:
            self.zone = key
        self.offset = offset

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return self.offset


class OtherDatetime(datetime):
    pass


@pytest.mark.parametrize("kind", [datetime, OtherDatetime])
@pytest.mark.parametrize(
    ("zone", "stored"),
    [
        (Zone("Europe/Paris", timedelta(hours=2)), PARIS),
        (Zone("Europe/Paris", timedelta(hours=3)), timezone(timedelta(hours=3))),
        (Zone("no/where", timedelta(hours=1)), timezone(timedelta(hours=1))),
        (Zone("../../etc/passwd", timedelta(0)), UTC),
        (Zone(None, timedelta(0)), UTC),
        (of_subclass(ZoneInfo, "Europe/Paris"), PARIS),
        (None, None), (UTC, UTC), (PARIS, PARIS),
    ],
)  # fmt: skip
def test_the_zone_of_another_library_is_kept_by_its_name_or_its_offset(
    zone: tzinfo | None, stored: tzinfo | None, kind: type[datetime]
) -> None:
    """As pandas', pendulum's, pytz' and dateutil's have. The moment is the same."""
    given = kind(2024, 7, 1, 12, tzinfo=zone)
    read = codec.loads(codec.dumps(given))

    assert fingerprint(read) == fingerprint(datetime(2024, 7, 1, 12, tzinfo=stored))
    assert read == given


def test_the_zone_of_another_library_in_a_plain_time_is_refused_by_a_strict_codec() -> None:
    """A ``time`` has an offset in a zone that has but one."""
    given = time(1, fold=1, tzinfo=FixedOffset(60, "driver"))
    read = codec.loads(codec.dumps(given))

    assert fingerprint(read) == fingerprint(time(1, fold=1, tzinfo=timezone(timedelta(hours=1))))
    with pytest.raises(UnsupportedValue, match="FixedOffset would come back as timezone"):
        MsgpackCodec(strict=True).dumps(given)


def test_a_zone_of_a_subclass_becomes_a_zoneinfo_in_a_plain_datetime_too() -> None:
    """``datetime.now(pendulum.timezone("Europe/Paris"))``."""
    pendulums = of_subclass(ZoneInfo, "Europe/Paris")

    assert codec.loads(codec.dumps(datetime(2024, 7, 1, tzinfo=pendulums))).tzinfo is PARIS
    assert codec.loads(codec.dumps(time(1, tzinfo=pendulums))).tzinfo is PARIS


def test_a_zone_that_raises_is_refused() -> None:
    """Its methods are the application's code."""
    zone = type("Broken", (tzinfo,), {"utcoffset": touch})()

    with pytest.raises(UnsupportedValue, match=r"^\[0\]: time zone of type Broken"):
        codec.dumps([OtherDatetime(2024, 7, 1, tzinfo=zone)])


def test_no_time_is_no_datetime() -> None:
    """pandas' ``NaT`` is a ``datetime`` that holds the first of January of the year 1."""
    for nat in (
        made_of(datetime, datetime(1, 1, 1), __ne__=lambda *_: True),
        made_of(timedelta, timedelta(0), __ne__=lambda *_: True),
    ):
        with pytest.raises(UnsupportedValue, match="holds no value that a"):
            codec.dumps(nat)


def test_under_a_frozen_clock_a_time_is_a_datetime() -> None:
    """freezegun puts its own classes in the place of ``datetime`` and ``date`` in all modules."""
    when, day = type(datetime.max), type(date.max)
    for frozen_first in (False, True):
        with freeze_time("2026-01-02 03:04:05"):
            if frozen_first:
                assert type(datetime.now()) is not when
            data = codec.dumps([datetime.now(), date.today(), datetime.now(UTC)])
            inside = codec.loads(data)
        assert list(map(type, inside)) == list(map(type, codec.loads(data))) == [when, day, when]
        assert inside[0] == datetime(2026, 1, 2, 3, 4, 5)


def test_imported_under_a_frozen_clock_it_knows_the_real_classes() -> None:
    """A test may freeze the clock before the first session is used."""
    from wsgi_sessions.record import scalars

    spec = importlib.util.find_spec(scalars.__name__)
    assert spec is not None
    assert spec.loader is not None
    with freeze_time("2026-01-02"):
        again = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(again)

    assert (again.Real.datetime, again.Real.date) == (datetime, date)


# Text that is made when it is shown


class Lazy:
    """As Flask-Babel's: no ``str``, but it says what it is in a page."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __html__(self) -> Any:
        return self.make()

    def __getattr__(self, name: str) -> Any:
        return touch()


def test_an_object_with_html_is_stored_as_markup() -> None:
    """As in Flask's cookie. ``flash()`` puts such texts in."""
    given = [("message", Lazy(lambda: "<b>hi</b>")), ("message", Lazy(lambda: SafeString("x")))]

    read = codec.loads(codec.dumps(given))

    assert read == [("message", "<b>hi</b>"), ("message", "x")]
    assert [type(text) for _, text in read] == [Markup, Markup]


@pytest.mark.parametrize("make", [lambda: 1 / 0, lambda: 5, lambda: None, lambda: "\ud800"])
def test_one_whose_html_fails_is_refused_by_its_path(make: Callable[[], Any]) -> None:
    """With the exception as the cause, as it is the application's."""
    with pytest.raises(UnsupportedValue) as caught:
        codec.dumps({"a": [Lazy(make)]})

    assert caught.value.path == ".a[0]"


# The log


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.name == "wsgi_sessions"]
    caplog.clear()
    return found


def test_the_log_names_each_type_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its parent, and no value; from however many threads."""
    monkeypatch.setattr("wsgi_sessions.record.codec._reported", {})
    kinds = [type(f"Kind{number}", (str,), {}) for number in range(3)]
    threads = [
        threading.Thread(target=lambda: [codec.dumps([kind("s3cret")] * 2) for kind in kinds])
        for _ in range(4)
    ]
    with caplog.at_level(logging.INFO, "wsgi_sessions"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codec.dumps(kinds[0]("s3cret"))

    found = lines(caplog)
    assert len(found) == 3
    for kind, line in zip(kinds, sorted(found), strict=True):
        assert f".{kind.__name__} as str," in line
    assert "s3cret" not in "".join(found)


def test_a_program_that_makes_types_as_it_runs_fills_no_memory(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the log: a thousand names are kept and then no more."""
    monkeypatch.setattr("wsgi_sessions.record.codec._reported", reported := {})
    for number in range(1100):
        codec.dumps(type(f"Made{number}", (int,), {})(1))

    assert len(reported) == len(lines(caplog)) == 1000


def test_nothing_is_logged_of_what_is_refused_or_plain(caplog: pytest.LogCaptureFixture) -> None:
    """A line means that something was stored."""
    codec.dumps([1, ("a", datetime(2024, 1, 1))])
    with pytest.raises(UnsupportedValue):
        codec.dumps([of_subclass(str, "never stored"), object()])

    assert lines(caplog) == []


# Hostile ones


class LyingType(type):
    """Its classes claim to equal and to hash like ``int``, and show nothing true of themselves."""

    __eq__ = lambda cls, other: True  # noqa: E731
    __hash__ = lambda cls: hash(int)  # noqa: E731
    __mro__ = property(touch)  # type: ignore[assignment]
    __instancecheck__ = __subclasscheck__ = __getattribute__ = touch


def test_no_metaclass_leads_astray() -> None:
    """The type is read where Python itself keeps it."""
    lying = LyingType("Lying", (dict,), {})
    instance = dict.__new__(lying)
    dict.__setitem__(instance, "a", 1)

    assert codec.loads(codec.dumps([instance])) == [{"a": 1}]
    with pytest.raises(UnsupportedValue, match=r"^\[0\]: Lying is not one of"):
        codec.dumps([object.__new__(LyingType("Lying", (), {}))])


class Distinct(str):
    """Equal to nothing but itself."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize(
    "value",
    [
        {Distinct("a"): 1, Distinct("a"): 2},
        {Distinct("a"): 1, Distinct("a"): 2, 5: 3},
        {Distinct("a"), Distinct("a")},
        [frozenset({(Distinct("a"),), ("a",)})],
    ],
    ids=repr,
)
def test_keys_that_would_become_one_are_refused(value: Any) -> None:
    """Or one of the values would be lost."""
    with pytest.raises(UnsupportedValue, match="come back"):
        codec.dumps(value)


def test_keys_that_raise_do_no_harm() -> None:
    """``__eq__`` and ``__hash__`` of a key are the application's, and never needed."""
    key = of_subclass(str, "a", __eq__=touch, __hash__=lambda _self: 5)
    value = {key: 1, 2: 3}
    ordered = OrderedDict([(key, 1)])
    type(key).__hash__ = touch  # type: ignore[method-assign]

    assert codec.loads(codec.dumps(value)) == {"a": 1, 2: 3}
    assert codec.loads(codec.dumps(ordered)) == {"a": 1}


def test_nesting_and_cycles_of_subclasses_end_as_others_do() -> None:
    """64 levels, and at once however many ways lead round a cycle."""
    deep: Any = 1
    for _ in range(64):
        deep = Token({"a": deep})
    assert codec.loads(codec.dumps(deep)) is not None
    cycle: Any = Token({})
    for number in range(100):
        cycle[str(number)] = cycle
    for value in (Token({"a": deep}), cycle, [cycle]):
        with pytest.raises(UnsupportedValue, match="64 levels, or contains itself"):
            codec.dumps(value)


@pytest.mark.parametrize("parent", [list, set, dict, OrderedDict])
def test_a_subclass_that_another_thread_changes_is_as_before_or_as_after(parent: type) -> None:
    """Whenever the other thread gets its turn: at each call of a function in turn."""
    import sys

    sub = type("Sub", (parent,), {})
    items = [(1, 1), (2, 2), (3, 3)]
    before = parent(items)
    after = parent([*items, (9, 9)])

    for its_turn in range(60):
        value, turns = sub(items), count()

        def other_thread(*_: object) -> None:
            if next(turns) == its_turn:  # noqa: B023 - used within the same round
                if issubclass(parent, dict):
                    parent.__setitem__(value, 9, 9)  # noqa: B023
                elif parent is set:
                    set.add(value, (9, 9))  # noqa: B023
                else:
                    list.append(value, (9, 9))  # noqa: B023

        sys.setprofile(other_thread)
        try:
            data = codec.dumps(value)
        finally:
            sys.setprofile(None)

        assert codec.loads(data) in (before, after)


# Refused on request


@pytest.mark.parametrize(("given", "stored"), SEEN, ids=lambda value: type(value).__name__)
def test_a_strict_codec_refuses_them(given: Any, stored: Any) -> None:
    """And takes what is exact, with the same bytes."""
    strict = MsgpackCodec(strict=True)

    with pytest.raises(UnsupportedValue, match="would come back as"):
        strict.dumps([given])
    assert strict.dumps(stored) == codec.dumps(given)
    with pytest.raises(UnsupportedValue, match=r"^\[0\]: Lazy would come back as Markup"):
        strict.dumps([Lazy(touch)])


def test_what_has_no_listed_parent_is_refused_as_before() -> None:
    """With the path, and no value."""
    for value in (object(), range(3), 1j, enum.Enum("E", "A").A, touch):
        whole = {"a": [value], "b": "s3cret"}
        with pytest.raises(UnsupportedValue, match=r"^\.a\[0\]: .* is not one of") as caught:
            codec.dumps(whole)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))
