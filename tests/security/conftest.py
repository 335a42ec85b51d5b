"""Fixtures of the attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.patience import be_patient
from tests.security.places import PLACES, Place


@pytest.fixture(scope="package", autouse=True)
def patient_stores() -> Iterator[None]:
    """How long a store waits is no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch, *PLACES)
        yield


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of store, new and empty, and somebody who can write to it."""
    return PLACES[request.param](request)
