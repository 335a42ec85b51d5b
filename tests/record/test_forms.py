"""Classes that say what their values are made of are given to the codec as they are."""

from __future__ import annotations

import enum
import logging
import subprocess
import sys
from dataclasses import InitVar, dataclass, field, make_dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID

import numpy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.processes import outputs_of_processes
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import ConfigurationError, MsgpackCodec, SessionManager, UnsupportedValue
from wsgi_sessions.record import NotRestored, StoredType
from wsgi_sessions.testing import ManualClock


@dataclass
class Line:
    product: str
    number: int = 1


@dataclass
class Cart:
    lines: list[Line] = field(default_factory=list)
    opened: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    cents: int
    currency: str = "CHF"


@dataclass
class Counted:
    words: str
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = len(self.words.split())


@dataclass(frozen=True)
class FrozenCounted:
    words: str
    count: int = field(init=False, default=0)


class Colour(enum.Enum):
    RED = enum.auto()
    BLUE = ("blue", 2)
    AZURE = ("blue", 2)  # noqa: PIE796  # another name of it


class Size(enum.StrEnum):
    SMALL = "s"


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Address(pydantic.BaseModel):
    street: str


class User(pydantic.BaseModel):
    id: UUID
    name: str = pydantic.Field(alias="fullName")
    joined: datetime
    tags: set[str] = set()
    home: Address | None = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def initial(self) -> str:
        return self.name[:1]


class Numbers(pydantic.RootModel[list[int]]):
    pass


TYPES: list[Any] = [
    Line, Cart, Money, Counted, FrozenCounted, Colour, Size, Level, Rights, Point, User, Numbers,
    Path, PureWindowsPath, numpy.ndarray,
]  # fmt: skip
codec = MsgpackCodec(types=TYPES)
strict = MsgpackCodec(types=TYPES, strict=True)

ANN = User(
    id=UUID(int=7),
    fullName="Ann",
    joined=datetime(2026, 1, 2, tzinfo=UTC),
    tags={"a", "b", "c"},
    home=Address(street="Elm"),
)
VALUES: list[Any] = [
    Line("tea", 2),
    Cart([Line("tea"), Line("pot")], datetime(2026, 1, 2, tzinfo=UTC)),
    Money(cents=5),
    Counted("two words"),
    FrozenCounted("x"),
    Colour.RED,
    Colour.AZURE,
    Size.SMALL,
    Level.LOW,
    Rights.READ | Rights.WRITE,
    Rights(0),
    Point(1.5),
    ANN,
    Numbers([1, 2]),
    Path("/srv/x"),
    PureWindowsPath("C:/x"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was_alone_and_inside_of_others(value: Any) -> None:
    for one in (codec, strict):
        for wrap in (lambda item: item, lambda item: {1: ([item], {"a": item})}):
            data = one.dumps(wrap(value))
            read = one.loads(data)
            assert type(data) is bytes
            assert read == wrap(value)
            assert one.dumps(read) == data
    assert type(codec.loads(codec.dumps(value))) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6, dtype="<f4").reshape(2, 3),
        numpy.arange(6, dtype=">i8").reshape(2, 3).T,
        numpy.zeros((0, 3)),
        numpy.array(True),
        numpy.array(["a", "déjà"]),
        numpy.array(["2026-01-02"], dtype="datetime64[ns]"),
        numpy.array([1 + 2j]),
    ],
    ids=lambda array: array.dtype.name,
)
def test_an_array_comes_back_with_its_type_and_shape(array: Any) -> None:
    read = codec.loads(codec.dumps([array]))[0]
    assert type(read) is numpy.ndarray
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert numpy.array_equal(read, array)
    read[...] = read  # it can be written to


def test_an_array_of_objects_is_refused_where_it_is_put() -> None:
    for array in (numpy.array([object()]), numpy.zeros(2, dtype=[("a", "i4")])):
        with pytest.raises(UnsupportedValue, match=r"^\.a: .*'ndarray' raised TypeError"):
            codec.dumps({"a": array})


def planted(tag: str, plain: Any) -> bytes:
    """What somebody who can write to the store might."""
    return MsgpackCodec(types=[StoredType(Fraction, tag, lambda _: plain, Fraction)]).dumps(
        Fraction(1)
    )


