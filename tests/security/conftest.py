"""Fixtures of the attacks."""

from __future__ import annotations

import pytest

from tests.security.raw_access import PLACES, RawAccess


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> RawAccess:
    """Each kind of store, new and empty, and somebody who can write to it."""
    return PLACES[request.param](request)
