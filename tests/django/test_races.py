"""What overlaps, over a real gunicorn: the table in docs/django.md says what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.django.races import ENGINES, OURS, RACES, Engine, outcomes
from tests.servers.redis import RedisServer

DOCS = Path(__file__).parents[2] / "docs" / "django.md"


def column(title: str) -> dict[str, str]:
    """That of the table in the documents."""
    rows = [line.strip("| \n").split(" | ") for line in DOCS.read_text().splitlines()]
    [head] = [row for row in rows if OURS.title in row and len(row) == len(ENGINES)]
    number = head.index(title) + 1
    return {row[0]: row[number] for row in rows if row[0] in RACES}


@pytest.mark.parametrize(
    "engine",
    [pytest.param(one, marks=() if one is OURS else pytest.mark.full) for one in ENGINES],
    ids=lambda engine: engine.title,
)
def test_overlapping_requests_end_as_the_documents_say(
    engine: Engine, redis_server: RedisServer, tmp_path: Path
) -> None:
    assert outcomes(engine, redis_server.url, tmp_path) == column(engine.title)