@pytest.mark.parametrize(
    ("tag", "plain"),
    [
        ("ndarray", ["|O8", [1], bytes(8)]),
        ("ndarray", ["O", [1], bytes(8)]),
        ("ndarray", ["<i8,O", [1], bytes(16)]),
        ("ndarray", ["<i8", [2], bytes(8)]),
        ("ndarray", ["<i8", [1], bytes(16)]),
        ("ndarray", ["<i8", [-1], bytes(8)]),
        ("ndarray", ["<i8", [2**62], bytes(8)]),
        ("ndarray", ["<i8", [1], 8]),
        ("ndarray", ["<i8", "x", b""]),
        ("ndarray", "x"),
        ("ndarray", ["|V999999999", [1], b""]),
        ("Line", "x"),
        ("Line", ["product"]),
        ("Line", {}),
        ("Line", {1: 2}),
        ("Colour", "GREEN"),
        ("Colour", ["RED"]),
        ("Colour", "__class__"),
        ("Rights", "x"),
        ("Rights", 1 << 40),
        ("Point", {"y": 1}),
        ("User", {"fullName": 5}),
        ("User", 1),
        ("Path", 5),
    ],
)
def test_a_planted_value_is_missing(tag: str, plain: Any) -> None:
    with pytest.raises(NotRestored):
        codec.loads(planted(tag, plain))


