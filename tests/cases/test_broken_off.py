"""A signal handler that raises breaks off an operation at any moment: the next one is as it was."""

from __future__ import annotations

import pytest

from tests.support.broken_off import GIVEN, breaks_of
from tests.support.store_urls import STORE_URLS

KINDS = ["memory", *STORE_URLS, "redis cluster", *GIVEN]
SLOW = {"mariadb engine", "postgresql engine", "mongodb client"}
"""To which another way leads too: ``make full`` has them."""


def _url(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == "memory":
        return "memory://"
    if kind.startswith("redis cluster"):
        cluster = request.getfixturevalue("redis_cluster")
        return f"redis+cluster://127.0.0.1:{cluster.nodes[0].port}"
    return STORE_URLS["redis" if kind == "valkey client" else kind.partition(" ")[0]](request)


def _assert_nothing_is_left_of(breaks: int, kind: str, request: pytest.FixtureRequest) -> None:
    outcome = breaks_of(kind, _url(kind, request), breaks)
    assert outcome.broken == breaks
    assert outcome[1:] == (0, 0, 0, 0), outcome


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.full) if kind in SLOW else kind for kind in KINDS],
)
def test_an_operation_that_is_broken_off_leaves_no_answer_and_no_descriptor(
    kind: str, request: pytest.FixtureRequest
) -> None:
    slow = kind == "dynamodb"  # the server is
    _assert_nothing_is_left_of(50 if slow else 300, kind, request)


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_nor_do_ten_thousand(kind: str, request: pytest.FixtureRequest) -> None:
    _assert_nothing_is_left_of(10_000, kind, request)
