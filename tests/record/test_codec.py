"""The codec: what is put in comes out the same, as the same bytes everywhere, or is refused."""

from __future__ import annotations

import decimal
import itertools
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from markupsafe import Markup

from tests.support.calls import profile
from tests.support.processes import outputs_of_processes
from tests.support.values import EXAMPLES, PARIS, fingerprint, unhurried, values
from wsgi_sessions.record.codec import IMMUTABLE, Codec, MsgpackCodec

codec: Codec = MsgpackCodec()


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_supported_value_comes_back_with_its_type(value: Any) -> None:
    """Value, type, order, zone, fold and sign survive, alone and inside of others."""
    for whole in (value, [value], {"a": [value]}, (value, {1: value})):
        data = codec.dumps(whole)

        assert fingerprint(codec.loads(data)) == fingerprint(whole)
        assert codec.dumps(codec.loads(data)) == data


@unhurried
@given(values)
def test_any_supported_value_comes_back_with_its_type(value: Any) -> None:
    """The same for whatever can be built of the supported types."""
    data = codec.dumps(value)

    assert fingerprint(codec.loads(data)) == fingerprint(value)
    assert codec.dumps(codec.loads(data)) == data


WIRE_FORMAT: list[tuple[Any, str]] = [
    ([None, True, {"a": 1.5}], "93 c0 c3 81 a1 61 cb 3ff8000000000000"),
    (2**64, "c7 09 01 010000000000000000"),
    (-(2**63) - 1, "c7 09 01 ff7fffffffffffffff"),
    (Decimal("-1.50E+7"), "d7 02" + b"-1.50E+7".hex()),
    (datetime(2024, 2, 29, 1, 2, 3, 4, fold=1), "c7 0c 03 07e8021d010203 00000004 01"),
    (datetime(2024, 1, 1, tzinfo=UTC), "c7 0d 03 07e80101000000 00000000 00 55"),
    (datetime(2024, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")),
     "c7 17 03 07e80101000000 00000000 00 5a" + b"Asia/Tokyo".hex()),
    (time(1, tzinfo=timezone(timedelta(hours=1))),
     "c7 11 05 010000 00000000 00 4f 00000000d693a400"),
    (time(1, tzinfo=timezone(timedelta(hours=-1), "X")),
     "c7 12 05 010000 00000000 00 4e ffffffff296c5c00 58"),
    (date(2024, 2, 29), "d6 04 07e8021d"),
    (timedelta(-1, 2, 3), "c7 0c 06 ffffffff 00000002 00000003"),
    (UUID(int=1), "d8 07 00000000000000000000000000000001"),
    (Markup("é"), "d5 08 c3a9"),
    ((1, 2**64 - 1), "93 c70010 01 cfffffffffffffffff"),
    ({"a": ()}, "81 a161 91 c70010"),
    ({2, 1}, "93 c70011 01 02"),
    (frozenset({"b"}), "92 c70012 a162"),
    ({1: None, "a": True}, "95 c70013 01 c0 a161 c3"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "data"), WIRE_FORMAT, ids=lambda part: type(part).__name__)
def test_the_wire_format_is_fixed(value: Any, data: str) -> None:
    """Records outlive the version that wrote them: these bytes may never change."""
    assert codec.dumps(value) == bytes.fromhex(data)
    assert fingerprint(codec.loads(bytes.fromhex(data))) == fingerprint(value)


def test_every_process_makes_the_same_bytes() -> None:
    """Sets are ordered by their bytes, not by hashes that differ from process to process."""
    program = (
        "from wsgi_sessions.record.codec import MsgpackCodec;"
        "words = {f'w{i}' for i in range(50)};"
        "keys = {(word, None, b'x') for word in words};"
        "value = [words, {frozenset(words): keys}, {1, 'a', 2.5, None}];"
        "print(MsgpackCodec().dumps(value).hex())"
    )
    outputs = outputs_of_processes(program)

    assert len(outputs) == 1


def test_the_bytes_do_not_depend_on_the_decimal_context() -> None:
    """``capitals`` and precision of the application's context do not reach the bytes."""
    value = Decimal("1.23456789E+50")
    data = codec.dumps(value)

    with decimal.localcontext(decimal.Context(prec=1, capitals=0)):
        assert codec.dumps(value) == data
        assert fingerprint(codec.loads(data)) == fingerprint(value)


def test_a_zone_is_kept_by_its_key_also_if_it_was_loaded_twice() -> None:
    """``ZoneInfo.no_cache`` makes another object with the same rules."""
    when = datetime(2024, 7, 1, tzinfo=ZoneInfo.no_cache("Europe/Paris"))

    assert codec.loads(codec.dumps(when)).tzinfo is PARIS


@pytest.mark.parametrize("items", [50, 10_000])
def test_plain_values_take_no_python_per_item(items: int) -> None:
    """What MessagePack has costs the same few calls of Python functions at any size."""
    value = [{"id": n, "tags": ["a", None, True], "price": 1.5, "raw": b"x"} for n in range(items)]
    calls: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_globals["__name__"].startswith("wsgi_sessions"):
            calls.append(frame.f_code.co_name)

    profile(lambda: codec.loads(codec.dumps(value)), note)

    look = "_has_plain_types"
    assert calls == ["dumps", "_is_plain", look, "loads", "_may_be_deep", look]


def test_what_is_called_immutable_is() -> None:
    """Only such types, so that a session need not look at them again; a tuple may hold a list."""
    assert {type(example) for example in EXAMPLES} - {list, dict, set, tuple} == IMMUTABLE


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (list, lambda value: value.append((9,))),
        (list, lambda value: value.clear()),
        (set, lambda value: value.add((9,))),
        (set, lambda value: value.pop()),
        (dict.fromkeys, lambda value: value.update({(9,): 9})),
        (dict.fromkeys, lambda value: value.clear()),
    ],
)
def test_a_value_that_another_thread_changes_is_as_before_or_as_after(
    make: Callable[[Any], Any], change: Callable[[Any], object]
) -> None:
    """Whenever the other thread gets its turn: at each call of a function in turn."""
    before = make([(1,), (2,), (3,)])
    after = make(before)
    change(after)

    for its_turn in range(60):
        value = make(before)
        turns = itertools.count()

        def other_thread(*_: object) -> None:
            if next(turns) == its_turn:  # noqa: B023 - used within the same round
                change(value)  # noqa: B023

        sys.setprofile(other_thread)
        try:
            data = codec.dumps(value)
        finally:
            sys.setprofile(None)

        assert codec.loads(data) in (before, after)
