"""How long a store waits: one argument, and two options of a URL."""

from __future__ import annotations

import inspect
import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

import wsgi_sessions
from wsgi_sessions import ConfigurationError, open_store
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.url_options import FLAG, NUMBER, TEXT, take_options

WAITING = ["FileStore", "SQLiteStore", "RedisStore", "MemcachedStore", "SQLAlchemyStore"]
WAITING += ["MongoDBStore", "DynamoDBStore"]
FIRST = {"SQLAlchemyStore": "postgresql://host/db", "FileStore": "/tmp/x", "SQLiteStore": "/tmp/x"}

URLS = [
    "file:///tmp/x",
    "sqlite:///x.db",
    "redis://host",
    "memcached://host",
    "postgresql://host/db",
    "mysql://host/db",
    "sqlite+pysqlite:///x.db",
    "mongodb://host/",
    "dynamodb://eu-west-1/table",
]


def test_the_defaults_are_short() -> None:
    """A request is kept waiting for about a second at the most."""
    assert Timeouts() == Timeouts(connect=0.25, answer=0.5) == Timeouts(0.25, 0.5)
    assert repr(Timeouts(1)) == "Timeouts(connect=1, answer=0.5)"


def test_they_cannot_be_changed() -> None:
    """A store has derived its limits from them."""
    with pytest.raises(FrozenInstanceError):
        Timeouts().connect = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("field", ["connect", "answer"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, None, "1", True, b""])
def test_a_limit_is_a_positive_number_of_seconds(field: str, value: Any) -> None:
    """The message names it, and what is right."""
    with pytest.raises(ConfigurationError, match=f"'{field}' is .* Timeouts\\(connect=0.25"):
        Timeouts(**{field: value})


@pytest.mark.parametrize("name", WAITING)
def test_every_store_that_can_wait_takes_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By keyword, checked when it is built."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    cls = getattr(wsgi_sessions, name)
    parameter = inspect.signature(cls).parameters["timeouts"]
    assert parameter.kind is parameter.KEYWORD_ONLY
    assert parameter.default == Timeouts()
    first = [FIRST[name]] if name in FIRST else []
    cls(*first, timeouts=Timeouts(1, 2))
    for wrong in (0.5, (0.25, 0.5), None):
        with pytest.raises(ConfigurationError, match="timeouts=Timeouts"):
            cls(*first, timeouts=wrong)


def test_a_store_that_cannot_wait_takes_none() -> None:
    """Neither by keyword nor by URL."""
    assert "timeouts" not in inspect.signature(wsgi_sessions.MemoryStore).parameters
    with pytest.raises(ConfigurationError, match="connect_timeout"):
        open_store("memory://?connect_timeout=1")


@pytest.mark.parametrize("url", URLS)
def test_a_url_has_them_as_options(url: str) -> None:
    """What is wrong with one is named, without the URL."""
    opened = open_store(f"{url}?connect_timeout=3&answer_timeout=750ms")
    assert opened is not None
    for wrong in ("answer_timeout=soon", "answer_timeout=0", "connect_timeout=1&connect_timeout=2"):
        with pytest.raises(ConfigurationError, match=r"answer|connect_timeout"):
            open_store(f"{url}?{wrong}")


def test_what_a_store_does_not_know_stays_in_the_url() -> None:
    """As it is written, in its order."""
    kinds = {"prefix": TEXT, "count": NUMBER, "create": FLAG}
    url = "x://h:1/a%20b?b=%2B+&prefix=p%3A+q&a&count=7&b=2&create=False&answer_timeout=2"
    address, options = take_options(url, kinds)
    assert address == "x://h:1/a%20b?b=%2B+&a&b=2"
    assert options == {
        "prefix": "p: q",
        "count": 7,
        "create": False,
        "timeouts": Timeouts(answer=2),
    }
    assert take_options("x://h?prefix=", kinds) == ("x://h", {"prefix": ""})


@pytest.mark.parametrize("query", ["count=many", "create=perhaps", "count=1&count=1", "count="])
def test_an_option_that_cannot_be_read_is_named(query: str) -> None:
    """Without the URL."""
    with pytest.raises(ConfigurationError, match=r"'(count|create)'") as caught:
        take_options(f"x://u:secret@h?{query}", {"count": NUMBER, "create": FLAG})
    assert "secret" not in str(caught.value)


def test_limits_reach_the_clients() -> None:
    """Those of the client libraries, in their units."""
    timeouts = Timeouts(connect=3, answer=4)
    redis = wsgi_sessions.RedisStore("redis://host", timeouts=timeouts)
    options = redis._server._options  # type: ignore[attr-defined]
    assert (options["socket_connect_timeout"], options["socket_timeout"]) == (3, 4)
    mongodb = wsgi_sessions.MongoDBStore("mongodb://host", timeouts=timeouts)
    client = mongodb._connections.current().client.options
    assert (client.pool_options.connect_timeout, client.timeout) == (3, 4.4)
    mongodb.close()
