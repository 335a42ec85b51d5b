"""The codec takes types of the application's own, each with a tag and two functions."""

from __future__ import annotations

import enum
import logging
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.support.processes import outputs_of_processes
from wsgi_sessions import ConfigurationError, MsgpackCodec, UnsupportedValue
from wsgi_sessions.record import Converted, NotRestored, StoredType


@dataclass
class Line:
    product: str
    number: int = 1


@dataclass
class Cart:
    lines: list[Line] = field(default_factory=list)


class Colour(enum.Enum):
    RED = "red"
    BLUE = ("blue", 2)


class Model:
    """As pydantic's: of all models it is one type that is declared, and a name says which."""

    kinds: dict[str, type[Model]] = {}

    def __init__(self, **values: Any) -> None:
        self.values = values

    def __init_subclass__(cls) -> None:
        Model.kinds[cls.__name__] = cls

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)


class User(Model):
    pass


CART = StoredType(Cart, "cart", lambda cart: cart.lines, lambda lines: Cart(list(lines)))
LINE = StoredType(Line, "line", asdict, lambda plain: Line(**plain))
COLOUR = StoredType(Colour, "colour", lambda colour: colour.name, Colour.__getitem__, True)
PATH = StoredType(Path, "path", str, Path, immutable=True)
MODEL = StoredType(
    Model,
    "model",
    lambda model: [type(model).__name__, model.values],
    lambda plain: Model.kinds[plain[0]](**plain[1]),
)
ARRAY = StoredType(
    array,
    "array",
    lambda values: (values.typecode, values.tobytes()),  # as of an ndarray: dtype, shape, bytes
    lambda plain: array(*plain),
)
FRACTION = StoredType(
    Fraction,
    "fraction",
    lambda value: (value.numerator, value.denominator),
    lambda plain: Fraction(*plain),
)
TYPES = [CART, LINE, COLOUR, PATH, MODEL, ARRAY, FRACTION]
codec = MsgpackCodec(types=TYPES)
strict = MsgpackCodec(types=TYPES, strict=True)

OWN: list[Any] = [
    Line("tea"), Cart([Line("tea", 2), Line("pot")]), Colour.RED, Colour.BLUE, Path("/srv/x"),
    User(name="ann", tags={"a"}), array("d", [1.5, 2.5]), Fraction(1, 3),
]  # fmt: skip


@pytest.mark.parametrize("value", OWN, ids=lambda value: type(value).__name__)
def test_a_value_of_an_own_type_comes_back_with_its_type(value: Any) -> None:
    """A dataclass, an Enum, a model, a path, an array; alone and inside of others."""
    for one in (codec, strict):
        for wrap in (lambda item: item, lambda item: [item], lambda item: {1: ({"a": item},)}):
            data = one.dumps(wrap(value))
            read = one.loads(data)

            assert type(data) is bytes
            assert read == wrap(value)
            assert one.dumps(read) == data
    assert type(codec.loads(codec.dumps(value))) is type(value)


def test_one_that_can_be_hashed_can_be_a_key() -> None:
    """And an item of a set, in the same order in every process."""
    value = {Colour.RED: 1, (Path("a"), 2): {Colour.RED, Colour.BLUE}}

    assert codec.loads(codec.dumps(value)) == value


def test_the_wire_format_is_fixed() -> None:
    """An array of the tag, in extension type 20, and the plain value."""
    data = codec.dumps(Fraction(1, 2))

    assert data == b"\x92" + b"\xd7\x14fraction" + b"\x93\xc7\x00\x10\x01\x02"


def test_every_process_makes_the_same_bytes() -> None:
    """If the functions do."""
    program = (
        "from pathlib import Path\n"
        "from wsgi_sessions import MsgpackCodec\n"
        "codec = MsgpackCodec(types=[(Path, 'path', str, Path)])\n"
        "print(codec.dumps({Path(f'p{n}') for n in range(50)}).hex())"
    )
    outputs = outputs_of_processes(program)

    assert len(outputs) == 1


# Subclasses of them


class SpecialLine(Line):
    pass


def test_a_subclass_that_the_function_gives_back_is_of_the_type() -> None:
    """``Path("x")`` is a ``PosixPath``, and a model is of any class."""
    assert type(codec.dumps([Path("x"), User()])) is bytes
    assert type(strict.dumps([Path("x"), User()])) is bytes


def test_a_subclass_that_it_does_not_give_back_becomes_its_parent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an instance of a subclass of ``dict`` becomes a dict: with a line in the log."""
    monkeypatch.setattr("wsgi_sessions.record.codec._reported", {})
    with caplog.at_level(logging.INFO, "wsgi_sessions"):
        data = codec.dumps([SpecialLine("tea")])

    assert type(data) is Converted
    assert codec.loads(data) == [Line("tea")]
    assert "SpecialLine as tests.record.test_codec_types.Line" in caplog.text
    with pytest.raises(UnsupportedValue, match=r"^\[0\]: SpecialLine would come back as Line"):
        strict.dumps([SpecialLine("tea")])


def test_what_a_function_gives_may_be_of_a_subclass_in_turn() -> None:
    """It is the application's code, too."""
    own = MsgpackCodec(types=[LINE._replace(to_plain=lambda line: OrderedDict(asdict(line)))])
    data = own.dumps(Line("tea"))

    assert type(data) is Converted
    assert own.loads(data) == Line("tea")


class Text(str):
    pass


def test_the_nearest_of_declared_and_listed_types_counts() -> None:
    """A declared subclass of ``str`` stays what it is."""
    own = MsgpackCodec(types=[StoredType(Text, "text", str, Text)])

    assert type(own.loads(own.dumps([Text("a")]))[0]) is Text
    assert type(own.loads(own.dumps({Text("a"): 1}))) is dict


