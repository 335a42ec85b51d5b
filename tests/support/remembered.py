"""A plugin: whatever record is remembered with its bytes, those bytes mean it.

So every test of the suite that saves a session also sees that what was saved is what another
process would read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple

import pytest
from ormsgpack import packb

from wsgi_sessions.record import Record, content, is_encrypted, unpack
from wsgi_sessions.session.recent import RecentRecords

UNCHECKED = RecentRecords.add
"""For tests that count calls."""


def meaning(record: Record) -> bytes:
    """Equal for records that mean the same, types and the order of keys included."""
    head = [*astuple(record.replace(values={}, superseded=()))[:8]]
    superseded = [[*pair] for pair in record.superseded]
    values = [[key, content(record.values, key)] for key in record.values]
    return packb([head, superseded, values])


@pytest.fixture(autouse=True, scope="session")
def _what_is_remembered_is_checked() -> Iterator[None]:
    def checked(self: RecentRecords, id: str, data: bytes, record: Record) -> None:
        if data[:1] == b"\x01" and not is_encrypted(data):
            assert meaning(unpack(data)) == meaning(record), "the bytes mean another record"
        UNCHECKED(self, id, data, record)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RecentRecords, "add", checked)
        yield
