"""Fixtures of the tests of the Django integration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.django.project  # noqa: F401  # first: it configures Django
from tests.support.recording import RecordingOwners, RecordingStore
from tests.support.visitor import warm
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.testing import ManualClock

from django.contrib.auth.models import User  # isort: skip
from django.test import Client, override_settings  # isort: skip


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
