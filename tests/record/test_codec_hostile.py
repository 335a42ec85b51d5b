"""The codec reads bytes that anybody may have put into the store: a value, or a ValueError."""

from __future__ import annotations

import pickle
import struct
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import EXAMPLES, fingerprint, unhurried, values
from wsgi_sessions import UnsupportedValue
from wsgi_sessions.record.codec import MsgpackCodec

codec = MsgpackCodec()


def ext(number: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BIb", 0xC9, len(payload), number) + payload


def reason(data: bytes) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the type is what is tested
        codec.loads(data)
    return str(caught.value)


def check_harmless(data: bytes) -> None:
    """What is read must be something that the codec itself would write."""
    try:
        value = codec.loads(data)
    except ValueError:
        return
    assert fingerprint(codec.loads(codec.dumps(value))) == fingerprint(value)


@unhurried
@given(st.binary())
def test_random_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    """Nothing else is ever raised, whatever the bytes."""
    check_harmless(data)


@unhurried
@given(values.map(codec.dumps), st.data())
def test_changed_bytes_are_a_value_or_a_value_error(data: bytes, draw: st.DataObject) -> None:
    """The same for bytes that begin as a real value: one byte changed, or one piece inserted."""
    at = draw.draw(st.integers(0, len(data) - 1))
    piece = draw.draw(st.binary(min_size=1, max_size=6))

    check_harmless(data[:at] + piece[:1] + data[at + 1 :])
    check_harmless(data[:at] + piece + data[at:])


@unhurried
@given(
    st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 19, -1, 20, 21, 127]),
    st.binary(max_size=30),
    st.lists(values.map(codec.dumps), max_size=4),
)
def test_any_payload_is_a_value_or_a_value_error(
    number: int, payload: bytes, items: list[bytes]
) -> None:
    """The same for extensions with any payload, alone, and as the first item of an array."""
    check_harmless(ext(number, payload))
    check_harmless(bytes([0x91 + len(items)]) + ext(number, payload) + b"".join(items))
    check_harmless(bytes([0x91 + len(items)]) + ext(number) + b"".join(items))


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_value_cut_or_continued_is_refused(value: Any) -> None:
    """The bytes are one value and nothing else: at each cut, and with anything behind."""
    data = codec.dumps(value)

    for end in range(min(len(data), 300)):
        reason(data[:end])
    for more in (b"\x00", b"\xc0", b"\xc1", b"\xc4\x10" + bytes(16), ext(16), data):
        reason(data + more)


@pytest.mark.parametrize(
    "header", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9", b"\x92\xc7\x00\x11\xdd"], ids=bytes.hex
)
@pytest.mark.parametrize("length", [2**32 - 1, 2**31 - 1, 2**24])
def test_an_announced_length_takes_no_memory(header: bytes, length: int) -> None:
    """Memory follows the bytes that are there, not those that a header promises."""
    data = header + length.to_bytes(4, "big") + b"\x01" * 100

    tracemalloc.start()
    try:
        reason(data)
        reason(data * 200)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


@pytest.mark.parametrize(
    "opening",
    [b"\x91", b"\x81\xa1a", b"\x93\x01\xa0", b"\x92\xd4\x08a", b"\x92\xc7\x00\x10",
     b"\x92\xc7\x00\x12", b"\x93\xc7\x00\x13\x01"],
    ids=bytes.hex,
)  # fmt: skip
def test_deep_nesting_is_refused(opening: bytes) -> None:
    """What could not have been written is not read: the application could not even print it."""
    codec.loads(opening * 64 + b"\x01")

    for levels in (65, 200, 1000):
        assert "64 levels" in reason(opening * levels + b"\x01")
    for levels in (1022, 100_000):
        assert reason(opening * levels + b"\x01")


def test_an_unknown_extension_says_where_it_may_come_from() -> None:
    """After a downgrade the message tells the operator what has happened."""
    assert "newer version" in reason(ext(21, b"x"))
    assert "newer version" in reason(b"\x92\x01" + ext(-1, b"x" * 8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x93" + ext(17) + b"\x01\x01", "equal items"),
        (b"\x93" + ext(18) + b"\x01\xc3", "equal items"),
        (b"\x92" + ext(17) + b"\x90", "cannot be one"),
        (b"\x92" + ext(18) + b"\x80", "cannot be one"),
        (b"\x92" + ext(17) + b"\x91" + ext(17), "cannot be one"),
        (b"\x92" + ext(17) + ext(2, b"sNaN"), "cannot be one"),
        (b"\x93" + ext(19) + b"\x90\x01", "cannot be one"),
        (b"\x92" + ext(19) + b"\x01", "shorter"),
        (b"\x95" + ext(19) + b"\x01\x01\xc3\x01", "equal keys"),
        (ext(16), "unknown"),
        (b"\x92\x01" + ext(16), "unknown"),
        (b"\x81\xa1a" + ext(17), "unknown"),
        (b"\x91" + ext(16, b"x"), "unknown"),
    ],
)
def test_containers_that_cannot_be_are_refused(data: bytes, message: str) -> None:
    """A set without order has no equal items; a mark stands first in its array, or nowhere."""
    assert message in reason(data)


DAY = b"\x07\xe8\x01\x01"
CLOCK = bytes(8)


