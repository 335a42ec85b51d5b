"""``python -m tests.security.fuzz_records``: hostile records, a million of them by default.

Each is refused as :exc:`BadRecord` or read, decoded and written again, with all that it says; in
less than 50 ms, and in no more memory than ten times its size and 128 KB, which is measured for
each. Not strictly ten times: an item of one byte is eight in a list of Python's, and an empty list
or a dict of one key up to a hundred for each byte; see ``tests/record/test_codec_hostile.py``.
Records are mutated good ones whose checksum is made right again, some of them encrypted, and random
msgpack in the right shape, so that all get past it.
"""

from __future__ import annotations

import argparse
import random
import struct
import time
import tracemalloc
from typing import Any
from zlib import crc32

import ormsgpack

from tests.record.test_golden import GOLDEN
from tests.security.msgpack_tree import Node, parse
from wsgi_sessions import MsgpackCodec
from wsgi_sessions.errors import BadRecord
from wsgi_sessions.record import (
    Record,
    RecordCipher,
    ValueCodec,
    pack,
    stored_at,
    unpack,
    unpack_body,
)
from wsgi_sessions.record.large_values import content

SEEDS = [bytes.fromhex(text) for name, text in GOLDEN.items() if name != "encrypted"]
SECONDS = 0.05
FACTOR, ALLOWANCE = 10, 128 * 1024  # an error 64 levels deep holds the frames of all: 80 KB
CODEC = ValueCodec(MsgpackCodec())
CIPHER, CONTEXT = RecordCipher([bytes(32)]), b"wsgi_sessions.record:" + b"A" * 22
_STORED = (type(None), bool, int, float, str, bytes)
_LENGTHS = (b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\x9f", b"\x8f", b"\xdc\xff\xff", b"\xc9")
_TIMES = [struct.pack(">d", time) for time in (float("nan"), float("inf"), -1.0, 1e300, 1e-320)]
_HOSTILE = [
    *(b"\xcb" + time for time in _TIMES),
    *(b"\xcf" + number.to_bytes(8, "big") for number in (2**63 - 1, 2**63, 2**64 - 1)),
    b"\xd3\x80" + bytes(7), b"\xca\x7f\xc0\x00\x00", b"\xc0", b"\xc1", b"\xc2", b"\x00", b"\xff",
    b"\xa3\xed\xa0\x80", b"\xa1\xff", b"\xa0", b"\xc4\x00", b"\xc4\x01\xc1", b"\x90", b"\x80",
    b"\x81\x00\x00", b"\x81\xc0\xc0", b"\x82\xa1v\x00\xa1v\xc4\x00", b"\x81\x90\x80",
    b"\xdc\x00\xff" + b"\x92\xc4\x00\xcb" + _TIMES[3] + b"\x90" * 254,
    *(b"\xdd\xff\xff\xff\xff\xc0", b"\xdf\xff\xff\xff\xff\xa0\xc0", b"\xc6\xff\xff\xff\xff"),
    *(opening * depth + b"\xc0" for opening in (b"\x91", b"\x81\xa0") for depth in (63, 65, 2000)),
    b"\x91\xc7\x00\x12" * 80 + b"\xc0",
    *(b"\x93\xc7\x00" + bytes([n]) + b"\x01\xc3" for n in range(16, 22)),
    b"\x93\xc7\x00\x12\x90\x80", b"\x92\xc7\x00\x13\xc0", b"\x94\xc7\x00\x13\x01\x01\xc3\x01",
]  # fmt: skip
"""Objects that stand in the place of any other: of each kind, most of them wrong there."""
_EXTENSIONS = [
    b"\xc7" + bytes([size, number]) + byte * size
    for number in range(22)
    for size in (0, 1, 4, 8, 9, 12, 16, 21)
    for byte in (b"x", b"\x7f", b"\xff", b"\0")
]


def hostile(chance: random.Random) -> bytes:
    """One record, as who can write to the store can make it."""
    kind = chance.random()
    if kind < 0.15:
        body = ormsgpack.packb(_shape(chance)) + chance.randbytes(chance.choice((0, 0, 600)))
    elif kind < 0.4:
        body = _mutated(chance, bytearray(chance.choice(SEEDS)[5:]))
    else:
        body = _grafted(chance, chance.choice(SEEDS)[5:])
    kind = chance.random()
    if kind < 0.05:
        return chance.randbytes(1) + body
    if kind < 0.15:
        return _encrypted(chance, body)
    return b"\x01" + _checksum(body) + body


def _checksum(body: bytes) -> bytes:
    """Of what is a head if the large values are those of its last field."""
    size = 0
    try:
        sizes = ormsgpack.unpackb(body)[10][0]
        size = sum(struct.unpack(f">{len(sizes) // 4}I", sizes))
    except (ValueError, TypeError, LookupError, struct.error):
        pass
    return crc32(body[: max(0, len(body) - size)]).to_bytes(4, "big")


def _encrypted(chance: random.Random, body: bytes) -> bytes:
    """Soundly, or with one byte changed, of the key's name among others; or cut off."""
    data = bytearray(CIPHER.encrypt(body, CONTEXT))
    if chance.random() < 0.1:
        data[chance.choice((chance.randrange(len(data)), chance.randrange(5)))] ^= 1
    elif chance.random() < 0.1:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def _grafted(chance: random.Random, body: bytes) -> bytes:
    """The structure changed: other objects in the place of some, or twice, or gone, or with a
    wrong length; within the bytes of the codec too, whose length is right again."""
    head, end = parse(body)
    for _ in range(chance.choice((1, 1, 2, 4))):
        nodes = [node for node in head.walk() if node.items]
        node = chance.choice(nodes or [head])
        if not node.items:
            continue
        at = chance.randrange(len(node.items))
        match chance.randrange(7):
            case 0:
                node.excess = chance.choice((-1, 1, 2, 99, 1 << 31))
            case 1:
                first = at & -2
                node.items[first:first] = node.items[first : first + 2]
            case 2:
                del node.items[at]
            case 3:
                node.items[at] = Node(kind=chance.choice((0xDD, 0xDF, 0xC6)), items=node.items[:])
            case _:
                node.items[at] = Node(chance.choice(chance.choice((_HOSTILE, _EXTENSIONS))))
    return bytes(head) + body[end:]


def _mutated(chance: random.Random, body: bytearray) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(5):
            case 0 if at < len(body):
                body[at] = chance.randrange(256)
            case 1:
                body[at:at] = chance.choice(_LENGTHS) + b"\xff" * chance.randrange(5)
            case 2:
                del body[at : at + chance.randrange(9)]
            case 3:
                body[at:at] = chance.choice((b"\x91", b"\x81\xa0", b"\x90")) * chance.randrange(99)
            case _:
                other = chance.choice(SEEDS)
                start = chance.randrange(len(other))
                body[at:at] = other[start : start + chance.randrange(99)]
        if not body:
            body += b"\xc0"
    return bytes(body)


def _shape(chance: random.Random) -> list[Any]:
    anything: list[Any] = [
        None,
        True,
        -1,
        0,
        2**63,
        1.5,
        float("nan"),
        "x",
        b"x",
        [],
        {},
        [[b"h", 1.0]],
    ]
    fields: list[Any] = [b"h" * 32, 1.5, 2.5, None, 0, 60.0, None, None, [], {}, None]
    fields[9] = {
        str(n): chance.choice([*anything, [1, 2], [600, 0], CODEC.dumps((1, {2}))])
        for n in range(chance.randrange(5))
    }
    if chance.randrange(2):
        for name in chance.sample(sorted(fields[9]), chance.randrange(len(fields[9]) + 1)):
            fields[9][name] = b""
        numbers = [0, 1, 600, 2**31]
        fields[10] = [
            b"".join(chance.choice(numbers).to_bytes(4, "big") for _ in range(chance.randrange(4)))
            for _ in range(chance.choice([2, 2, 2, 1, 3]))
        ]
    for _ in range(chance.randrange(3)):
        fields[chance.randrange(11)] = chance.choice(anything)
    return fields


def check(data: bytes) -> bool:
    """Whether *data* is a record; raises what a reader must not raise."""
    try:
        record = _read(data)
    except BadRecord:
        return False
    if record is None:  # for those who have its key
        return False
    for key, value in record.values.items():
        assert type(value) in _STORED, data
        try:
            CODEC.loads(stored_at(record.values, key))
        except ValueError:
            continue
    written = unpack(pack(record))
    assert _said(written) == _said(record), data
    return True


def _read(data: bytes) -> Record | None:
    if data[:1] != b"\x81":
        return unpack(data)
    body = CIPHER.decrypt(data, CONTEXT)
    return None if body is None else unpack_body(body)


def _said(record: Record) -> list[object]:
    """All that *record* says: unknown flags and damaged values as they are."""
    values = {key: content(record.values, key) for key in record.values}
    return [getattr(record, name) for name in Record.__slots__ if name != "values"] + [values]


def check_bounds(data: bytes, *, timed: bool) -> bool:
    """The same; raises ``AssertionError`` if *data* takes more time or memory than it may. Memory
    must be traced already."""
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.thread_time()
    read = check(data)
    took, peak = time.thread_time() - began, tracemalloc.get_traced_memory()[1] - before
    assert peak <= FACTOR * len(data) + ALLOWANCE, (peak, data)
    if timed and took > SECONDS:
        began = time.thread_time()  # again, since memory may have been collected
        check(data)
        assert time.thread_time() - began <= SECONDS, data
    return read


def run(count: int, seed: int, *, timed: bool) -> int:
    """Check *count* records; how many of them were records."""
    chance, read = random.Random(seed), 0
    tracemalloc.start()
    try:
        for _ in range(count):
            read += check_bounds(hostile(chance), timed=timed)
    finally:
        tracemalloc.stop()
    return read


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = run(arguments.count, arguments.seed, timed=True)
    print(f"{arguments.count} records, {found} of them sound: no harm")
