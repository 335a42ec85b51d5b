"""What the codec refuses, on which line of the application, and with which words.

The strict one refuses subclasses too; what the other does with them is in
``test_codec_subclasses``.
"""

from __future__ import annotations

import collections
import enum
import traceback
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import ormsgpack
import pytest
from markupsafe import Markup

from tests.support.values import fingerprint
from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record.codec import MsgpackCodec

codec = MsgpackCodec(strict=True)
lenient = MsgpackCodec()


def refusal(value: Any, codec: MsgpackCodec = codec) -> UnsupportedValue:
    with pytest.raises(UnsupportedValue) as caught:
        codec.dumps(value)
    return caught.value


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


class Point(NamedTuple):
    x: int


@dataclass
class Account:
    name: str


class Zone(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        raise LookupError


class LyingType(type):
    """Its classes claim to equal every type, and to hash like ``int``."""

    def __eq__(cls, other: object) -> bool:
        return True

    def __hash__(cls) -> int:
        return hash(int)


class UnhashableType(type):
    __hash__ = None  # type: ignore[assignment]


@dataclass
class Watched:
    """Notes what is done with its instances. A dataclass, as ``ormsgpack`` likes to read those."""

    name: str = ""
    touched: ClassVar[list[Any]] = []

    def touch(self, *args: object) -> Any:
        Watched.touched.append(args)
        raise AssertionError

    __eq__ = __hash__ = __repr__ = __str__ = __len__ = __iter__ = __bool__ = touch
    __getattribute__ = __reduce_ex__ = touch


def zone_with_rules_of_another() -> ZoneInfo:
    """Tokyo under the name of Paris, as ``from_file`` allows."""
    with files("tzdata").joinpath("zoneinfo/Asia/Tokyo").open("rb") as file:
        return ZoneInfo.from_file(file, key="Europe/Paris")


def zone_without_key() -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo/Asia/Tokyo").open("rb") as file:
        return ZoneInfo.from_file(file)


def of_subclass(parent: type, *args: Any) -> Any:
    return type("Sub", (parent,), {})(*args)


UNSUPPORTED_BY_BOTH: list[Any] = [
    object(), object, len, 1j, range(3), slice(1), iter([]), {}.keys(),
    array("b"), bytearray(b"a"), memoryview(b"a"), collections.deque(), Fraction(1),
    Account("a"), LyingType("Lying", (), {})(), UnhashableType("Unhashable", (), {})(),
    ormsgpack.Ext(16, b""), ormsgpack.Fragment(b"\x01"), datetime(1, 1, 1, tzinfo=Zone()),
    datetime(2024, 1, 1, tzinfo=zone_with_rules_of_another()), time(1, tzinfo=zone_without_key()),
    "\ud800", Markup("a\udfff"), time(1, tzinfo=timezone(timedelta(hours=1), "\ud800")),
]  # fmt: skip
UNSUPPORTED = [
    *UNSUPPORTED_BY_BOTH, Number.ONE, Word.A, Point(1),
    time(1, tzinfo=of_subclass(ZoneInfo, "UTC")),
    collections.OrderedDict(a=1), collections.defaultdict(int), collections.Counter("a"),
    *(of_subclass(kind) for kind in (int, float, str, bytes, list, dict, tuple, set, frozenset)),
    *(of_subclass(kind, 1) for kind in (timedelta, Decimal, Markup)), of_subclass(UUID, "0" * 32),
    *(of_subclass(kind, 1, 1, 1) for kind in (date, datetime, time)),
]  # fmt: skip


@pytest.mark.parametrize("value", UNSUPPORTED, ids=lambda value: type(value).__name__)
def test_anything_else_is_refused_where_it_stands(value: Any) -> None:
    """No subclass, no look-alike, nothing of the encoder's own gets through, at any depth."""
    assert refusal(value).path == ""
    assert refusal([0, {"when": value}]).path == "[1].when"
    assert refusal({"a b": (0, value)}).path == "['a b'][1]"
    assert refusal({7: [value]}).path == "[7][0]"


@pytest.mark.parametrize("value", UNSUPPORTED_BY_BOTH, ids=lambda value: type(value).__name__)
def test_what_has_no_parent_is_refused_by_either_codec(value: Any) -> None:
    """With the same words."""
    for whole in (value, [0, {"when": value}], {"a b": (0, value)}):
        assert str(refusal(whole, lenient)) == str(refusal(whole))


@pytest.mark.parametrize(
    "key", [Number.ONE, Word.A, Point(1), of_subclass(str), Markup("\ud800"), object()],
    ids=lambda key: type(key).__name__,
)  # fmt: skip
def test_a_key_is_refused_like_a_value(key: Any) -> None:
    """A key that would come back as another, or equal but of another type, is refused."""
    name = f"[{type(key).__name__}]"

    assert refusal({key: 1}).path.startswith(name)
    assert refusal({"cart": [{(1, key): 1}]}).path.startswith(".cart[0][tuple][1]")
    assert refusal([{key}]).path.startswith(f"[0]{name}")


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("when", ".when"), ("größe", ".größe"), ("a b", "['a b']"), ("", "['']"), ("1", "['1']"),
        ("k" * 33, "[str]"), ("a\nb", "[str]"), (-1, "[-1]"), (2**65, "[int]"), (True, "[bool]"),
        (None, "[NoneType]"), (b"k", "[bytes]"), ((1, 2), "[tuple]"), (1.5, "[float]"),
    ],
)  # fmt: skip
def test_a_path_shows_short_keys_and_hides_others(key: Any, step: str) -> None:
    """Enough to find the place, and nothing that may be a secret."""
    assert refusal([{key: object()}]).path == f"[0]{step}"


