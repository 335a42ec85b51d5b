"""``python -m tests.security.fuzz_records``: hostile records, a million of them by default.

Each is refused as :exc:`BadRecord` or read, decoded and written again; in less than 50 ms, and in
no more memory than ten times its size and 64 KB, which is measured for each of more than 1 KB. Not
strictly ten times: an item of one byte is eight in a list of Python's, and an empty list or a dict
of one key up to a hundred for each byte; see ``tests/record/test_codec_hostile.py``. Records are
mutated good ones whose checksum is made right again, and random msgpack in the right shape, so
that all get past it.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from typing import Any
from zlib import crc32

import ormsgpack

from tests.record.test_golden import GOLDEN
from wsgi_sessions import MsgpackCodec
from wsgi_sessions.errors import BadRecord
from wsgi_sessions.record import ValueCodec, pack, stored_at, unpack

SEEDS = [bytes.fromhex(text) for name, text in GOLDEN.items() if name != "encrypted"]
SECONDS = 0.05
FACTOR, ALLOWANCE, SMALL = 10, 64 * 1024, 1024
CODEC = ValueCodec(MsgpackCodec())
_LENGTHS = (b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\x9f", b"\x8f", b"\xdc\xff\xff", b"\xc9")


def hostile(chance: random.Random) -> bytes:
    """One record, as who can write to the store can make it."""
    if chance.random() < 0.2:
        body = ormsgpack.packb(_shape(chance)) + chance.randbytes(chance.choice((0, 0, 600)))
    else:
        body = _mutated(chance, bytearray(chance.choice(SEEDS)[5:]))
    if chance.random() < 0.05:
        return chance.randbytes(1) + body
    return b"\x01" + _checksum(body) + body


def _checksum(body: bytes) -> bytes:
    """Of the whole body, or of what is a head if the large values are those of its last field."""
    size = 0
    try:
        fields = ormsgpack.unpackb(body)
        if type(fields) is list and len(fields) == 11 and type(fields[10]) is int:
            size = fields[10]
    except ValueError:
        pass
    return crc32(body[: max(0, len(body) - size)]).to_bytes(4, "big")


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
    anything = [None, True, -1, 0, 2**63, 1.5, float("nan"), "x", b"x", [], {}, [[b"h", 1.0]]]
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
        record = unpack(data)
    except BadRecord:
        return False
    for key in record.values:
        try:
            CODEC.loads(stored_at(record.values, key))
        except ValueError:
            continue
    pack(record)
    return True


def check_memory(data: bytes) -> None:
    """Raise ``AssertionError`` if *data* takes more than it may."""
    tracemalloc.start()
    try:
        check(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= FACTOR * len(data) + ALLOWANCE, (peak, data)


def run(count: int, seed: int, *, timed: bool) -> int:
    """Check *count* records, the memory of large ones and of one in a hundred of the others; how
    many of them were records."""
    chance, read = random.Random(seed), 0
    for number in range(count):
        data = hostile(chance)
        began = time.thread_time()
        read += check(data)
        if timed and time.thread_time() - began > SECONDS:
            began = time.thread_time()  # again, since memory may have been collected
            check(data)
            assert time.thread_time() - began <= SECONDS, data
        if len(data) > SMALL or number % 100 == 0:
            check_memory(data)
    return read


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = run(arguments.count, arguments.seed, timed=True)
    print(f"{arguments.count} records, {found} of them sound: no harm")
