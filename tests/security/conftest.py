"""Fixtures of the attacks."""

from __future__ import annotations

import pytest

from tests.security.places import PLACES, Place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of store, new and empty, and somebody who can write to it."""
    return PLACES[request.param](request)
