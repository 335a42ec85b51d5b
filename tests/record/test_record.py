"""What a store keeps for one session."""

from __future__ import annotations

import pickle
import zipfile
from io import BytesIO
from zlib import crc32

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgi_sessions.errors import BadRecord
from wsgi_sessions.record.record import ENDED, Record, pack, unpack

RECORD = Record(b"h" * 32, 1.5, 2.5, True, "owner", [[b"o" * 32, 1.25]], {"a": b"\x01", "b": b""})
DATA = pack(RECORD)


def encrypted(body: object) -> bytes:
    """A record of any shape with a right checksum, as who can write to the store can make it."""
    packed = ormsgpack.packb(body)
    return b"\x01" + crc32(packed).to_bytes(4, "big") + packed


def zipped() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


def test_a_record_comes_back() -> None:
    """All of it, and the same bytes every time."""
    assert unpack(DATA) == RECORD
    assert pack(unpack(DATA)) == DATA


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.binary()))
def test_values_stay_encoded(values: dict[str, bytes]) -> None:
    """The record neither reads nor changes them."""
    assert unpack(pack(RECORD._replace(values=values))).values == values


@pytest.mark.parametrize("size", range(len(DATA)))
def test_a_truncated_record_is_refused(size: int) -> None:
    """At every byte."""
    with pytest.raises(BadRecord):
        unpack(DATA[:size])


@pytest.mark.parametrize("bit", range(8 * len(DATA)))
def test_a_flipped_bit_is_noticed(bit: int) -> None:
    """Every bit of the record counts."""
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadRecord):
        unpack(bytes(damaged))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 100,
        b"{}",
        pickle.dumps({"a": 1}),
        b"!!python/object:x",
        zipped(),
        DATA + b"x",
    ],
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """Whatever they are."""
    with pytest.raises(BadRecord):
        unpack(data)


def test_a_newer_format_is_called_so() -> None:
    """So that the operator of a rolling update can tell."""
    with pytest.raises(BadRecord, match="newer"):
        unpack(b"\x02" + DATA[1:])


NAN = float("nan")
INFINITE = float("inf")


@pytest.mark.parametrize(
    "fields",
    [
        None, 1, "text", [], [1], {"a": 1}, [*RECORD, 1], [*RECORD][:-1],
        *([*RECORD[:at], wrong, *RECORD[at + 1 :]] for at, wrongs in enumerate((
            [None, "text", 1],
            [None, 1, "1", NAN, INFINITE, -1.0],
            [None, 1, "1", NAN, INFINITE, -1.0],
            [None, 1],
            [1, b"x"],
            [None, {}, [1], [[1]], [[b"h", "x"]], [[b"h", NAN]], [[b"h", 1.0, 2]]],
            [None, []],
        )) for wrong in wrongs),
    ],
)  # fmt: skip
def test_another_shape_is_refused_in_spite_of_a_right_checksum(fields: object) -> None:
    """Types and ranges are checked, not trusted."""
    with pytest.raises(BadRecord):
        unpack(encrypted(fields))


def test_the_ended_record_opens_with_nothing() -> None:
    """No secret has an empty hash."""
    assert unpack(ENDED).secret_hash == b""
    assert unpack(ENDED).is_empty
