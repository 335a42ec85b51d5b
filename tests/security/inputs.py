"""Inputs for what is fuzzed: anything, and what is almost right."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.security.targets import SEEDS


def inputs(check: Callable[[bytes], None]) -> st.SearchStrategy[bytes]:
    """Random bytes, and a good input with pieces replaced, inserted or taken out."""
    return st.binary(max_size=400) | _changed(SEEDS[check])


def _changed(seed: bytes) -> st.SearchStrategy[bytes]:
    places = st.integers(0, len(seed))
    change = st.tuples(places, st.integers(0, 8), st.binary(max_size=8))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        data = seed
        for at, length, piece in changes:
            data = data[:at] + piece + data[at + length :]
        return data

    return st.lists(change, min_size=1, max_size=4).map(apply)
