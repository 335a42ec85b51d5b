"""Fixtures of the attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.raw_access import PLACES, RawAccess
from tests.support.patience import be_patient


@pytest.fixture(scope="package", autouse=True)
def patient_stores() -> Iterator[None]:
    """How long a store waits is no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch, *PLACES)
        yield


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> RawAccess:
    """Each kind of store, new and empty, and somebody who can write to it."""
    return PLACES[request.param](request)