@pytest.mark.parametrize(
    ("number", "payload"),
    [
        (2, b""), (2, b"1,5"), (2, "١٢".encode()), (2, b"1E+9999999999999999999"), (2, b"s3cret"),
        (3, b""), (3, bytes(12)), (3, DAY + CLOCK[1:] + b"\x02"), (3, DAY + CLOCK + b"X"),
        (3, DAY + CLOCK + b"UU"), (3, DAY + CLOCK + b"O"), (3, DAY + CLOCK + b"N"),
        (3, DAY + CLOCK + b"O" + b"\x7f" * 8), (3, DAY + CLOCK + b"N" + bytes(8) + b"\xff"),
        (4, b""), (4, b"\x07\xe8\x02\x1e"), (4, DAY + b"\x00"),
        (5, b""), (5, b"\x18" + bytes(8)), (6, b""), (6, b"\x7f" + b"\xff" * 11),
        (7, b""), (7, bytes(15)), (7, bytes(17)), (8, b"\xff"), (8, b"\xed\xa0\x80"),
    ],
)  # fmt: skip
def test_a_damaged_payload_is_named_by_its_type_only(number: int, payload: bytes) -> None:
    """The message goes to logs, so what was in the payload stays out of it."""
    message = reason(ext(number, payload))

    assert message.endswith("is damaged")
    assert "s3cret" not in message


@pytest.fixture(scope="module")
def audited() -> list[tuple[str, Any]]:
    """What this thread opens and imports. A hook of ``sys.audit`` cannot be removed."""
    events: list[tuple[str, Any]] = []
    this_thread = threading.get_ident()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        ours = event in ("open", "import", "exec", "compile")
        if ours and threading.get_ident() == this_thread:
            events.append((event, arguments[0]))

    sys.addaudithook(note)
    return events


@pytest.mark.parametrize(
    "key",
    ["../../../etc/passwd", "/etc/passwd", "Europe", "Europe/S3cret", "", ".", "a\0b", "x" * 5000,
     "os.path", "antigravity/x", "Europe/../../../../etc/passwd", "__init__.py", "Ä/b"],
)  # fmt: skip
def test_a_zone_key_reaches_nothing_but_time_zones(
    key: str, audited: list[tuple[str, Any]]
) -> None:
    """No other file is opened, and no other package imported, by a name from the store."""
    data = ext(3, DAY + CLOCK + b"Z" + key.encode())
    reason(ext(3, DAY + CLOCK + b"ZNowhere"))
    audited.clear()

    with pytest.raises(ValueError, match="damaged") as caught:
        codec.loads(data)

    names = [str(name) for event, name in audited if "/" in str(name) or event == "import"]
    assert all("zoneinfo" in name and ".." not in name for name in names), names
    assert "S3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "payload", [b"9" * 2**20, b"1E+999999999999999999", b"1E-999999999999999999"]
)
def test_long_numbers_take_no_long_time(payload: bytes) -> None:
    """Reading a number of a megabyte is linear, and as a key it is hashed as fast."""
    for data in (ext(1, payload), ext(2, payload)):
        start = time.thread_time()
        codec.loads(b"\x93" + ext(19) + data + b"\x01")
        assert time.thread_time() - start < 1  # 0.01 s


def many_alike(make: Callable[[int], Any], count: int) -> list[Any]:
    """Values of one hash: that of a number is taken modulo 2**61 - 1."""
    values = [make((2**61 - 1) * n) for n in range(1, count + 1)]
    assert len(set(map(hash, values))) == 1
    return values


KINDS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "Decimal": Decimal,
    "UUID": lambda n: UUID(int=n),
    "tuple": lambda n: ("a", n),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", [17, 18, 19])
def test_many_keys_of_one_hash_are_refused(kind: str, container: int) -> None:
    """Before a set or dict is made of them, which takes a minute for a megabyte: 80,000 ints."""
    values = many_alike(KINDS[kind], 129)

    def written(count: int) -> bytes:
        packed = [codec.dumps(value) + b"\xc0" * (container == 19) for value in values[:count]]
        length = count * (2 if container == 19 else 1) + 1
        return b"\xdd" + length.to_bytes(4, "big") + ext(container) + b"".join(packed)

    assert len(codec.loads(written(128))) == 128
    assert "same hash" in reason(written(129))


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_not_be_read_is_not_written(kind: str) -> None:
    """The same limit, with the place; there is none for keys that are not alike."""
    values = many_alike(KINDS[kind], 129)
    for few in (set(values[:128]), dict.fromkeys(values[:128]), {n: n for n in range(10_000)}):
        assert codec.loads(codec.dumps(few)) == few
    for many in (set(values), frozenset(values), dict.fromkeys(values)):
        with pytest.raises(UnsupportedValue, match="same hash") as caught:
            codec.dumps([many])
        assert caught.value.path == "[0]"


def test_a_megabyte_of_keys_that_are_almost_alike_takes_no_minute() -> None:
    """Groups of 128 are the worst that is read."""
    values = {(2**61 - 1) * n + group for group in range(600) for n in range(1, 129)}
    data = codec.dumps(values)
    assert 500_000 < len(data) < 1 << 20
    start = time.thread_time()
    assert codec.loads(data) == values
    assert time.thread_time() - start < 10  # 0.5 s


@pytest.mark.parametrize("value", [[[]] * 50_000, [{}] * 50_000, dict.fromkeys(range(20_000), 1)])
def test_memory_grows_no_faster_than_a_hundred_times_the_bytes(value: Any) -> None:
    """An empty list or dict, which is one byte, takes up to 72 in Python and 8 of its list."""
    data = codec.dumps(value)
    tracemalloc.start()
    try:
        codec.loads(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(bytes(data))


def test_other_formats_are_refused() -> None:
    """No other decoder is tried, least of all one that executes what it reads."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        reason(pickle.dumps({"a": Exploding()}, protocol))
    for data in (b'{"a": 1}', b"a: !!python/object:os.system", b"PK\x03\x04", b"\x1f\x8b\x08"):
        reason(data)


class Exploding:
    def __reduce__(self) -> Any:
        return pytest.fail, ("executed",)
