"""The records that this process read or wrote last.

A page, what it loads and the next click carry the same session, and most of them find it unchanged.
Bytes that are equal to those of the last time need not be unpacked again, which saves a quarter of
what a request with a session takes. The store is asked as ever: what another worker has saved is
other bytes.
"""

from __future__ import annotations

from typing import Final

from wsgi_sessions.record import Record

__all__ = ["LARGEST", "RecentRecords"]

LARGEST: Final = 1 << 16
"""Bytes of a record that is kept."""
_MOST: Final = 1 << 20  # bytes of all


class RecentRecords(dict[str, tuple[bytes, Record]]):
    """By id the bytes of a record and what they mean, which nobody may change.

    Emptied when it holds 1 MiB, so that neither many sessions nor large ones fill a worker.
    """

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = _MOST

    def add(self, id: str, data: bytes, record: Record) -> None:
        size = len(data)
        if size > LARGEST:
            return
        self._room -= size
        if self._room < 0:
            self.clear()
            self._room = _MOST - size
        self[id] = data, record
