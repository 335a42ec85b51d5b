"""What a store is. This page is the specification; :class:`wsgi_sessions.testing.StoreContract`
tests it.

A store keeps bytes under a key until they expire. It knows nothing of sessions, cookies or Python
values, and it never looks inside the bytes.

**Keys** are given by the library: 1 to 64 characters of ``A-Z a-z 0-9 _ -``, and case matters. A
store puts its own prefix in front. **Data** is any ``bytes``, the empty string included.
**Times** are seconds since the epoch, as a float. A store that keeps whole seconds rounds up, so
that nothing expires early.

Rules for all operations:

* *One round trip, one key.* Never check-then-write in two commands: another process may be
  between them.
* *A fault is not an answer.* Where the store cannot find out what is stored, because it is
  unreachable, too slow, full, read-only or refuses us, it raises
  :exc:`~wsgi_sessions.StoreUnavailable` and leaves the stored record intact. It never says
  "missing" or "refused" instead. It gives the exception ``busy=True`` where the store is there and
  only this cannot be done now (a lock, no space), and ``applied=False`` where it was not done.
* *All or nothing.* A reader sees the old data or the new, also when the writer is killed.
* *Threads and processes.* One instance is used by many threads at once, may be built (and used)
  before ``fork`` and used after it in parent and child, and works under gevent. Building it does
  no I/O.
* *Own the client you build*, with short timeouts: a keyword ``timeouts``, by default
  :class:`~wsgi_sessions.stores.Timeouts` ``(connect=0.25, answer=0.5)``. A client that was handed
  in is used as it is.

A store has three methods, those of :class:`Store`. It may have any of these besides; they are asked
for by the functions named, and nowhere else:

===================  ===========================================================================
``max_bytes: int``   The largest ``data`` that it can hold. The manager refuses larger records with
                     :exc:`~wsgi_sessions.SessionTooLarge` before ``save`` is called.
                     :func:`max_bytes_of`
``evicts: bool``     True if it may drop records before they expire, to make room: then no shared
                     signing key is kept in it. :func:`evicts`
``close()``          Closes the connections that it opened and that are not in use. It can be used
                     again, and opens new ones. :func:`close_store`
``check_place()``    Of a store that keeps its data in files of this host: raises
                     :exc:`~wsgi_sessions.ConfigurationError` if they cannot be written, and creates
                     nothing. The middleware asks when the application starts.
                     :func:`check_place_of`
``place_of(key)``    Of a store over several servers: which of them holds *key*, as something
                     hashable, without I/O. Each then has breakers of its own, so that one that
                     hangs costs the sessions it holds and no others. :func:`place_of`
``ddl: str``         The statements that make the tables and indexes where they are missing.
                     :func:`ddl_of`
``from_url(url)``    A class method that makes the store of a URL; raises
                     :exc:`~wsgi_sessions.ConfigurationError`, which never contains the URL.
                     :func:`~wsgi_sessions.open_store`
===================  ===========================================================================

Optional abilities are protocols of their own: :class:`Purgeable`, :class:`Listable`,
:class:`OwnerIndex`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from operator import methodcaller
from typing import NamedTuple, Protocol, runtime_checkable

CENTURY = 100 * 366 * 86_400.0
"""Seconds; what "forever" means to a store that needs an expiry."""

__all__ = [
    "CENTURY",
    "Expired",
    "Listable",
    "OwnerIndex",
    "Purgeable",
    "Route",
    "Store",
    "Stored",
    "check_place_of",
    "close_store",
    "ddl_of",
    "evicts",
    "max_bytes_of",
    "place_of",
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
    """The three operations that every store has."""

    def load(self, key: str) -> Stored | None:
        """The data under *key* and its version; ``None`` if there is none or it has expired.

        What has expired is missing for every operation, whether or not the store has removed it.
        If a value was not written by this store and that can be detected, it counts as missing.
        """

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """Store *data* if the stored record is the one the caller expects (compare-and-set).

        ``replacing=None`` creates: refused if a record exists. Any other *replacing* is a version
        that this store returned for this key: refused if another record, or none, exists now.

        Returns the new version, which is never ``None``; or ``None`` for refused, and then nothing
        has changed. Of any number of callers with the same *replacing*, exactly one succeeds.

        An *expires_at* that is not in the future is a **compare-and-delete**: accepted or refused
        by the same rule, and if accepted nothing is stored afterwards.

        If the request was sent and the answer is lost, a store that can find out what happened
        does; otherwise it raises :exc:`~wsgi_sessions.StoreUnavailable`, and the save may or may
        not have happened, but not in part.
        """

    def delete(self, key: str) -> None:
        """Remove the record. It is no error if none exists."""


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
        """The keys of the live records, in no particular order. What comes or goes during this
        time may or may not be among them."""


@runtime_checkable
class OwnerIndex(Protocol):
    """A store that lists the records of an owner, to show or end all sessions of one user.

    The list cannot disagree with the records: it is a column of the row or a field of the document;
    where it has to be something of its own, reading it removes what has no live record.
    """

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
        """:meth:`Store.save`, and if it is accepted, the record is listed under *owner* and no
        longer under *was*, the owner of the version that is replaced; ``None`` for nobody. An owner
        is any non-empty string, and two that differ are different owners, whatever a server's
        collation says.

        A record that *was* its owner's keeps its place in the list; any other one becomes the last.
        :meth:`Store.save` changes nothing of it, whatever it replaces; but where the owner is part
        of the record, one that is created does not have that of an expired one. (No key of the
        library's is used again.) A refused save lists nothing and takes nothing off.

        Called where a session begins, changes hands, is renewed or ends under an owner, so that an
        ordinary write never touches a list. A list that is kept apart keeps its entries for one
        renewal interval longer than the record's end at that time: at most a tenth of what is left,
        or a day. It is written in the save's own packet, or else before it: a process that is
        killed in between leaves at most an entry too many.
        """

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. Costs
        what the records of this owner cost, however many others there are."""


class Route(NamedTuple):
    """How a store reaches its servers, without anything secret: for ``wsgi-sessions check``."""

    hosts: tuple[str, ...]
    """Names or addresses; the path of a socket, or an empty string, is this machine."""
    encrypted: bool
    verified: bool
    """Whether the certificate is; means nothing where it is not encrypted."""
    password: bool
    """Whether one is sent."""


class Expired(NamedTuple):
    """What waits for a purge."""

    records: int
    """How many, counted up to the limit that was given."""
    oldest: float
    """Seconds since the first of them expired; 0 if there is none."""


def max_bytes_of(store: Store, default: int) -> int:
    """The store's ``max_bytes``, if it has that; else *default*."""
    limit: int = getattr(store, "max_bytes", default)
    return limit


def evicts(store: Store) -> bool:
    """Whether the store may drop records before they expire."""
    return bool(getattr(store, "evicts", False))


def close_store(store: Store) -> None:
    """Close the store's own connections, if it has any."""
    close = getattr(store, "close", None)
    if close is not None:
        close()


def check_place_of(store: object) -> None:
    """Raise :exc:`~wsgi_sessions.ConfigurationError` if the store knows that its files cannot be
    written."""
    check = getattr(store, "check_place", None)
    if check is not None:
        check()


def place_of(store: Store) -> Callable[[str], Hashable] | None:
    """Which of its servers holds a key; ``None`` for a store that has one place for all."""
    found: Callable[[str], Hashable] | None = getattr(store, "place_of", None)
    return found


def ddl_of(store: Store) -> str:
    """The statements that make the store's tables and indexes; empty if it needs none."""
    return str(getattr(store, "ddl", ""))
