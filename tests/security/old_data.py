"""Mutated old data: pickles and msgpack of plain values with pieces changed, moved and doubled.

    python -m tests.security.old_data --runs 1000000

tries that many, and prints how many were read and how long the slowest took.
"""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import pickletools
import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import ormsgpack
from markupsafe import Markup

from wsgi_sessions import MsgpackCodec, UnsupportedValue
from wsgi_sessions.migration.msgpack import loads as unpack
from wsgi_sessions.migration.restricted_pickle import loads as unpickle

SESSION_TIME = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SESSION: dict[Any, Any] = {
    "_permanent": True, "_user_id": "7", "_fresh": False, "csrf_token": "0f" * 20, "n": -(2**70),
    "cart": [{"id": 1, "price": Decimal("1.10"), "when": SESSION_TIME}],
    "_flashes": [("message", Markup("<b>hi</b>"))], "id": uuid.UUID(int=7), "raw": b"\xff\0",
    "none": b"",
    "sets": [{1, 2}, frozenset("ab"), set()], "ordered": OrderedDict(a=1, b=[2.5]), (1, "k"): None,
    "times": (datetime(2026, 1, 2), date(2026, 1, 2), time_of_day(3, 4, tzinfo=UTC), timedelta(1)),
    "zones": [datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2), "X")),
              datetime(2026, 7, 2, tzinfo=ZoneInfo("Europe/Paris"))],
    5: {"deep": [[{"er": (1, (2, (3,)))}]]}, "text": "ä€\ud800",
}  # fmt: skip
"""What sessions of other libraries hold."""

