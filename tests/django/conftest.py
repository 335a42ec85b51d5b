"""Fixtures of the tests of the Django integration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tests.django.project  # noqa: F401  # first: it configures Django
from tests.support.recording import RecordingStore
from tests.support.visitor import warm
from wsgi_sessions import MemoryStore, SessionManager, Store
from wsgi_sessions.stores import OwnerIndex
from wsgi_sessions.testing import ManualClock

from django.contrib.auth.models import User  # isort: skip
from django.test import Client, override_settings  # isort: skip


class RecordingOwners(RecordingStore):
    """With the index of owners, whose calls are noted too."""

    inner: Store

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        self._note("link")
        assert isinstance(self.inner, OwnerIndex)
        self.inner.link(owner, key, expires_at=expires_at)

    def unlink(self, owner: str, key: str) -> None:
        self._note("unlink")
        assert isinstance(self.inner, OwnerIndex)
        self.inner.unlink(owner, key)

    def keys_of(self, owner: str) -> Any:
        self._note("keys_of")
        assert isinstance(self.inner, OwnerIndex)
        return self.inner.keys_of(owner)


@pytest.fixture
def store(clock: ManualClock) -> RecordingStore:
    return RecordingOwners(MemoryStore(clock=clock))


@pytest.fixture(autouse=True)
def configured(store: RecordingStore, clock: ManualClock) -> Iterator[None]:
    """The project over *store*, at the time of *clock*."""
    with override_settings(WSGI_SESSIONS_STORE=store, WSGI_SESSIONS={"clock": clock}):
        yield


@pytest.fixture
def manager(configured: None, store: RecordingStore) -> SessionManager:
    from wsgi_sessions.django import session_manager

    manager = warm(session_manager())
    store.pop_calls()
    return manager


@pytest.fixture
def client(manager: SessionManager) -> Client:
    return Client()


@pytest.fixture
def user() -> Iterator[User]:
    user = User.objects.create_user("ann", "ann@example.org", "secret")
    yield user
    user.delete()


@pytest.fixture
def other_user() -> Iterator[User]:
    user = User.objects.create_user("bob", "bob@example.org", "secret")
    yield user
    user.delete()
