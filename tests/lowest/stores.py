"""The contract of a store over the oldest client of each server: as URLs, and by an engine of
psycopg2, which is what SQLAlchemy 1.4 has for PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support.patience import patient_url
from tests.support.store_urls import STORE_URLS
from wsgi_sessions import ConfigurationError, SQLAlchemyStore, Store, open_store
from wsgi_sessions.stores import close_store
from wsgi_sessions.testing import StoreContract

URLS = ["redis", "memcached", "mariadb", "sqlite+pysqlite", "mongodb", "dynamodb"]


def url_of(name: str, request: pytest.FixtureRequest) -> str:
    if name == "sqlite+pysqlite":
        return patient_url(f"sqlite+pysqlite:///{request.getfixturevalue('tmp_path')}/sessions.db")
    return STORE_URLS[name](request)


class Contract(StoreContract):
    late = 1.0


@pytest.mark.parametrize("name", URLS)
class TestByURL(Contract):
    @pytest.fixture
    def store(self, request: pytest.FixtureRequest, name: str) -> Iterator[Store]:
        store = open_store(url_of(name, request))
        yield store
        close_store(store)


class TestByAnEngineOfPsycopg2(Contract):
    @pytest.fixture
    def store(self, request: pytest.FixtureRequest) -> Iterator[Store]:
        server = request.getfixturevalue("postgresql_server")
        schema = f"lowest{secrets.token_hex(4)}"
        url = sa.engine.make_url(server.new_place(schema))
        engine = sa.create_engine(url.set(drivername="postgresql+psycopg2", query={}))
        yield SQLAlchemyStore(engine, schema=schema)
        engine.dispose()


def test_a_url_that_needs_a_newer_sqlalchemy_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"SQLAlchemy 1\.4\.\d+ knows no postgresql\+psyc"):
        SQLAlchemyStore("postgresql://localhost/shop")