PICKLES = [pickle.dumps(SESSION, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
PICKLES += [pickletools.optimize(data) for data in PICKLES]
MSGPACK = [
    ormsgpack.packb(
        {
            "a": [1, 2.5, None, b"x", "ä" * 40],
            7: {True: "b", (1, 2): []},
            "when": datetime.now(UTC),
        },
        option=ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_DATETIME_AS_TIMESTAMP_EXT,
    )
]
SLOW = {
    "tuples that double": b"\x80\x04)" + b"".join(b"\x94h%c\x86" % n for n in range(200)) + b".",
    "lists that double": b"\x80\x02]q\0"
    + b"".join(b"]q%c(h%ch%ce" % (n + 1, n, n) for n in range(200))
    + b".",
    "integers of one hash": pickle.dumps({n * (2**61 - 1) for n in range(3000)}),
    "keys of one hash": pickle.dumps({n * (2**61 - 1): 1 for n in range(3000)}),
    "many sets of one hash": pickle.dumps(
        [{float(n * (2**61 - 1)) for n in range(120)} for _ in range(100)]
    ),
    "a deep key": b"\x80\x02})" + b"\x85" * 9000 + b"Ns.",
    "a deep list": b"]" * 9000 + b"a" * 8999 + b".",
    "a wide key of many dicts": b"\x80\x02((" + b"N" * 3000 + b"tq\1" + b"}h\1Ns" * 2500 + b"l.",
    "numbers in digits": b"(" + (b"L" + b"9" * 4200 + b"L\n") * 60 + b"l.",
    "long numbers": b"(" + (b"\x8b\xff\xff\0\0" + b"\x7f" * 65535) * 10 + b"l.",
    "decimals whose hashes are long": pickle.dumps(
        {Decimal(f"1e{900_000 - n}") for n in range(1000)}
    ),
    "a decimal of many digits": b"cdecimal\nDecimal\n(X\xa0\xbb\x0d\0" + b"9" * 900_000 + b"tR.",
    "escapes": b"(" + (b"V" + b"\\u0061" * 1000 + b"\n") * 100 + b"l.",
    "strings of Python 2": b"(" + (b"S'" + b"\\x61" * 1000 + b"'\n") * 200 + b"l.",
    "zones": b"(" + b"czoneinfo\nZoneInfo\n(VEurope/Paris\ntR" * 1500 + b"l.",
    "frames": b"\x80\x04" + (b"\x95" + b"\0" * 8) * 14_000 + b"N.",
    "marks": b"(" * 14_000 + b"N.",
}
"""Pickles that take the longest way: by hand, each one kind."""
NAMES = [b"cmarkupsafe\nMarkup\n", b"cuuid\nUUID\n", b"cbuiltins\ngetattr\n",
         b"cdatetime\ndatetime\n", b"ccopyreg\n_reconstructor\n", b"czoneinfo\nZoneInfo\n",
         b"cbuiltins\nobject\n", b"cos\nsystem\n", b"cdecimal\nDecimal\n",
         b"ccollections\nOrderedDict\n", b"c_codecs\nencode\n", b"X\x06\x00\x00\x00escape", b"N}",
         b"s\x86b", b"\x85\x81", b")\x81}b", b"\x86R"]  # fmt: skip
OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
LISTED = (type(None), bool, int, float, str, bytes, list, dict, tuple, set, frozenset, datetime,
          date, time_of_day, timedelta, uuid.UUID, Decimal, Markup, timezone, ZoneInfo)  # fmt: skip

SECONDS = 0.05

codec = MsgpackCodec()
CLASSES = [Markup, uuid.UUID, Decimal, datetime, date, time_of_day, timedelta, timezone, tzinfo]
CLASSES += [ZoneInfo, OrderedDict, dict, set]
STATE = [dict(vars(kind)) for kind in CLASSES]


def mutated(seeds: list[bytes], pieces: list[bytes], dice: random.Random) -> Iterator[bytes]:
    """Without end: a seed with one to six changes."""
    while True:
        data = dice.choice(seeds)
        for _ in range(dice.choice((1, 1, 2, 3, 6))):
            at, length = dice.randrange(len(data) + 1), dice.choice((0, 0, 1, 1, 2, 9, 60))
            other = dice.choice(seeds)
            start = dice.randrange(len(other))
            piece = dice.choice(
                (
                    dice.choice(pieces),
                    dice.randbytes(dice.randrange(5)),
                    other[start : start + dice.randrange(60)],
                    data[at : at + 20] * dice.randrange(8),
                    b"\x85" * dice.randrange(200),
                )
            )
            data = data[:at] + piece + data[at + length :]
        yield data


def pickles(dice: random.Random) -> Iterator[bytes]:
    return mutated(PICKLES, OPCODES + NAMES, dice)


def slow_pickles(dice: random.Random) -> Iterator[bytes]:
    """Mutations of :data:`SLOW`."""
    return mutated(list(SLOW.values()), OPCODES + NAMES, dice)


def msgpacks(dice: random.Random) -> Iterator[bytes]:
    return mutated(MSGPACK, [bytes([byte]) for byte in range(0x80, 0xE0)], dice)


def check(loads: Callable[[bytes], Any], data: bytes) -> bool:
    """Whether *data* is read: as a value that our records can hold, or not at all."""
    try:
        value = loads(data)
    except ValueError:
        return False
    assert is_plain(value), type(value)
    with suppress(UnsupportedValue):
        codec.dumps(value)
    return True


def is_plain(value: Any) -> bool:
    """Whether it holds values of the listed types, and zones, exactly."""
    if isinstance(value, dict):
        return type(value) is dict and is_plain([*value, *value.values()])
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value) in LISTED and all(map(is_plain, value))
    return type(value) in LISTED


def check_nothing_is_changed() -> None:
    """No attribute of a class that a pickle can name was set."""
    assert [dict(vars(kind)) for kind in CLASSES] == STATE
    assert str(Markup("<p>%s</p>") % "<") == "<p>&lt;</p>"


def main(runs: int, seed: int) -> None:
    dice = random.Random(seed)
    for name, inputs, loads, count in (
        ("pickle", pickles(dice), unpickle, runs),
        ("slow pickle", slow_pickles(dice), unpickle, runs // 50),
        ("msgpack", msgpacks(dice), unpack, runs),
    ):
        read, slowest, worst = 0, 0.0, b""
        for number in range(count):
            data = next(inputs)
            start = time.thread_time()
            read += check(loads, data)
            taken = time.thread_time() - start
            if taken > SECONDS:
                start = time.thread_time()  # again, since memory may have been collected
                check(loads, data)
                taken = min(taken, time.thread_time() - start)
                assert taken <= SECONDS, (taken, data[:200])
            if taken > slowest:
                slowest, worst = taken, data
            if not number % 10_000:
                check_nothing_is_changed()
        check_nothing_is_changed()
        figures = {"runs": count, "read": read, "slowest_ms": round(slowest * 1000, 1)}
        print(name, json.dumps(figures), "slowest:", worst[:60].hex(), len(worst), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Try mutated pickles and msgpack.")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    main(arguments.runs, arguments.seed)
