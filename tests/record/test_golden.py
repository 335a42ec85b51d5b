"""Records of format 1 as they were when it was made: they are read forever, and written the same.

``golden/format-1.txt`` has one a line: its name, and the record in hexadecimal. A line is added for
a new type; none is ever changed.
"""

from __future__ import annotations

import re
from dataclasses import astuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from wsgi_sessions import MsgpackCodec
from wsgi_sessions.record import RecordCipher
from wsgi_sessions.record.large_values import stored_at
from wsgi_sessions.record.record import (
    OWN_LIFETIME,
    PERMANENT,
    Record,
    pack,
    unpack,
    unpack_body,
)
from wsgi_sessions.record.stored_value import ValueCodec

VALUES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "none": {"v": None},
    "bool": {"v": True, "w": False},
    "int": {"v": 0, "w": -(2**63), "x": 2**63 - 1, "y": 127, "z": -32},
    "large int": {"v": 2**63, "w": -(2**200)},
    "float": {"v": 0.5, "w": -0.0, "x": float("inf"), "y": float("nan")},
    "str": {"v": "", "w": "text", "x": "\u00fc\u4f60\U0001f600", "ключ": "é" * 511},
    "large str": {"v": "x" * 512, "w": 1, "x": "ü" * 2000},
    "bytes": {"v": b"", "w": b"\x00\xff", "x": bytes(600)},
    "list": {"v": [], "w": [1, [2.5, "x", None, True]], "x": [1] * 1000},
    "dict": {"v": {}, "w": {"a": {"b": [1]}}, "x": {1: "int", (1, 2): "tuple", None: 0}},
    "tuple": {"v": (), "w": (1, ("x", [2]))},
    "set": {"v": set(), "w": {1, "x", (2,)}},
    "frozenset": {"v": frozenset(), "w": frozenset({1, 2, 3})},
    "Decimal": {"v": Decimal("1.10"), "w": Decimal("-1E+30")},
    "datetime": {
        "v": datetime(2026, 2, 3, 4, 5, 6, 789012),
        "w": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        "x": datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        "y": datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Zurich"), fold=1),
        "z": datetime(2026, 2, 3, tzinfo=timezone(timedelta(hours=1), "Mine")),
    },
    "date": {"v": date(1, 1, 1), "w": date(2026, 12, 31)},
    "time": {"v": time(1, 2, 3, 4), "w": time(1, tzinfo=UTC, fold=1)},
    "timedelta": {"v": timedelta(-1, 2, 3), "w": timedelta(999_999_999)},
    "UUID": {"v": UUID(int=1), "w": UUID(int=2**128 - 1)},
    "Markup": {"v": Markup("<b>x</b>")},
}
HASH = bytes(range(32))
PLAIN = Record(HASH, 1_700_000_000.5, 1_700_000_060.25, None, 0, 86_400.0, None, None, (), {})
HEADS = {
    "owner": PLAIN.replace(owner="42", device="Firefox on Linux"),
    "flags": PLAIN.replace(flags=PERMANENT | OWN_LIFETIME | 64, idle=900.0, ends_at=1.8e9),
    "superseded": PLAIN.replace(superseded=[[HASH[::-1], 1_700_000_050.0]]),
}
RECORDS = {
    **{name: PLAIN.replace(values=values) for name, values in VALUES.items()},
    **{name: one.replace(values={"v": 1}) for name, one in HEADS.items()},
}
CODEC = ValueCodec(MsgpackCodec())
DIRECTORY = Path(__file__).parent / "golden"
GOLDEN = dict(
    line.rsplit(" ", 1) for line in (DIRECTORY / "format-1.txt").read_text("utf-8").splitlines()
)
DOCUMENT = Path(__file__).parents[2] / "docs" / "format.md"


def packed(record: Record) -> bytes:
    """As a request writes it."""
    encoded = {key: CODEC.dumps(value) for key, value in record.values.items()}
    return pack(record.replace(values=encoded))


def head(record: Record) -> list[object]:
    """Its fields, with their types, but for what is replaced and the values."""
    return [(type(field), field) for field in astuple(record)[:8]]


def decoded(record: Record) -> Record:
    values = record.values
    return record.replace(values={key: CODEC.loads(stored_at(values, key)) for key in values})


@pytest.mark.parametrize("name", RECORDS)
def test_a_golden_record_is_read_as_it_was_meant(name: str) -> None:
    """Each value with its type, in the order of the keys; each field of the head."""
    record, expected = decoded(unpack(bytes.fromhex(GOLDEN[name]))), RECORDS[name]
    if name in ("set", "frozenset"):  # which have no order of their own
        assert record.values == expected.values
    else:
        assert repr([*record.values.items()]) == repr([*expected.values.items()])
    assert head(record) == head(expected)
    assert [*record.superseded] == [*expected.superseded]


@pytest.mark.parametrize("name", RECORDS)
def test_a_golden_record_is_written_as_it_was(name: str) -> None:
    """Byte for byte, in every process and release."""
    assert packed(RECORDS[name]).hex() == GOLDEN[name]
    again = unpack(bytes.fromhex(GOLDEN[name]))
    assert pack(again).hex() == GOLDEN[name]


def test_every_golden_record_is_tested() -> None:
    """None is forgotten."""
    assert set(GOLDEN) == {*RECORDS, "encrypted"}


def test_the_golden_encrypted_record_is_read() -> None:
    """Of the session that the docs' id names, with the key of 32 zeros."""
    data, context = bytes.fromhex(GOLDEN["encrypted"]), b"wsgi_sessions.record:" + b"A" * 22
    body = RecordCipher([bytes(32)]).decrypt(data, context)
    assert body is not None
    assert decoded(unpack_body(body)) == PLAIN.replace(superseded=[], values={"v": [1]})


# The documentation


def example() -> Record:
    """What the worked example of ``docs/format.md`` is a record of."""
    return Record(
        HASH, 1_700_000_000.0, 1_700_000_060.0, 1_707_776_000.0, PERMANENT, 2_678_400.0, "42",
        "Firefox on Linux", (), {"n": 7, "cart": [1, 2], "text": "x" * 600},
    )  # fmt: skip


def test_the_worked_example_of_the_documentation_is_a_record() -> None:
    """Its bytes, read off the page, are what this library writes."""
    block = re.search(r"```text\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert block is not None
    data = b""
    for line in block[1].splitlines():
        shown, _, note = line.partition("  ")
        repeated = re.search(r"\(×(\d+)\)", note)
        data += bytes.fromhex(shown) * (int(repeated[1]) if repeated else 1)
    assert data == packed(example())
    assert head(unpack(data)) == head(example())
