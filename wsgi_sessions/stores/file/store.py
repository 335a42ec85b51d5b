"""A store in a directory: many processes on one host, without any server.

How this works. A record is one file, ``<directory>/<shard>/<key in hexadecimal>``: hexadecimal
because file systems may ignore case, 256 shards so that no directory gets large. The file holds a
mark, the version (random, so never used again) and the data. Its modification time is when the
record *expires*, so that a purge need not open it.

* Readers take no lock: what has a record's name is complete, because it got the name by rename.
* Writers lock the shard for as long as the write takes. The lock of a killed writer goes with it.
  The unfinished file it may leave has one fixed name in each shard, and the next writer there
  removes it.
* The list of an owner is a file too, ``<directory>/owners-<shard>/<digest>``, which expires with
  its last entry. Its shard is locked before that of a record, never after.
* Neither shard nor file may be a symbolic link. What is not a regular file of this store is missing
  for ``load``, and ``save`` puts the record in its place.
* There are two implementations of this: :mod:`descriptors`, with ``flock`` and names relative to an
  open directory, and :mod:`paths` for Windows. They keep the same records, but have different
  locks, so a directory belongs to processes of one kind.
* There is no ``fsync``: a power cut may cost what was written in the last seconds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.base import Expired, Stored, system_clock
from wsgi_sessions.stores.file.layout import HEADER, MARK, UNFINISHED, Shards, name_of
from wsgi_sessions.stores.file.owners import Listing, ending, listing_of, name_of_owner, packed
from wsgi_sessions.stores.given import path_of
from wsgi_sessions.stores.place import check_private, check_writable
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts

__all__ = ["FileStore"]

try:
    from wsgi_sessions.stores.file import descriptors as _shards
except (ImportError, AttributeError):  # no fcntl, no O_DIRECTORY: Windows
    from wsgi_sessions.stores.file import paths as _shards  # type: ignore[no-redef]

shards: Shards = _shards
"""How shards are worked in on this system."""

FIRST_READ = 16_384  # most records; allocating more costs every read what a second read costs few
BUSY = (errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Somebody holds the lock, or nothing may be written; all else may be a file system that hangs."""
OWNERS = "owners-"
"""Before a shard's name: those of the owners' lists."""
SHARDS = [f"{number:02x}" for number in range(256)]


