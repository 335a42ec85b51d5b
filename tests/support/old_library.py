"""A library that was used before: it keeps sessions as JSON, under the cookie's value."""

from __future__ import annotations

import json
from typing import Any

from wsgi_sessions import MemoryStore, Store
from wsgi_sessions.migration import OldSession

FOREVER = 1e11


class OldLibrary:
    """Its sessions, and the reader of them."""

    cookie_name = "old"
    lifetime = 31 * 86_400.0

    def __init__(self, place: Store | None = None) -> None:
        self.place = MemoryStore() if place is None else place

    def put(self, key: str, **values: Any) -> str:
        """Make a session; the ``Cookie`` header of its visitor."""
        data = json.dumps(values).encode()
        self.place.save(key, data, expires_at=FOREVER, replacing=None)
        return f"{self.cookie_name}={key}"

    def key(self, cookie_value: str) -> str | None:
        return cookie_value if cookie_value.isalnum() else None

    def read(self, key: str) -> OldSession | None:
        stored = self.place.load(key)
        if stored is None:
            return None
        values = json.loads(stored.data)
        return OldSession(values, values.pop("permanent", False), values.get("owner"))

    def delete(self, key: str) -> None:
        self.place.delete(key)