def test_a_refusal_names_the_type_and_the_remedy_but_not_the_value() -> None:
    """The message goes to logs, so the value stays out of it."""
    assert "Sub would come back as str" in str(refusal(of_subclass(str, "s3cret")))
    assert "Account is not one of Decimal, Markup" in str(refusal(Account("s3cret")))
    assert "lone surrogate" in str(refusal("s3cret\ud800"))
    for value in (of_subclass(str, "s3cret"), Account("s3cret"), ["s3cret\ud800"]):
        assert "s3cret" not in "".join(traceback.format_exception(refusal(value)))


def nested(levels: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner


WRAPS: dict[str, Callable[[Any], Any]] = {
    "list": lambda inner: [inner],
    "wide list": lambda inner: [1, "x" * 70, inner, None],
    "dict": lambda inner: {"a": inner},
    "dict of int": lambda inner: {1: inner},
    "tuple": lambda inner: (inner,),
    "frozenset": lambda inner: frozenset({inner}),
}


@pytest.mark.parametrize("innermost", [[], {}, {"a": 1}, {"a": b"x"}], ids=repr)
@pytest.mark.parametrize("wrap", ["list", "dict"])
def test_the_innermost_container_is_a_level(wrap: str, innermost: Any) -> None:
    """Whatever it holds, and if that is nothing."""
    deepest = nested(63, WRAPS[wrap], innermost)
    codec = MsgpackCodec()
    assert codec.loads(codec.dumps(deepest)) == deepest
    assert "64 levels" in refusal(nested(64, WRAPS[wrap], innermost)).reason


@pytest.mark.parametrize("name", WRAPS)
@pytest.mark.parametrize("innermost", [1, "é", ()], ids=repr)
def test_nesting_ends_at_64_levels_exactly(name: str, innermost: Any) -> None:
    """64 levels come back; one more is refused, as are so many that recursion would fail."""
    levels = 64 - (innermost == ())
    deepest = nested(levels, WRAPS[name], innermost)

    assert fingerprint(codec.loads(codec.dumps(deepest))) == fingerprint(deepest)
    for more in (1, 100, 900):
        assert "64 levels" in refusal(nested(levels + more, WRAPS[name], innermost)).reason


def test_keys_count_as_levels() -> None:
    """A tuple as a key is inside its dict."""
    key = nested(63, WRAPS["tuple"], 1)

    assert codec.loads(codec.dumps({key: 1})) == {key: 1}
    assert refusal({(key,): 1}).path.startswith("[tuple][0]")


@pytest.mark.parametrize("width", [1, 2, 100])
def test_a_value_that_contains_itself_is_refused(width: int) -> None:
    """At once, however many ways lead round the cycle."""
    in_list: list[Any] = []
    in_list += [in_list] * width
    in_dict: dict[Any, Any] = {}
    in_dict.update(dict.fromkeys(range(width), (in_dict,)))

    for cyclic in (in_list, in_dict, {"a": in_list}, (in_dict, {1})):
        assert "contains itself" in refusal(cyclic).reason