# What goes wrong


def test_a_type_that_is_gone_is_a_value_error_that_names_its_tag() -> None:
    """A subclass of it, so that a session can tell it from a damaged value."""
    data = codec.dumps([1, {"a": Path("x")}])

    for other in (MsgpackCodec(), MsgpackCodec(types=[LINE])):
        with pytest.raises(NotRestored, match="the tag 'path', which no type has here"):
            other.loads(data)


def refused(value: Any, *types: StoredType) -> UnsupportedValue:
    with pytest.raises(UnsupportedValue) as caught:
        MsgpackCodec(types=types).dumps(value)
    return caught.value


def fail(_value: object) -> Any:
    raise LookupError("s3cret")


def test_a_function_that_raises_refuses_the_value_by_its_path() -> None:
    """When it is assigned, with what it raised as the cause; a stored one costs itself only."""
    broken = LINE._replace(to_plain=fail)
    error = refused({"cart": [Line("tea")]}, broken)
    assert error.path == ".cart[0]"
    assert error.reason == "a function of the stored type 'line' raised LookupError"
    assert isinstance(error.__cause__, LookupError)

    with pytest.raises(NotRestored, match=r"^from_plain of 'line' raised LookupError$") as caught:
        MsgpackCodec(types=[LINE._replace(from_plain=fail)]).loads(codec.dumps([Line("tea")]))
    assert caught.value.__suppress_context__


def test_a_plain_value_that_cannot_be_stored_is_refused_by_the_path_inside() -> None:
    """As if it had been assigned itself."""
    own = StoredType(Line, "line", lambda line: {"at": object()}, Line)
    assert refused([Line("tea")], own).path == "[0].at"


def test_a_function_that_gives_the_type_again_ends() -> None:
    """Each counts as a level."""
    own = StoredType(Line, "line", lambda line: line, lambda line: line)
    assert "64 levels" in refused(Line("tea"), own).reason


@dataclass(eq=False)
class Key:
    name: str

    def __hash__(self) -> int:
        raise LookupError


def test_a_key_that_cannot_be_hashed_again_is_a_value_error() -> None:
    """Its ``__hash__`` is the application's code, and may raise anything."""
    as_word = MsgpackCodec(types=[StoredType(Colour, "key", lambda c: c.name, lambda n: n)])
    as_key = MsgpackCodec(types=[StoredType(Key, "key", lambda key: key.name, Key)])

    for value in ({Colour.RED: 1}, {Colour.RED}):
        with pytest.raises(ValueError, match="cannot be one"):
            as_key.loads(as_word.dumps(value))


@pytest.mark.parametrize(
    "data",
    [
        b"\x91\xc7\x01\x14x", b"\x93\xc7\x01\x14x\x01\x01", b"\xc7\x01\x14x",
        b"\x92\xc7\x00\x14\x01",
        b"\x92\x01\xc7\x04\x14path", b"\x92\xc7\x01\x14\xff\x01", b"\x92\xc7\x04\x14path\x01",
        b"\x91\xc7\x04\x14path", b"\x93\xc7\x04\x14path\xa1a\xa1a", b"\x92\xc7\x08\x14fraction\x01",
        b"\x92\xc7\xff\x14" + b"x" * 255 + b"\x01",
    ],
    ids=range(11),
)  # fmt: skip
def test_hostile_bytes_are_a_value_error(data: bytes) -> None:
    """A tag in a wrong place, without a value, with two, of a wrong type, or of no text."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the type is what is tested
        codec.loads(data)
    assert len(str(caught.value)) < 200


# How they are declared


def test_a_plain_tuple_serves_too() -> None:
    """Of a type, a tag and two functions."""
    own = MsgpackCodec(types=[(Path, "path", str, Path)])

    assert own.loads(own.dumps(Path("x"))) == Path("x")


def test_values_are_mutable_unless_they_are_declared_otherwise() -> None:
    """So that a session looks at them again."""
    assert codec.immutable == (Colour, Path)
    assert MsgpackCodec().immutable == ()


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ([PATH, PATH], "twice"),
        ([PATH, (PurePosixPath, "path", str, PurePosixPath)], "twice"),
        ([PATH, (Path, "other", str, Path)], "twice"),
        ([(dict, "dict", list, dict)], "stored as it is"),
        ([("Path", "path", str, Path)], "is no class"),
        ([(Path, "", str, Path)], "no short text"),
        ([(Path, b"path", str, Path)], "no short text"),
        ([(Path, "7", str, Path), (Fraction, 7, str, Fraction)], "twice"),
        ([(Path, "x" * 101, str, Path)], "no short text"),
        ([(Path, "\ud800", str, Path)], "no short text"),
        ([(Path, "path", "str", Path)], "is no function"),
        ([(Path, "path", str, None)], "is no function"),
        ([(Path, "path")], "each is a class, or StoredType"),
        ([Fraction], "does not say what its values are made of"),
    ],
)
def test_a_mistake_in_a_declaration_is_said_at_once(types: Any, message: str) -> None:
    """With the remedy."""
    with pytest.raises(ConfigurationError, match=f"types: .*{message}"):
        MsgpackCodec(types=types)


def test_many_threads_may_use_one_codec() -> None:
    """It holds what it was given and nothing else."""
    wrong: list[Callable[[], Any]] = []

    def work() -> None:
        for _ in range(200):
            if codec.loads(codec.dumps(OWN)) != OWN:
                wrong.append(work)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
