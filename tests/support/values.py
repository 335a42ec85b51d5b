"""Values of every supported type, and what makes two of them the same."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from markupsafe import Markup

PARIS = ZoneInfo("Europe/Paris")

# One line a type, with its edges.
EXAMPLES: list[Any] = [
    None, True, False,
    0, 1, -1, 2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, -(2**64), 255 << 64, 10**5000,
    0.0, -0.0, 1.5, 5e-324, float("inf"), float("-inf"), float("nan"),
    "", "a", "Ä€😀\x00", "é" * 1000, b"", b"\x00\xff", b"\xc1" * 1000,
    [], [[]], {}, {"": {}}, (), ((),), set(), frozenset(), frozenset({frozenset()}),
    [1, "a", [None, {"b": 1.5}]], [1, (2, {3, "b", b"c"})], (frozenset({(1,), (2,)}), []),
    {"z": 1, "a": 2, "m": 3}, {3: 1, 1: 2, 2: 3}, {"a": 1, 1: "a"},
    {None: 0, False: 1, 1: 2, 2.5: 3}, {-0.0: 0},
    {(1, ("a", frozenset({2}))): 1, b"k": 2, Markup("k"): 3, Decimal("0.1"): 4, 2**70: 5},
    {"tuple": 1, "16": 2}, {16: b"", "ext": 16}, [16, b""], ["\x10"],
    {"__type__": "tuple", "v": [1]}, [[16, b""], 1],
    Decimal(0), Decimal("-0"), Decimal("1.00"), Decimal("-0E+5"), Decimal("1E+999999999999999999"),
    Decimal("NaN"), Decimal("-NaN12"), Decimal("sNaN3"), Decimal("Infinity"), Decimal("-Infinity"),
    datetime.min, datetime.max, datetime(2024, 2, 29, 1, 2, 3, 4, fold=1),
    datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 10, 27, 2, 30, tzinfo=PARIS, fold=1),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, microseconds=1))),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "")),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "UTC")),
    datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
    date.min, date.max, time.min, time.max, time(2, 30, fold=1, tzinfo=PARIS), time(1, tzinfo=UTC),
    timedelta.min, timedelta.max, timedelta(-1, 2, 3), timedelta.resolution,
    UUID(int=0), UUID(int=2**128 - 1), Markup(""), Markup("<b>é</b>"),
]  # fmt: skip


def fingerprint(value: Any) -> Any:
    """Equal for two values exactly if nothing tells them apart, whatever their ``==`` says."""
    return type(value), _content(value)


def _content(value: Any) -> Any:
    kind = type(value)
    if kind in (list, tuple):
        return [fingerprint(item) for item in value]
    if kind is dict:
        return [(fingerprint(key), fingerprint(item)) for key, item in value.items()]
    if kind in (set, frozenset):
        return sorted((fingerprint(item) for item in value), key=repr)
    if kind is float:
        return struct.pack(">d", value)
    if kind is Decimal:
        return value.as_tuple()
    if kind in (datetime, time):
        return value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo)
    return hex(value) if kind is int else repr(value)


def _zone(zone: tzinfo | None) -> Any:
    return type(zone), zone if zone is None else (str(zone), zone is UTC, zone.utcoffset(None))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


_zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.timezones(),
    st.builds(timezone, st.timedeltas(timedelta(microseconds=-86399999999), timedelta(hours=23))),
    st.builds(timezone, st.timedeltas(timedelta(hours=-9), timedelta(hours=9)), st.text()),
)
_folds = st.sampled_from([0, 1])

# Drawing a nested value may take long on a busy machine, which says nothing about the library.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.builds(lambda when, fold: when.replace(fold=fold), st.datetimes(timezones=_zones), _folds),
    st.dates(),
    st.builds(lambda t, zone, fold: t.replace(tzinfo=zone, fold=fold), st.times(), _zones, _folds),
    st.timedeltas(),
    st.uuids(),
    st.text().map(Markup),
)

hashables: st.SearchStrategy[Hashable] = st.recursive(
    scalars.filter(_is_hashable),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=5,
)

values: st.SearchStrategy[Any] = st.recursive(
    scalars | hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(st.text(), inner, max_size=5),
        st.dictionaries(hashables, inner, max_size=5),
        st.sets(hashables, max_size=5),
    ),
    max_leaves=20,
)
