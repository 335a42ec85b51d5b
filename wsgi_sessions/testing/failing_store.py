"""A store that can be made to fail, for tests of what an application does in an outage."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import ExitStack
from difflib import get_close_matches
from typing import Any

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Listable, MemoryStore, OwnerIndex, Purgeable, Store, Stored

__all__ = ["FailingStore"]

_NEEDED = ("load", "save", "delete")
_OPTIONAL = tuple(
    name
    for protocol in (OwnerIndex, Purgeable, Listable)
    for name in vars(protocol)
    if not name.startswith("_")
)


class FailingStore:
    """*store*, by default a new :class:`~wsgi_sessions.MemoryStore`, until it is told to fail.

    Has the abilities that *store* has. ``calls`` are the names of the calls so far, the failed ones
    included, so that a test can say what a page costs. For one process; a call takes no time.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store: Store = MemoryStore() if store is None else store
        self.calls: list[str] = []
        self._stopped: frozenset[str] = frozenset()
        self._lost: frozenset[str] = frozenset()
        self._operations: dict[str, Callable[..., Any]] = {
            name: self._operation(name) for name in (*_NEEDED, *_OPTIONAL)
        }
        for name in _OPTIONAL:
            if hasattr(self._store, name):  # in the instance, where isinstance(…) looks too
                self.__dict__[name] = self._operations[name]

    def stop(self, *operations: str) -> ExitStack:
        """From now on *operations* (``"save"``, a login's included, ``"load"``, …; none named: all)
        raise :exc:`~wsgi_sessions.StoreUnavailable`, and do nothing. Until :meth:`start`, or, if
        this is used by ``with``, until the end of the block. Raises :exc:`ValueError` for what is
        no operation."""
        self._stopped = self._named(operations)
        return self._until_started()

    def lose_answers(self, *operations: str) -> ExitStack:
        """As :meth:`stop`, but the *operations* are carried out before they raise, as where a
        connection breaks before the answer arrives."""
        self._lost = self._named(operations)
        return self._until_started()

    def start(self) -> None:
        """Nothing fails any more."""
        self._stopped = self._lost = frozenset()

    def load(self, key: str) -> Stored | None:
        stored: Stored | None = self._operations["load"](key)
        return stored

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        version: Hashable | None = self._operations["save"](
            key, data, expires_at=expires_at, replacing=replacing
        )
        return version

    def delete(self, key: str) -> None:
        self._operations["delete"](key)

    def __getattr__(self, name: str) -> Any:
        """``max_bytes``, ``close`` and what else *store* has."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._store, name)

    def _named(self, operations: tuple[str, ...]) -> frozenset[str]:
        for name in operations:
            if name not in self._operations:
                near = get_close_matches(name, self._operations, n=1)
                hint = f": did you mean {near[0]!r}?" if near else f", as {', '.join(_NEEDED)} are"
                raise ValueError(f"{name!r} is no operation of a store{hint}")
        return frozenset(operations or self._operations)

    def _until_started(self) -> ExitStack:
        block = ExitStack()
        block.callback(self.start)
        return block

    def _operation(self, name: str) -> Callable[..., Any]:
        """That of the store, which fails if it is to."""

        kind = "save" if name == "save_owned" else name

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(kind)
            if kind in self._stopped:
                raise StoreUnavailable(f"{kind} fails: the test has stopped it", applied=False)
            result = getattr(self._store, name)(*args, **kwargs)
            if kind in self._lost:
                raise StoreUnavailable(f"the answer to {kind} is lost: the test wants it so")
            return result

        return call