@given(
    tag=st.sampled_from(sorted(kind.__name__ for kind in TYPES)),
    plain=st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_whatever_is_planted_is_a_value_of_the_type_or_missing(tag: str, plain: Any) -> None:
    data = planted(tag, plain)
    try:
        value = codec.loads(data)
    except NotRestored:
        return
    kinds = {kind.__name__: kind for kind in TYPES}
    assert isinstance(value, kinds[tag])


def test_every_process_makes_the_same_bytes() -> None:
    program = (
        "from tests.record.test_forms import ANN, Colour, codec\n"
        "print(codec.dumps([ANN, {Colour.RED, Colour.BLUE}]).hex())"
    )
    outputs = outputs_of_processes(program)
    assert len(outputs) == 1


# Releases of the application


def stored_by(before: type, after: type, value: Any) -> Any:
    """*value* of the class *before*, as a release reads it that has *after* in its place."""
    data = MsgpackCodec(types=[before]).dumps(value)
    return MsgpackCodec(types=[StoredType.of(after, tag=before.__name__)]).loads(data)


def test_a_new_field_gets_its_default_and_one_that_is_gone_is_left_out() -> None:
    class_of = make_dataclass("Line", [("product", str), ("gift", bool, field(default=False))])
    assert stored_by(Line, class_of, Line("tea", 5)) == class_of("tea", False)

    class Sample(NamedTuple):
        x: float
        z: float = 9.0

    assert stored_by(Point, Sample, Point(1.0, 2.0)) == Sample(1.0, 9.0)


def test_a_new_field_without_default_costs_the_value() -> None:
    class_of = make_dataclass("Line", [("product", str), ("gift", bool)])
    with pytest.raises(NotRestored, match=r"^from_plain of 'Line' raised TypeError$"):
        stored_by(Line, class_of, Line("tea"))


def test_members_of_an_enum_may_be_put_in_another_order() -> None:
    """Which changes what ``auto()`` counts; so the name is stored."""
    reordered = enum.Enum("Colour", ["BLUE", "RED"])
    assert stored_by(Colour, reordered, Colour.RED) is reordered["RED"]


def test_a_class_that_was_renamed_keeps_its_tag() -> None:
    renamed = MsgpackCodec(types=[StoredType.of(Money, tag="Price")])
    data = renamed.dumps(Money(cents=5))
    assert renamed.loads(data) == Money(cents=5)
    with pytest.raises(NotRestored, match="the tag 'Price', which no type has here"):
        codec.loads(data)


def manager_of(store: RecordingStore, clock: ManualClock, *types: Any) -> SessionManager:
    codec = MsgpackCodec(types=types)
    return SessionManager(store, secret="of the tests, 16 or more", codec=codec, clock=clock)


LATER: dict[str, list[Any]] = {
    "the type is gone": [Line],
    "the member is gone": [Line, enum.Enum("Colour", ["BLUE"])],
    "the field needs more": [StoredType.of(make_dataclass("More", ["shade"]), "Colour")],
}


@pytest.mark.parametrize("types", LATER.values(), ids=LATER)
def test_what_cannot_be_restored_costs_its_value_only_and_is_named_in_the_log(
    store: RecordingStore, clock: ManualClock, types: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """And it stays in the record, for the process that can."""
    visitor = Visitor(manager_of(store, clock, Line, Colour))
    with visitor.request() as session:
        session.login("ann")
        session["colour"], session["n"] = [Colour.RED], 1
    later = Visitor(manager_of(store, clock, *types), visitor.cookie)
    with caplog.at_level(logging.WARNING), later.request() as session:
        assert session.get("colour") is None
        assert list(session) == ["n"]
        assert session.owner == "ann"
        session["n"] += 1
    assert "a value was left alone" in caplog.text
    assert "'Colour'" in caplog.text
    assert visitor.read() == {"colour": [Colour.RED], "n": 2}


# Classes that cannot be taken as they are


def test_a_change_in_place_is_stored(store: RecordingStore, clock: ManualClock) -> None:
    visitor = Visitor(manager_of(store, clock, Line, Cart, numpy.ndarray))
    with visitor.request() as session:
        session["cart"], session["array"] = Cart(), numpy.zeros(2)
    with visitor.request() as session:
        session["cart"].lines.append(Line("tea"))
        session["array"][1] = 5.0
    assert visitor.read()["cart"] == Cart([Line("tea")])
    assert visitor.open()["array"].tolist() == [0.0, 5.0]


class Flawed(pydantic.BaseModel):
    shown: str = pydantic.Field(serialization_alias="out")


def test_a_model_that_would_not_come_back_is_refused_where_it_is_put() -> None:
    own = MsgpackCodec(types=[Flawed, User])
    with pytest.raises(UnsupportedValue, match=r"^\[0\]: .*'Flawed' raised ValidationError$"):
        own.dumps([Flawed(shown="x")])
    broken = ANN.model_copy(update={"joined": "never"})
    with pytest.raises(UnsupportedValue, match="'User' raised ValidationError"):
        own.dumps(broken)


@dataclass
class Connected:
    name: str
    database: InitVar[str]


class Custom:
    """Whose constructor is its own."""


@dataclass(init=False)
class WrittenByHand:
    name: str

    def __init__(self, first: str, last: str) -> None:
        self.name = first + last


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Fraction, "Fraction does not say what its values are made of: StoredType"),
        (Custom, "Custom does not say"),
        (enum.Enum, "Enum does not say"),
        (pydantic.BaseModel, "BaseModel does not say"),
        (object, "object does not say"),
        (list, "list does not say"),
        (tuple, "tuple does not say"),
        (Connected, "Connected cannot be made of its fields, as it needs 'database'"),
        (WrittenByHand, "WrittenByHand cannot be made of its fields, as it needs 'first'"),
    ],
)
def test_a_class_that_does_not_say_enough_is_refused_at_once(kind: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        MsgpackCodec(types=[kind])


def test_two_classes_of_one_name_need_a_tag() -> None:
    other = make_dataclass("Line", ["x"])
    with pytest.raises(ConfigurationError, match=r"'Line' .* twice: StoredType.of\(…, tag=…\)"):
        MsgpackCodec(types=[Line, other])
    both = MsgpackCodec(types=[Line, StoredType.of(other, tag="line of a graph")])
    assert both.loads(both.dumps([Line("a"), other(1)])) == [Line("a"), other(1)]


def test_members_and_paths_are_not_watched() -> None:
    """They cannot change."""
    assert set(codec.immutable) == {Colour, Size, Level, Rights, Path, PureWindowsPath}


def test_neither_pydantic_nor_numpy_is_imported() -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from wsgi_sessions import MsgpackCodec\n"
        "codec = MsgpackCodec(types=[Path])\n"
        "codec.loads(codec.dumps(Path('x')))\n"
        "assert not {'pydantic', 'numpy'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_path_of_another_system_is_a_type_of_its_own() -> None:
    own = MsgpackCodec(types=[PurePosixPath], strict=True)
    assert own.loads(own.dumps(PurePosixPath("a"))) == PurePosixPath("a")
    with pytest.raises(UnsupportedValue):
        own.dumps(PureWindowsPath("a"))
