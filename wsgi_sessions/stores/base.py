"""What a store is. This page is the specification; :class:`wsgi_sessions.testing.StoreContract`
tests it.

A store keeps bytes under a key until they expire. It knows nothing of sessions, cookies or Python
values, and it never looks inside the bytes.

**Keys** are given by the library: 1 to 64 characters of ``A-Z a-z 0-9 _ -``, and case matters. A
store puts its own prefix in front. **Data** is any ``bytes``, the empty string included.
**Times** are seconds since the epoch, as a float. A store that keeps whole seconds rounds up, so
that nothing ends early.

Rules for all operations:

* *One round trip, one key.* Never check-then-write in two commands: another process may be
  between them.
* *A fault is not an answer.* Where the store cannot tell what is there, because it is unreachable,
  too slow, full, read-only or refuses us, it raises :exc:`~wsgi_sessions.StoreUnavailable` and
  leaves what was there intact. It never says "missing" or "refused" instead.
* *All or nothing.* A reader sees the old data or the new, also when the writer is killed.
* *Threads and processes.* One instance is used by many threads at once, may be built (and used)
  before ``fork`` and used after it in parent and child, and works under gevent. Building it does
  no I/O.
* *Own the client you build*, with short timeouts (250 ms to connect, 500 ms to answer). A client
  that was handed in is used as it is.

Optional attribute ``max_bytes``: the largest ``data`` this store can hold. The manager refuses
larger records with :exc:`~wsgi_sessions.SessionTooLarge` before ``save`` is called.

Optional method ``check_place()``, of stores that keep data in this host's files: raise
:exc:`~wsgi_sessions.ConfigurationError` if the place cannot be written to, creating nothing. The
middleware calls it when the application starts.

Optional abilities are protocols of their own: :class:`Purgeable`, :class:`Listable`,
:class:`OwnerIndex`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from operator import methodcaller
from typing import NamedTuple, Protocol, runtime_checkable

CENTURY = 100 * 366 * 86_400.0
"""Seconds; what "forever" means to a store that needs an end."""

__all__ = [
    "CENTURY",
    "Listable",
    "OwnerIndex",
    "Purgeable",
    "Store",
    "Stored",
    "system_clock",
]


system_clock: Callable[[], float] = partial(methodcaller("time"), time)
"""Seconds since the epoch. :func:`time.time` is looked up at each call, without a call of a Python
function, so that a test that replaces it (freezegun) reaches every clock of the library."""


class Stored(NamedTuple):
    """What :meth:`Store.load` found."""

    data: bytes
    version: Hashable
    """Says which save this is, to be handed back as ``replacing``. Opaque to everybody but the
    store that made it: compared, never looked into. Two different contents of one key never have
    the same version, not even after a delete and a new creation."""

    def __repr__(self) -> str:
        return f"<Stored of {len(self.data)} bytes>"


@runtime_checkable
class Store(Protocol):
    """The four operations that every store has."""

    def load(self, key: str) -> Stored | None:
        """The data under *key* and its version; ``None`` if there is none or it has expired.

        What has expired is missing for every operation, whether or not the store has removed it.
        Something under the key that this store did not write is missing too, if it can be told.
        """

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """Store *data* if what is there now is what the caller thinks is there (compare-and-set).

        ``replacing=None`` creates: refused if anything is there. Any other *replacing* is a version
        that this store returned for this key: refused if something else, or nothing, is there now.
        A moved expiry (:meth:`touch`) does not change the version.

        Returns the new version, which is never ``None``; or ``None`` for refused, and then nothing
        has changed. Of any number of callers with the same *replacing*, exactly one succeeds.

        An *expires_at* that is not in the future is a **compare-and-delete**: accepted or refused
        by the same rule, and if accepted nothing is there afterwards.

        If the request was sent and the answer is lost, a store that can find out what happened
        does; otherwise it raises :exc:`~wsgi_sessions.StoreUnavailable`, and the save may or may
        not have happened, but not in part.
        """

    def touch(self, key: str, *, expires_at: float) -> bool:
        """Let what is there expire at *expires_at* instead; ``False`` if nothing is there.

        Never creates, never changes the data or the version. A time that is not in the future
        ends it at once (and is ``True`` if something was there).
        """

    def delete(self, key: str) -> None:
        """Afterwards nothing is there. Nothing there already is fine."""


@runtime_checkable
class Purgeable(Protocol):
    """A store that does not drop what has expired by itself."""

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records; the number removed. Call again while it returns
        *limit*. Never holds a lock long enough to disturb live requests."""


@runtime_checkable
class Listable(Protocol):
    """A store that can enumerate what it holds, for operators; not for the request path."""

    def keys(self) -> Iterator[str]:
        """The keys of what is there and has not expired, in no particular order. What comes or
        goes meanwhile may or may not be among them."""


@runtime_checkable
class OwnerIndex(Protocol):
    """A store that can keep which keys belong to an owner, to end all sessions of one user."""

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        """Note that *key* belongs to *owner* until *expires_at*; noting it again moves the time.
        *owner* is any non-empty string."""

    def unlink(self, owner: str, key: str) -> None:
        """Forget that. Not noted is fine."""

    def keys_of(self, owner: str) -> Iterable[str]:
        """The keys noted for *owner*. A key whose record is gone may still be among them."""
