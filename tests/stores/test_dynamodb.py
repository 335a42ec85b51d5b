"""DynamoDBStore on a stand-in for the server: the contract, and what is its own."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.servers.dynamodb import REGION, DynamoDBServer, dynamodb_server  # noqa: F401
from tests.support.patience import PATIENT
from wsgi_sessions import DynamoDBStore, open_store
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.testing import ManualClock, StoreContract
from wsgi_sessions.testing.contract import new_key


@pytest.fixture
def table() -> str:
    """The name of a table that nobody has used."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(dynamodb_server: DynamoDBServer, table: str, clock: ManualClock) -> DynamoDBStore:
    url = dynamodb_server.url(table)
    return DynamoDBStore.from_url(url, timeouts=PATIENT, clock=clock)


@pytest.fixture
def items(dynamodb_server: DynamoDBServer, table: str) -> Any:
    """The table itself, past the library."""
    return dynamodb_server.resource().Table(table)


class TestWithURL(StoreContract):
    """The contract, with a client that the store makes."""

    late = 1

    @pytest.fixture
    def clock(self, clock: ManualClock) -> ManualClock:
        return clock

    @pytest.fixture
    def store(self, store: DynamoDBStore) -> Iterator[DynamoDBStore]:
        yield store
        store.close()


class TestWithTable(StoreContract):
    """The contract, with a table handed in."""

    late = 1

    @pytest.fixture
    def clock(self, clock: ManualClock) -> ManualClock:
        return clock

    @pytest.fixture
    def store(self, items: Any, clock: ManualClock) -> DynamoDBStore:
        return DynamoDBStore(items, clock=clock)