class _Record(NamedTuple):
    file: int
    size: int
    head: bytes

    @property
    def version(self) -> bytes:
        return self.head[len(MARK) : HEADER]


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
        self._group = group
        self._purge_every = purge_every
        self._saves = 0
        self._directory = os.path.abspath(path_of("FileStore", directory))
        self._lock_seconds = check_timeouts(timeouts).answer
        self._clock = clock
        self._trusted: tuple[int, ...] = ()
        self._purged = 0

    def check_place(self) -> None:
        """Raise :exc:`~wsgi_sessions.ConfigurationError` if the directory can neither be written to
        nor created. Nothing is created."""
        check_writable(self._directory, parents=True)

    def load(self, key: str) -> Stored | None:
        with self._shard(_shard_of(key)) as shard, self._live(shard, key, FIRST_READ) as record:
            return None if record is None else Stored(_data_of(record), record.version)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        with self._shard(_shard_of(key), make=replacing is None, lock=True) as shard:
            with self._live(shard, key) as record:
                if shard is None or (record and record.version) != replacing:
                    return None
            version = os.urandom(16)
            if expires_at <= self._clock():
                shards.remove(shard, name_of(key))
            else:
                content, mode = MARK + version + data, 0o660 if self._group else 0o600
                shards.write_record(shard, name_of(key), content, expires_at, mode)
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
            version = self.save(key, data, expires_at=expires_at, replacing=replacing)
            former = was or owner
        else:
            version = self._save_listed(owner, key, data, expires_at, replacing, owner == was)
            former = None if was == owner else was
        if version is not None and former is not None:
            with contextlib.suppress(StoreUnavailable):  # the save itself is done
                self._unlist(former, [key])
        return version

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. Reads
        its list and looks at each record; takes off the list what has none."""
        name = name_of_owner(owner)
        with self._shard(_list_shard_of(name)) as shard:
            listing = self._listing(shard, name)
        live = [key for key in listing if self._is_live(key)]
        if len(live) < len(listing):
            with contextlib.suppress(StoreUnavailable):  # the answer is right as it is
                self._unlist(owner, listing.keys() - set(live), gone=True)
        return live

    def delete(self, key: str) -> None:
        with self._shard(_shard_of(key), lock=True) as shard:
            if shard is not None:
                shards.remove(shard, name_of(key))

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records and what killed writers left; the number of records
        removed. Reads the directory from where the last call stopped; locks for one file at a
        time."""
        removed = 0
        for _ in SHARDS:
            name = SHARDS[self._purged % len(SHARDS)]
            removed += self._purge_shard(name, limit - removed)
            self._purge_shard(OWNERS + name, limit)
            if removed >= limit:
                break
            self._purged += 1
        return removed

    def keys(self) -> Iterator[str]:
        """The keys of the live records; one shard is read at a time."""
        for name in SHARDS:
            with self._shard(name) as shard:
                now = self._clock()
                live = [key for key, expires_at in shards.listing(shard) if expires_at > now]
            yield from live

    @property
    def directory(self) -> str:
        """The absolute path of the directory."""
        return self._directory

    def expired(self, limit: int) -> Expired:
        """What waits for a purge; after *limit* records no further shard is read."""
        now = self._clock()
        ages: list[float] = []
        for name in SHARDS:
            with self._shard(name) as shard:
                ages += [now - end for _, end in shards.listing(shard) if end <= now]
            if len(ages) >= limit:
                break
        return Expired(len(ages), max(ages, default=0.0))

    def _save_listed(
        self,
        owner: str,
        key: str,
        data: bytes,
        expires_at: float,
        replacing: Hashable | None,
        keep: bool,
    ) -> Hashable | None:
        name, version = name_of_owner(owner), None
        with self._shard(_list_shard_of(name), make=True, lock=True) as shard:
            now = self._clock()
            before = self._listing(shard, name)
            after = {other: end for other, end in before.items() if end > now}
            if not keep:
                after.pop(key, None)
            after[key] = ending(expires_at, now)
            self._write_listing(shard, name, after)
            try:
                version = self.save(key, data, expires_at=expires_at, replacing=replacing)
            finally:
                if version is None:
                    self._write_listing(shard, name, before)
        return version

    def _unlist(self, owner: str, keys: Iterable[str], *, gone: bool = False) -> None:
        """Take *keys* off; *gone*: if they still have no record, now that no writer is at work."""
        name = name_of_owner(owner)
        with self._shard(_list_shard_of(name), lock=True) as shard:
            listing = self._listing(shard, name)
            for key in keys:
                if not (gone and self._is_live(key)):
                    listing.pop(key, None)
            if shard is not None:
                self._write_listing(shard, name, listing)

    def _listing(self, shard: Any, name: str) -> Listing:
        with self._live(shard, name, FIRST_READ) as record:
            return {} if record is None else listing_of(_data_of(record))

    def _write_listing(self, shard: Any, name: str, listing: Listing) -> None:
        """Whole, in one step; an empty one is removed."""
        if not listing:
            shards.remove(shard, name_of(name))
            return
        content, mode = MARK + os.urandom(16) + packed(listing), 0o660 if self._group else 0o600
        shards.write_record(shard, name_of(name), content, max(listing.values()), mode)

    def _is_live(self, key: str) -> bool:
        with self._shard(_shard_of(key)) as shard, self._live(shard, key) as record:
            return record is not None

    def _purge_occasionally(self) -> None:
        if not self._purge_every:
            return
        self._saves += 1
        if self._saves % self._purge_every == 0:
            limit = 2 * self._purge_every
            with contextlib.suppress(StoreUnavailable):  # the save itself is done
                name = SHARDS[self._purged % len(SHARDS)]
                self._purge_shard(OWNERS + name, limit)
                if self._purge_shard(name, limit) < limit:
                    self._purged += 1

    def _purge_shard(self, name: str, limit: int) -> int:
        removed = 0
        with self._shard(name) as shard:
            now = self._clock()
            listed = shards.listing(shard)
            expired = [key for key, expires_at in listed if expires_at <= now][:limit]
        for key in expired:
            with self._shard(name, lock=True) as shard:
                if shard is not None and shards.expiry_of(shard, name_of(key)) <= now:
                    shards.remove(shard, name_of(key))
                    removed += 1
        with self._shard(name, lock=True) as shard:
            if shard is not None:
                shards.remove(shard, UNFINISHED)  # no writer is at work while we hold the lock
        return removed

    @contextlib.contextmanager
    def _shard(self, name: str, *, make: bool = False, lock: bool = False) -> Iterator[Any]:
        """The open shard, or None if there is none. Faults become StoreUnavailable."""
        shard = None
        try:
            path = f"{self._directory}{os.sep}{name}"
            try:
                try:
                    self._check()
                    shard = shards.open_shard(path, self._lock_seconds)
                except FileNotFoundError:
                    shard = self._make_shard(path) if make else None
                if lock and shard is not None:
                    shards.lock_shard(shard, self._lock_seconds)
                yield shard
            finally:
                try:
                    if lock and shard is not None:
                        shards.unlock_shard(shard)
                finally:
                    if shard is not None:
                        shards.close_shard(shard)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreUnavailable(
                f"session directory {self._directory}: {reason}",
                applied=False,
                busy=error.errno in BUSY,
            ) from error

    def _make_shard(self, path: str) -> Any:
        os.makedirs(os.path.dirname(self._directory), exist_ok=True)
        self._make(self._directory)
        self._check()
        self._make(path)
        return shards.open_shard(path, self._lock_seconds)

    def _make(self, path: str) -> None:
        """The directory *path*, of the group of the one around it if that shares the sessions."""
        with contextlib.suppress(FileExistsError):
            if not self._group:
                os.mkdir(path, 0o700)
                os.chmod(path, 0o700)  # the umask may have taken something away
                return
            os.mkdir(path, 0o770)
            if path != self._directory:
                with contextlib.suppress(OSError, AttributeError):  # setgid has done it; Windows
                    os.chown(path, -1, os.stat(self._directory).st_gid)
            os.chmod(path, 0o2770)

    def _check(self) -> None:
        """Refuse a directory in which others may have put records for us to find. One system call,
        each time: another directory may be in its place."""
        status = os.stat(self._directory)
        seen = (status.st_dev, status.st_ino, status.st_mode, status.st_uid)
        if seen != self._trusted:
            check_private(f"session directory {self._directory}", status, group=self._group)
            self._trusted = seen

    @contextlib.contextmanager
    def _live(self, shard: Any, key: str, size: int = HEADER) -> Iterator[_Record | None]:
        """The open record with its first *size* bytes, or None if there is no live one."""
        file = None
        try:
            file = None if shard is None else shards.open_record(shard, name_of(key))
            if file is None:
                yield None
                return
            status = os.fstat(file)
            record = None
            if stat.S_ISREG(status.st_mode) and status.st_mtime > self._clock():
                head = os.read(file, size)
                if len(head) >= HEADER and head.startswith(MARK):
                    record = _Record(file, status.st_size, head)
            yield record
        finally:
            if file is not None:
                os.close(file)


def _data_of(record: _Record) -> bytes:
    content = record.head
    if record.size > FIRST_READ:
        while more := os.read(record.file, record.size):
            content += more
    return content[HEADER:]


def _list_shard_of(name: str) -> str:
    return f"{OWNERS}{_shard_of(name)}"


def _shard_of(key: str) -> str:
    return SHARDS[zlib.crc32(key.encode()) & 0xFF]
