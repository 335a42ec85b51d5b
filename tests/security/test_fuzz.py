"""A short run of what ``make fuzz`` does for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

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
