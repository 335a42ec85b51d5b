"""A store that notes what it is asked, and one that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from wsgi_sessions import MemoryStore, Store, StoreUnavailable
from wsgi_sessions.stores import Stored


class RecordingStore:
    """Hands every call on to *store* and keeps the names of the calls."""

    def __init__(self, store: Store | None = None) -> None:
        self.inner: Store = MemoryStore() if store is None else store
        self.calls: list[str] = []
        self.failing: set[str] = set()
        self.before: dict[str, Callable[[], object]] = {}
        """For each kind of call, what happens once just before it."""

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.before:
            self.before.pop(name)()
        if name in self.failing:
            raise StoreUnavailable(f"{name} fails as the test asked")

    def pop_calls(self) -> list[str]:
        """The calls since the last time."""
        calls, self.calls = self.calls, []
        return calls

    def load(self, key: str) -> Stored | None:
        self._note("load")
        return self.inner.load(key)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        self._note("save")
        return self.inner.save(key, data, expires_at=expires_at, replacing=replacing)

    def delete(self, key: str) -> None:
        self._note("delete")
        self.inner.delete(key)
