"""Every order in which the store calls of overlapping requests can happen.

How this works. Each request runs in a greenlet, which stops before each of its store calls; so
nothing happens but what the scheduler lets happen, one call at a time. What comes next is a
*choice*: which of the waiting requests does its call, and whether the store does it (``DONE``), or
fails without doing it (``LOST``), or does it and fails to say so (``UNHEARD``). The choices form a
tree, and :func:`every_schedule` walks all of it, depth first, by running the requests anew for
each path from the root to a leaf. No leaf is left out and none is visited twice.

With three requests most orders differ only in which of two calls came first that do not meet:
two that read, or one here and one in another place. Where such neighbours could be
swapped, ``pruned`` runs keep the order in which the lower request comes first. Of all orders
that can be turned into each other by such swaps, the first in the alphabet has no pair to swap, so
each class is still run at least once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

from wsgi_sessions import StoreUnavailable
from wsgi_sessions.stores.base import OwnerIndex, Store, Stored


class Fate(Enum):
    """What becomes of a store call."""

    DONE = "done"
    LOST = "fails before it is done"
    UNHEARD = "fails after it is done"


@dataclass
class Call:
    """A store call that happened, in the order in which they happened."""

    request: int
    operation: str
    key: str
    fate: Fate
    answer: Any = None
    """What the store answered, also if the request did not hear it."""

    @property
    def accepted(self) -> bool:
        return self.answer is not None

    @property
    def changes_nothing(self) -> bool:
        return self.operation == "load" or (self.operation == "save" and not self.accepted)

    def __str__(self) -> str:
        fate = "" if self.fate is Fate.DONE else f", which {self.fate.value}"
        refused = " (refused)" if self.operation == "save" and not self.accepted else ""
        return f"{'ABC'[self.request]}: {self.operation}{refused}{fate}"


class PausingStore:
    """A store whose every call first asks the scheduler."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.history: list[Call] = []

    def load(self, key: str) -> Stored | None:
        return self._call("load", key, self._store.load, key)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        save = partial(self._store.save, expires_at=expires_at, replacing=replacing)
        return self._call("save", key, save, key, data)

    def delete(self, key: str) -> None:
        self._call("delete", key, self._store.delete, key)

    def _call(self, operation: str, key: str, do: Callable[..., Any], *arguments: Any) -> Any:
        number, fate = getcurrent().parent.switch(operation)
        call = Call(number, operation, key, fate)
        self.history.append(call)
        if fate is not Fate.LOST:
            call.answer = do(*arguments)
        if fate is not Fate.DONE:
            raise StoreUnavailable("the scheduler's choice")
        return call.answer


class PausingIndexedStore(PausingStore):
    """The same for a store that lists sessions by owner."""

    _store: Any

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.listed: set[tuple[str, str]] = set()
        """Which keys have been listed under which owners."""

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
        if owner is not None:
            self.listed.add((key, owner))
        ends = {"expires_at": expires_at, "replacing": replacing}
        save = partial(self._store.save_owned, **ends, owner=owner, was=was)
        return self._call("save", key, save, key, data)

    def keys_of(self, owner: str) -> Sequence[str]:
        return self._call("keys_of", "", self._store.keys_of, owner)


def pausing(store: Store) -> PausingStore:
    return (PausingIndexedStore if isinstance(store, OwnerIndex) else PausingStore)(store)


class Choices:
    """One path through the tree of choices, and how to get to the next."""

    def __init__(self) -> None:
        self._path: list[list[int]] = []  # [taken, how many there are]
        self._depth = 0

    def choose(self, count: int) -> int:
        """The number of the option to take, of *count*."""
        if self._depth == len(self._path):
            self._path.append([0, count])
        taken, known = self._path[self._depth]
        assert known == count, "the requests do not depend on the order of their calls alone"
        self._depth += 1
        return taken

    def advance(self) -> bool:
        """Go to the next path, if there is one."""
        while self._path and self._path[-1][0] + 1 == self._path[-1][1]:
            self._path.pop()
        if self._path:
            self._path[-1][0] += 1
        self._depth = 0
        return bool(self._path)


def run(
    requests: Iterable[Callable[[], None]],
    history: list[Call],
    choices: Choices,
    *,
    failures: int = 0,
    pruned: bool = False,
) -> bool:
    """Run *requests* at once, call by call; at most *failures* calls fail. *history* is where
    their store notes the calls. ``False`` if the order is one that a pruned run leaves out."""
    greenlets = [greenlet(request) for request in requests]
    waiting = {number: one.switch() for number, one in enumerate(greenlets)}
    while waiting := {number: waiting[number] for number in waiting if not greenlets[number].dead}:
        options = [
            (number, fate)
            for number, operation in waiting.items()
            if not (pruned and history and could_be_swapped(history[-1], number, operation))
            for fate in (Fate if failures else [Fate.DONE])
        ]
        if not options:
            for number in waiting:
                greenlets[number].throw()
            return False
        number, fate = options[choices.choose(len(options))]
        failures -= fate is not Fate.DONE
        waiting[number] = greenlets[number].switch(number, fate)
    return True


ELSEWHERE: tuple[str, ...] = ()
"""Operations that concern another place than the records."""


def could_be_swapped(last: Call, number: int, operation: str) -> bool:
    """Whether *operation* of request *number* could as well have come before the *last* call, and
    that order is the one to keep."""
    if number >= last.request:
        return False
    if (last.operation in ELSEWHERE) != (operation in ELSEWHERE):
        return True
    return last.changes_nothing and operation == "load"


def every_schedule() -> Iterator[Choices]:
    """A :class:`Choices` for each run, until all have been made."""
    choices = Choices()
    yield choices
    while choices.advance():
        yield choices
