"""A store in a directory: many processes on one host, without any server.

How this works. A record is one file, ``<directory>/<shard>/<key in hexadecimal>``: hexadecimal
because file systems may ignore case, 256 shards so that no directory gets large. The file holds a
mark, the version (random, so never used again) and the data. Its modification time is when the
record *expires*, so that a purge need not open it.

* Readers take no lock: what has a record's name is complete, because it got the name by rename.
* Writers lock the shard for as long as the write takes. The lock of a killed writer goes with it.
  The unfinished file it may leave has one fixed name in each shard, and the next writer there
  removes it.
* The list of an owner is a file too: see :mod:`~wsgi_sessions.stores.file.owners`.
* Neither shard nor file may be a symbolic link. What is not a regular file of this store is missing
  for ``load``, and ``save`` puts the record in its place.
* There are two implementations of this: :mod:`descriptors`, with ``flock`` and names relative to an
  open directory, and :mod:`paths` for Windows. They keep the same records, but have different
  locks, so a directory belongs to processes of one kind.
* There is no ``fsync``: a power cut may cost what was written in the last seconds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.base import Expired, Stored, system_clock
from wsgi_sessions.stores.file.directory import SHARDS, Directory, shard_of
from wsgi_sessions.stores.file.owners import OwnerLists
from wsgi_sessions.stores.given import path_of
from wsgi_sessions.stores.place import check_writable
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts

__all__ = ["FileStore"]


class FileStore:
    """Keeps each record in a file below *directory*, on a local file system.

    The directory is made on first use. It and all in it are for the owner alone (0700, 0600),
    whatever the umask; with *group*, for its group too (2770, 0660), so that the users of a web
    server and of a queue share it. One that others may write to is refused with
    :exc:`~wsgi_sessions.StoreUnavailable`, also if it is put in its place while the process runs;
    and so is what the operating system refuses: no space,
    no permission, a lock that another process holds for longer than *timeouts* give it for an
    answer, by default half a second; nothing else of them is used.

    On Windows the directory has the access rights that it inherits from the one around it, and a
    write costs about as much as one of :class:`~wsgi_sessions.SQLiteStore`, whose locks it uses.

    Every *purge_every* saves up to twice as many expired records are removed from one of the 256
    directories, so they do not pile up; 0 leaves that to :meth:`purge`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        group: bool = False,
        purge_every: int = 10,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = system_clock,
    ) -> None:
        if purge_every < 0:
            raise ConfigurationError(f"purge_every must be 0 or more, not {purge_every}")
        path = os.path.abspath(path_of("FileStore", directory))
        seconds = check_timeouts(timeouts).answer
        self._directory = Directory(path, group=group, seconds=seconds, clock=clock)
        self._lists = OwnerLists(self._directory, clock)
        self._purge_every = purge_every
        self._saves = 0
        self._clock = clock
        self._purged = 0

    def check_place(self) -> None:
        """Raise :exc:`~wsgi_sessions.ConfigurationError` if the directory can neither be written to
        nor created. Nothing is created."""
        check_writable(self._directory.path, parents=True)

    def load(self, key: str) -> Stored | None:
        directory = self._directory
        record = directory.within(shard_of(key), directory.record, key)
        return None if record is None else Stored(record.data, record.version)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        version = self._save(key, data, expires_at, replacing)
        if version is not None:
            self._purge_occasionally()
        return version

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
        """The same, and the record is listed under *owner*, no longer under *was*. The list comes
        first and stays locked until the record is written; what a process that is killed in between
        leaves in it goes when it is read. Rewrites the lists as a whole."""
        if owner is None or expires_at <= self._clock():
            version = self._save(key, data, expires_at, replacing)
            former = was or owner
        else:

            def save() -> Hashable | None:
                return self._save(key, data, expires_at, replacing)

            version = self._lists.save(owner, key, expires_at, save, keeps_place=owner == was)
            former = None if was == owner else was
        if version is not None:
            if former is not None:
                self._lists.take_off(former, key)
            self._purge_occasionally()
        return version

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. Reads
        its list and looks at each record; takes off the list what has none."""
        return self._lists.keys_of(owner)

    def delete(self, key: str) -> None:
        self._directory.within(shard_of(key), self._directory.remove, key, lock=True)

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records and what killed writers left; the number of records
        removed. Reads the directory from where the last call stopped; locks for one file at a
        time."""
        removed = 0
        for _ in SHARDS:
            name = SHARDS[self._purged % len(SHARDS)]
            removed += self._directory.purge(name, limit - removed)
            self._lists.purge(name, limit)
            if removed >= limit:
                break
            self._purged += 1
        return removed

    def keys(self) -> Iterator[str]:
        """The keys of the live records; one shard is read at a time."""
        for name in SHARDS:
            now = self._clock()
            for key, expires_at in self._directory.listing(name):
                if expires_at > now:
                    yield key

    @property
    def directory(self) -> str:
        """The absolute path of the directory."""
        return self._directory.path

    def expired(self, limit: int) -> Expired:
        """What waits for a purge; after *limit* records no further shard is read."""
        now = self._clock()
        ages: list[float] = []
        for name in SHARDS:
            ages += [now - end for _, end in self._directory.listing(name) if end <= now]
            if len(ages) >= limit:
                break
        return Expired(len(ages), max(ages, default=0.0))

    def _save(
        self, key: str, data: bytes, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        change = (key, data, expires_at, replacing)
        return self._directory.within(
            shard_of(key), self._replace, *change, make=replacing is None, lock=True
        )

    def _replace(
        self, shard: Any, key: str, data: bytes, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """In the locked *shard*."""
        record = self._directory.record(shard, key, whole=False)
        if (None if record is None else record.version) != replacing:
            return None
        if expires_at > self._clock():
            return self._directory.write(shard, key, data, expires_at)
        self._directory.remove(shard, key)
        return os.urandom(16)

    def _purge_occasionally(self) -> None:
        if not self._purge_every:
            return
        self._saves += 1
        if self._saves % self._purge_every == 0:
            limit = 2 * self._purge_every
            with contextlib.suppress(StoreUnavailable):  # the save itself is done
                name = SHARDS[self._purged % len(SHARDS)]
                self._lists.purge(name, limit)
                if self._directory.purge(name, limit) < limit:
                    self._purged += 1
