"""A store that notes what it is asked, and one that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from wsgi_sessions import MemoryStore, Store, StoreUnavailable
from wsgi_sessions.stores import Stored

T = TypeVar("T")


class RecordingStore:
    """Hands every call on to *store* and keeps the names of the calls."""

    def __init__(self, store: Store | None = None) -> None:
        self.inner: Store = MemoryStore() if store is None else store
        self.calls: list[str] = []
        self.failing: set[str] = set()
        """The kinds of calls that are refused."""
        self.losing: set[str] = set()
        """The kinds of calls that are carried out and whose answer is lost."""
        self.before: dict[str, Callable[[], object]] = {}
        """For each kind of call, what happens once just before it."""

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.before:
            self.before.pop(name)()
        if name in self.failing:
            raise StoreUnavailable(f"{name} fails as the test asked", applied=False)

    def _answer(self, name: str, answer: T) -> T:
        if name in self.losing:
            raise StoreUnavailable(f"the answer to {name} is lost as the test asked")
        return answer

    def pop_calls(self) -> list[str]:
        """The calls since the last time."""
        calls, self.calls = self.calls, []
        return calls

    def load(self, key: str) -> Stored | None:
        self._note("load")
        return self._answer("load", self.inner.load(key))

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        self._note("save")
        version = self.inner.save(key, data, expires_at=expires_at, replacing=replacing)
        return self._answer("save", version)

    def delete(self, key: str) -> None:
        self._note("delete")
        self.inner.delete(key)
        self._answer("delete", None)


class RecordingOwners(RecordingStore):
    """Of a store that keeps an index of owners."""

    inner: Any

    def save_owned(
        self,
        key: str,
        data: bytes,
        *,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
        was: str | None,
    ) -> Hashable | None:
        self._note("save_owned")
        version: Hashable | None = self.inner.save_owned(
            key, data, expires_at=expires_at, replacing=replacing, owner=owner, was=was
        )
        return self._answer("save_owned", version)

    def keys_of(self, owner: str) -> Sequence[str]:
        self._note("keys_of")
        keys: Sequence[str] = self.inner.keys_of(owner)
        return keys
