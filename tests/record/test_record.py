"""What a store keeps for one session."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import astuple
from io import BytesIO
from typing import Any
from zlib import crc32

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgi_sessions import MsgpackCodec
from wsgi_sessions.errors import BadRecord, UnsupportedValue
from wsgi_sessions.record.large_values import LargeValues, are_in_place, content, stored_at
from wsgi_sessions.record.record import (
    ENDED,
    OWN_LIFETIME,
    PERMANENT,
    Record,
    is_newer,
    pack,
    pack_body,
    unpack,
    unpack_body,
)
from wsgi_sessions.record.stored_value import LARGE, ValueCodec, same

SCALARS = {"none": None, "true": True, "int": 1, "float": 1.0, "text": "x", "least": -(2**63)}
VALUES = {**SCALARS, "a": b"\x01", "large": b"l" * LARGE, "b": b"", "larger": b"m" * 3000}
OLD = [[b"o" * 32, 1.25]]
RECORD = Record(
    b"h" * 32, 1.5, 2.5, 9.5, PERMANENT | 1 << 40, 60.0, "owner", "Firefox on Linux", OLD, VALUES
)
DATA = pack(RECORD)


def contents(record: Record) -> dict[str, Any]:
    """The values, large ones as their bytes."""
    values = record.values
    return {key: stored_at(values, key) for key in values}


def framed(body: object, large: bytes = b"") -> bytes:
    """A record of any shape with a right checksum, as who can write to the store can make it."""
    packed = ormsgpack.packb(body)
    return b"\x01" + crc32(packed).to_bytes(4, "big") + packed + large


def zipped() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


def test_a_record_comes_back_with_every_field_and_the_same_bytes() -> None:
    """Unknown flags and the order of the keys included."""
    record = unpack(DATA)
    assert repr(astuple(record)[:9]) == repr(astuple(RECORD)[:9])
    assert repr(list(contents(record).items())) == repr(list(VALUES.items()))
    assert pack(record) == DATA


def test_the_body_of_an_encrypted_record_is_the_same_without_its_front() -> None:
    """Format and checksum are those of the encryption."""
    assert pack_body(RECORD) == DATA[5:]
    assert contents(unpack_body(DATA[5:])) == VALUES


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8")),
        st.one_of(
            st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(),
            st.text(st.characters(codec="utf-8")), st.binary(),
            st.binary(min_size=LARGE, max_size=2 * LARGE),
        ),
    )
)  # fmt: skip
def test_values_keep_their_types_and_their_order(values: dict[str, Any]) -> None:
    """The record neither reads nor changes what is encoded."""
    record = unpack(pack(RECORD.replace(values=values)))
    assert repr(list(contents(record).items())) == repr(list(values.items()))


def test_a_large_value_that_did_not_change_is_written_again_as_it_was() -> None:
    """Beside one that changed, one that is new and one that is gone."""
    record = unpack(DATA)
    values = record.values | {"large": b"n" * 700, "new": b"p" * 800}
    del values["a"]
    again = unpack(pack(record.replace(values=values)))
    assert contents(again) == {
        **{key: value for key, value in VALUES.items() if key != "a"},
        "large": b"n" * 700,
        "new": b"p" * 800,
    }


CHANGES: dict[str, Any] = {
    "removed": {},
    "a scalar": {"large": 1},
    "small": {"large": b"s"},
    "empty": {"large": b""},
    "another": {"large": b"n" * 700},
    "gone, and another key": {"next": b"n" * 700},
    "as it was": {"large": VALUES["large"]},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("small", [{}, {"small": b"s"}], ids=["alone", "with a small one"])
def test_a_record_whose_large_value_changes_in_any_way_is_read_again(
    change: str, small: dict[str, Any]
) -> None:
    """Its only one too, and through any number of changes."""
    held = unpack(pack(RECORD.replace(values=small | {"large": b"l" * LARGE}))).values
    without = held.copy()
    without.pop("large")
    for values in (without | CHANGES[change], held | CHANGES[change]):
        expected = {key: stored_at(values, key) for key in values}
        again = unpack(pack(RECORD.replace(values=values)))
        assert contents(again) == expected
        assert contents(unpack(pack(again))) == expected


def test_damage_to_a_large_value_is_noticed_when_it_is_touched() -> None:
    """Any bit of it; the rest of the session can be used."""
    codec, good = ValueCodec(MsgpackCodec()), MsgpackCodec().dumps("x" * 1000)
    data = pack(RECORD.replace(values={"small": "y", "large": good}))
    for bit in range(8 * (len(data) - len(good)), 8 * len(data), 7):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        values = unpack(bytes(damaged)).values
        assert codec.loads(values["small"]) == "y"
        with pytest.raises(ValueError, match="damaged"):
            codec.loads(stored_at(values, "large"))


@pytest.mark.parametrize("size", range(len(DATA)))
def test_a_record_truncated_at_any_byte_is_refused(size: int) -> None:
    """Also where a large value is cut off."""
    with pytest.raises(BadRecord):
        unpack(DATA[:size])


HEAD = len(DATA) - 3000 - LARGE


@pytest.mark.parametrize("bit", range(8 * HEAD))
def test_a_flipped_bit_of_the_head_is_noticed(bit: int) -> None:
    """Every bit of it counts."""
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadRecord):
        unpack(bytes(damaged))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00" * 100, b"{}", pickle.dumps({"a": 1}), b"!!python/object:x", zipped(),
        DATA + b"x", DATA[:5], b"\x01",
    ],
)  # fmt: skip
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """Whatever they are."""
    with pytest.raises(BadRecord):
        unpack(data)
    assert not is_newer(data)


@pytest.mark.parametrize("front", [2, 16, 0x82])
def test_a_newer_format_is_called_so(front: int) -> None:
    """So that the record is left alone, and the operator of a rolling update can tell."""
    newer = bytes([front]) + DATA[1:]
    assert is_newer(newer)
    with pytest.raises(BadRecord, match="newer"):
        unpack(newer)


NAN = float("nan")
INFINITE = float("inf")
FIELDS: list[Any] = [
    b"h" * 32, 1.5, 2.5, 9.5, 1, 60.0, "owner", "device", [[b"o" * 32, 1.25]], {"a": 1}, None,
]  # fmt: skip
WRONG_TIMES = [None, 1, "1", NAN, INFINITE, -1.0, 2e11]
WRONG: list[list[Any]] = [
    [None, "text", 1],
    WRONG_TIMES,
    WRONG_TIMES,
    WRONG_TIMES[1:],
    [None, True, -1, 2**63, 1.0],
    WRONG_TIMES,
    [1, b"x"],
    [1, b"x", "x" * 101],
    [None, {}, [1], [[1]], [[b"h", "x"]], [[b"h", NAN]], [[b"h", 1.0, 2]], [[b"h", -1.0]]],
    [None, [], {"a": {}}, {"a": [1]}, {"a": []}],
    ["0", 0, True, {}, [], [[], []], [b"", b""], [bytes(4), bytes(4)]],
]  # fmt: skip
FOUR = bytes(4)
WRONG_PLACES: list[tuple[Any, Any]] = [
    *(({"a": b""}, table) for table in [
        "0", 0, True, {}, [], [[], []], [b"", b""], [FOUR], [FOUR, FOUR, FOUR], [FOUR, b""],
        [b"", FOUR], [FOUR, bytes(8)], [bytes(8), bytes(8)], [bytes(3), bytes(3)], ["\0" * 4, FOUR],
        [FOUR, [0]], [[0], [0]], [b"\xff" * 4, FOUR], FOUR + FOUR,
    ]),
    *((values, [FOUR, FOUR]) for values in [
        {}, {"a": None}, {"a": ""}, {"a": []}, {"a": [1]}, {"a": {}}, {"a": b"", "b": b""},
        {"a": b"", "b": {}}, {"a": b"", "b": [1]},
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        None, 1, "text", "eleven char", [], [1], {"a": 1}, dict.fromkeys("abcdefghijk", 1),
        [*FIELDS, 1], FIELDS[:-1],
        *([*FIELDS[:at], wrong, *FIELDS[at + 1 :]] for at, wrongs in enumerate(WRONG)
          for wrong in wrongs),
        *([*FIELDS[:9], *places] for places in WRONG_PLACES),
    ],
)  # fmt: skip
def test_another_shape_is_refused_in_spite_of_a_right_checksum(fields: object) -> None:
    """Types and ranges are checked, not trusted."""
    with pytest.raises(BadRecord):
        unpack(framed(fields))
    with pytest.raises(BadRecord):
        unpack_body(ormsgpack.packb(fields))


def test_the_fields_of_that_test_are_right() -> None:
    """Or every one of its records would be refused for another reason."""
    assert unpack(framed(FIELDS)).values == {"a": 1}
    assert unpack(framed([*FIELDS[:3], None, 0, 60.0, None, None, [], {}, None])).ends_at is None
    record = unpack(framed([*FIELDS[:9], {"a": b""}, [b"\0\0\0\2", b"\0\0\0\7"]], b"xy"))
    assert content(record.values, "a") == b"xy"


def test_extension_types_among_the_values_are_reserved() -> None:
    """A reader of this format refuses them."""
    with pytest.raises(BadRecord):
        unpack(framed([*FIELDS[:9], {"a": ormsgpack.Ext(1, b"x")}, None]))


def test_the_ended_record_opens_with_nothing() -> None:
    """No secret has an empty hash."""
    assert unpack(ENDED).secret_hash == b""
    assert unpack(ENDED).is_empty


@pytest.mark.parametrize(
    ("saved_at", "idle", "ends_at", "expires_at"),
    [(5.0, 10.0, None, 15.0), (5.0, 10.0, 15.5, 15.0), (5.0, 10.0, 14.5, 14.5)],
)
def test_a_record_says_when_it_ends(
    saved_at: float, idle: float, ends_at: float | None, expires_at: float
) -> None:
    """At the earlier of its idle and its absolute end."""
    record = RECORD.replace(saved_at=saved_at, idle=idle, ends_at=ends_at)
    assert record.expires_at == expires_at


def test_flags_say_what_kind_of_session_it_is() -> None:
    """One bit each."""
    assert RECORD.permanent
    assert not RECORD.replace(flags=OWN_LIFETIME).permanent


DIFFERENT = [None, 0, False, 0.0, -0.0, "", b"", b"0", "0", 1, True, 1.0, "1", 53, b"5"]


@pytest.mark.parametrize("one", range(len(DIFFERENT)))
def test_stored_values_are_the_same_only_with_the_same_type(one: int) -> None:
    """``1 == True == 1.0``, and ``0.0 == -0.0``."""
    for other, value in enumerate(DIFFERENT):
        assert same(DIFFERENT[one], value) == (one == other)


def test_a_large_value_is_the_same_as_its_bytes() -> None:
    """Whichever it is of those in the record."""
    values = unpack(DATA).values
    assert isinstance(values, LargeValues)
    assert content(values, "large") == VALUES["large"]
    assert content(values, "larger") == VALUES["larger"]


def test_other_scalars_have_other_bytes() -> None:
    """And no value of another type has the same ones."""
    assert len({content({"k": value}, "k") for value in [None, 0, 1, True, 1.0, 2.0, "1"]}) == 7


def test_not_a_number_is_the_same_as_itself() -> None:
    """A session that holds one does not change at each request."""
    assert same(float("nan"), NAN)


@pytest.mark.parametrize(
    ("first", "size", "newer"),
    [(1, 5, False), (2, 5, True), (2, 4, False), (16, 5, True), (17, 5, False), (0x82, 5, True)],
)
def test_the_next_fifteen_formats_are_left_to_newer_releases(
    first: int, size: int, newer: bool
) -> None:
    assert is_newer(bytes([first]).ljust(size, b"\0")) is newer


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x02\0\0\0\0", "of a newer format, or not a record"),
        (b"\x81\0\0\0\0", "encrypted, or not a record"),
        (b"\x81\0\0\0", "not a record"),
        (b"\x00\0\0\0\0", "not a record"),
        (b"\x13\0\0\0\0", "not a record"),
        (b"\x00\x81\0\0\0", "not a record"),
        (b"", "not a record"),
        (b"\x01\0\0\0\0\x90", "damaged, or not a record: it has another shape"),
        (b"\x01\0\0\0\0" + DATA[5:], "damaged: the checksum does not match"),
        (
            framed([*FIELDS[:10], 1]),
            "not a record: the table of its large values has another shape",
        ),
        (framed([*FIELDS[:9], [], None]), "not a record: a field has the wrong type or range"),
        (
            framed([*FIELDS[:9], {"a": b""}, [b"\0\1\0\0", FOUR]]),
            "damaged: a large value is cut off",
        ),
    ],
)
def test_what_is_no_record_is_said_in_words(data: bytes, why: str) -> None:
    with pytest.raises(BadRecord) as caught:
        unpack(data)
    assert str(caught.value) == why


@pytest.mark.parametrize("time", [0.0, 1e11])
def test_the_earliest_and_the_latest_time_and_the_longest_device_can_be_read(time: float) -> None:
    record = Record(b"h" * 32, time, time, time, 0, time, None, "d" * 100, [[b"old", time]], {})
    assert unpack(pack(record)) == record


@pytest.mark.parametrize("size", [511, 512])
def test_a_value_of_512_bytes_stands_behind_the_head(size: int) -> None:
    """Also one that is put beside the large values of a record that was loaded."""
    value = b"x" * size
    assert are_in_place({"a": value}) is (size < 512)
    record = Record(b"h" * 32, 1.0, 1.0, None, 0, 9.0, None, None, (), {"old": b"y" * 600})
    loaded = unpack(pack(record))
    merged = loaded.values | {"new": value}
    packed = pack(loaded.holding(merged, 2.0))
    assert (packed.endswith(value)) is (size == 512)
    assert stored_at(unpack(packed).values, "new") == value


@pytest.mark.parametrize("replaced_at", [0.0, 0.5, 1e11])
def test_a_secret_may_have_been_replaced_at_any_time(replaced_at: float) -> None:
    superseded = [[b"old", replaced_at]]
    record = Record(b"h" * 32, 1.0, 1.0, None, 0, 9.0, None, None, superseded, {"a": 1})
    assert unpack(pack(record)).superseded == superseded


def test_a_codec_that_makes_no_bytes_is_named() -> None:
    class Silent:
        def dumps(self, _value: Any) -> bytes:
            return b""

        def loads(self, _data: bytes) -> Any:
            return None

    with pytest.raises(UnsupportedValue) as caught:
        ValueCodec(Silent()).dumps([1])
    assert (caught.value.path, caught.value.reason) == ("", "the codec makes no bytes of it")


def test_equal_numbers_of_one_type_are_the_same_whatever_object_they_are() -> None:
    """So that nothing is written where nothing has changed."""
    assert same(1.5, float("1.5"))
    assert not same(1.5, 2.5)
    assert same(10**12, int("1" + "0" * 12))
