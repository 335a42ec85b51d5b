"""A session of the naive kind, to compare with: read whole when a request starts, written whole
when it ends, whatever has been written in between. Most session libraries work like that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from wsgi_sessions.stores import Store

__all__ = ["NaiveSessions"]

_SECONDS: Final = 3600.0


class NaiveSessions:
    """Sessions that are kept in *store* as JSON."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def load(self, name: str) -> dict[str, str]:
        """What was written last. One round trip."""
        found = self._store.load(_key(name))
        values: dict[str, str] = {} if found is None else json.loads(found.data)
        return values

    def save(self, name: str, values: dict[str, str]) -> None:
        """Overwrite it, whatever it is now. A store of this library overwrites no version but the
        one that it is given, so the version is asked for first: two round trips."""
        data, saved = json.dumps(values).encode(), None
        while saved is None:
            found = self._store.load(_key(name))
            saved = self._store.save(
                _key(name),
                data,
                expires_at=self._clock() + _SECONDS,
                replacing=None if found is None else found.version,
            )


def _key(name: str) -> str:
    """Of another length than a session's id, so that no session is taken for one."""
    return f"naive-{name}"
