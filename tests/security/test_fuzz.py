"""A short run of what ``make fuzz`` does for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from tests.security.fuzz_records import run
from tests.security.inputs import inputs
from tests.security.targets import (
    COOKIE,
    RECORD,
    SEALED,
    SEEDS,
    TARGETS,
    app,
    first,
    put,
    sealed_app,
)
from tests.security.wsgi_client import ask


@pytest.mark.parametrize("check", TARGETS, ids=lambda check: check.__name__)
def test_no_input_does_harm(check: Callable[[bytes], None]) -> None:
    """Headers, encrypted cookies, records, what is in records, and values."""

    @settings(max_examples=400)
    @given(inputs(check))
    def run(data: bytes) -> None:
        check(data)

    run()


@pytest.mark.parametrize("check", TARGETS, ids=lambda check: check.__name__)
def test_the_good_inputs_are_good(check: Callable[[bytes], None]) -> None:
    """Or the changed ones would all be refused for the wrong reason."""
    check(SEEDS[check])
    put(RECORD)
    assert first.body.startswith(b"ann ['a', ('tuple', 1.5)]")
    assert ask(app, f"sid={COOKIE}").body == ask(sealed_app, f"sid={SEALED}").body == first.body


def test_a_hostile_record_is_refused_or_read_and_does_no_harm() -> None:
    """Two thousand of the million that ``python -m tests.security.fuzz_records`` tries."""
    assert 100 < run(2_000, seed=1, timed=False) < 1_900
