"""A short run of what ``python -m tests.security.old_data`` does a million times."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from tests.security.old_data import (
    MSGPACK,
    PICKLES,
    SESSION,
    SLOW,
    check,
    check_nothing_is_changed,
    msgpacks,
    pickles,
    slow_pickles,
    unpack,
    unpickle,
)


@pytest.mark.parametrize("data", PICKLES, ids=range(len(PICKLES)))
def test_the_pickles_that_are_changed_are_read_themselves(data: bytes) -> None:
    """Of every protocol, with and without unused places of the memo, with all types."""
    read = unpickle(data)

    assert read == SESSION
    for key, value in SESSION.items():
        assert type(read[key]) is (dict if type(value) is OrderedDict else type(value)), key


def test_the_msgpack_that_is_changed_is_read_itself() -> None:
    """Keys that are arrays become tuples."""
    assert list(map(type, unpack(MSGPACK[0])[7])) == [bool, tuple]


@pytest.mark.parametrize("kind", SLOW)
def test_a_pickle_that_takes_the_longest_way_is_read_or_refused(kind: str) -> None:
    """With no more opcodes than may be done; how long it takes is measured by ``old_data``."""
    check(unpickle, SLOW[kind])

    check_nothing_is_changed()


def test_mutations_of_those_are_plain_values_or_refused() -> None:
    """Some of them are read."""
    read = sum(check(unpickle, data) for data in islice(slow_pickles(random.Random(1)), 200))

    assert 0 < read < 200


@pytest.mark.parametrize(("inputs", "loads"), [(pickles, unpickle), (msgpacks, unpack)])
def test_mutated_old_data_is_plain_values_or_refused(
    inputs: Callable[[random.Random], Iterator[bytes]], loads: Callable[[bytes], Any]
) -> None:
    """No other exception, no crash, no attribute set. Some of them are read."""
    read = sum(check(loads, data) for data in islice(inputs(random.Random(1)), 4000))

    assert 0 < read < 4000
    check_nothing_is_changed()
