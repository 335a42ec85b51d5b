"""Stores over SQLAlchemy with a limit of time that does not follow from their ``Timeouts``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import wsgi_sessions.stores.sqlalchemy.store as store_module
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.sqlalchemy.limits import Limits, limits_of


@contextmanager
def other_limits(**limits: float) -> Iterator[None]:
    """Stores that are built here have these limits besides those of their timeouts."""

    def changed(timeouts: Timeouts) -> Limits:
        return limits_of(timeouts)._replace(**limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "limits_of", changed)
        yield
