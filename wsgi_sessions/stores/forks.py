"""What a process does about forks: around ``os.fork``, and after one that Python knows nothing of.

uWSGI and other servers in C fork without Python's hooks. So what belongs to one process is kept by
its pid, which is asked for at each use (40 ns); the hooks are for what has to happen *before*.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess", "around_fork"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One *T* for each process, made by *make* at the first use there.

    That of the parent is kept, since collecting it might close what the parent still uses. If
    several threads are first at the same moment, all get the same one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """That of this process."""
        process = os.getpid()
        try:
            return self._made[process]
        except KeyError:
            return self._made.setdefault(process, self._make())


def around_fork(
    *,
    before: Callable[[], object],
    after_in_parent: Callable[[], object],
    after_in_child: Callable[[], object],
) -> None:
    """Call these at each fork that Python makes. Windows has no fork, and so no hook for it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=before, after_in_parent=after_in_parent, after_in_child=after_in_child
        )
