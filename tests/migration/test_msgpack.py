"""msgpack with keys of any kind is read as ormsgpack reads it, within bounds."""

from __future__ import annotations

import itertools
import struct
from datetime import UTC, datetime
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import unhurried
from wsgi_sessions.migration.msgpack import loads
from wsgi_sessions.migration.values import decode

OPTIONS = ormsgpack.OPT_DATETIME_AS_TIMESTAMP_EXT | ormsgpack.OPT_NON_STR_KEYS
SIZES = [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536]

integers = st.integers(-(2**63), 2**64 - 1)
times = st.datetimes(datetime(1900, 1, 1), datetime(3000, 1, 1), timezones=st.just(UTC))
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text() | times
keys = st.none() | st.booleans() | integers | st.text() | st.tuples(integers, st.text())
values = st.recursive(
    scalars | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(keys, inner)
)


@unhurried
@given(values)
def test_it_is_read_as_ormsgpack_reads_it(value: Any) -> None:
    """The same value, of the same types."""
    data = ormsgpack.packb(value, option=OPTIONS)

    assert repr(loads(data)) == repr(ormsgpack.unpackb(data, option=OPTIONS))


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_read(size: int) -> None:
    """Each is spelled in its own way."""
    for value in (b"x" * size, "x" * size, [None] * size, dict.fromkeys(range(min(size, 40_000)))):
        assert loads(ormsgpack.packb(value, option=OPTIONS)) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xca\x3f\xc0\x00\x00", 1.5),
        (b"\xd6\xff\x00\x00\x00\x01", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (b"\xd7\xff" + struct.pack(">Q", 5_000 << 34 | 7), datetime(1970, 1, 1, 0, 0, 7, 5, UTC)),
        (b"\xc7\x0c\xff" + struct.pack(">Iq", 0, -1), datetime(1969, 12, 31, 23, 59, 59, 0, UTC)),
    ],
)
def test_what_other_encoders_write_is_read(data: bytes, value: object) -> None:
    """Floats of 32 bits, and times of each length."""
    assert loads(data) == value


@unhurried
@given(st.binary())
def test_whatever_the_bytes_it_is_a_value_or_a_value_error(data: bytes) -> None:
    """As ormsgpack has it, wherever both read something."""
    try:
        value = loads(data)
    except ValueError:
        return
    assert repr(value) == repr(ormsgpack.unpackb(data, option=OPTIONS))


@pytest.mark.parametrize("size", [1, 5, 40])
def test_cut_or_continued_it_is_refused(size: int) -> None:
    """At any byte."""
    data = ormsgpack.packb({n: [1.5, "x", b"y"] for n in range(size)}, option=OPTIONS)
    for end in range(len(data)):
        with pytest.raises(ValueError):  # noqa: PT011
            loads(data[:end])
    with pytest.raises(ValueError, match="something follows"):
        loads(data + b"\xc0")


def alike(length: int) -> bytes:
    """A map of 2**length arrays as keys, all of one hash: -1 and -2 have the same."""
    made = [
        bytes([0x90 | length]) + bytes(key)
        for key in itertools.product((0xFF, 0xFE), repeat=length)
    ]
    return b"\xdf" + struct.pack(">I", len(made)) + b"".join(key + b"\xc0" for key in made)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (alike(12), "same hash"),  # half a second in ormsgpack, and four times that for 13
        (b"\x81" + b"\x91" * 99 + b"\x01\x01", "too deep"),
        (b"\x81" + b"\x91" * 99_000 + b"\x01\x01", "no msgpack"),
        (b"\xdd" + struct.pack(">I", 150_000) + b"\xc0" * 150_000, "too large"),
        (b"\xdd\xff\xff\xff\xff\xc0", "cut off"),
        (b"\xdf\xff\xff\xff\xff\xc0", "cut off"),
        (b"\xc6\xff\xff\xff\xff\xc0", "cut off"),
        (b"\xc0" * (9 << 20), "too large"),
        (b"\xc1", "no msgpack"),
        (b"\xd4\x05x", "no time"),
        (b"\xd4\xffx", "no msgpack"),
        (b"\xc7\x0c\xff" + b"\x7f" * 12, "no msgpack"),
        (b"\x81\x80\x01", "no msgpack"),
        (b"\x82\x01\x01", "cut off"),
    ],
    ids=range(14),
)
def test_depth_size_and_keys_are_bounded(data: bytes, reason: str) -> None:
    """And what is no value is none."""
    with pytest.raises(ValueError, match=reason):
        loads(data)


def test_a_session_with_keys_of_any_kind_is_read() -> None:
    """As msgspec writes it for Flask-Session."""
    values = {"cart": {7: 2, (1, 2): "x"}, "n": 1}

    assert decode(ormsgpack.packb(values, option=OPTIONS), allow_pickle=False) == values
    assert decode(alike(10), allow_pickle=False) is None
