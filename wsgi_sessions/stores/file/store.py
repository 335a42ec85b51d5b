"""A store in a directory: many processes on one host, without any server.

How this works. A record is one file, ``<directory>/<shard>/<key in hexadecimal>``: hexadecimal
because file systems may ignore case, 256 shards so that no directory gets large. The file holds a
mark, the version (random, so never used again) and the data. Its modification time is when the
record *ends*, so that ``touch`` changes neither data nor version and a purge need not open it.

* Readers take no lock: what has a record's name is complete, because it got the name by rename.
* Writers lock the shard directory (``flock``) for as long as the write takes. The lock of a killed
  writer goes with it. The unfinished file it may leave has one fixed name in each shard, and the
  next writer there removes it.
* Names are opened relative to their shard, and neither shard nor file may be a symbolic link. What
  is not a regular file of ours is missing for ``load``, and ``save`` puts the record in its place.
* There is no ``fsync``: a power cut may cost what was written in the last seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import zlib
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.base import Stored, system_clock
from wsgi_sessions.stores.file.shard import (
    HEADER,
    MARK,
    OPEN_SHARD,
    UNFINISHED,
    end_of,
    listing,
    lock_shard,
    name_of,
    open_record,
    remove,
    set_end,
    write_record,
)
from wsgi_sessions.stores.given import path_of
from wsgi_sessions.stores.place import check_writable

if TYPE_CHECKING:
    from wsgi_sessions.cli.checks import Finding

__all__ = ["FileStore"]

FIRST_READ = 16_384  # most records; allocating more costs every read what a second read costs few
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
    whatever the umask. One that others may write to is refused with
    :exc:`~wsgi_sessions.StoreUnavailable`, and so is what the operating system refuses: no space,
    no permission, a lock that another process holds for half a second.

    Expired records stay until :meth:`purge`: call it now and then, from cron for example.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, clock: Callable[[], float] = system_clock
    ) -> None:
        self._directory = os.path.abspath(path_of("FileStore", directory))
        self._clock = clock
        self._trusted = False
        self._purged = 0

    def check_place(self) -> None:
        """Raise :exc:`~wsgi_sessions.ConfigurationError` if the directory can neither be written to
        nor created. Nothing is created."""
        check_writable(self._directory, parents=True)

    def load(self, key: str) -> Stored | None:
        with self._shard(_shard_of(key)) as shard, self._live(shard, key, FIRST_READ) as record:
            if record is None:
                return None
            content = record.head
            if record.size > FIRST_READ:
                while more := os.read(record.file, record.size):
                    content += more
            return Stored(content[HEADER:], record.version)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        with self._shard(_shard_of(key), make=replacing is None, lock=True) as shard:
            with self._live(shard, key) as record:
                if shard is None or (record and record.version) != replacing:
                    return None
            version = os.urandom(16)
            if expires_at <= self._clock():
                remove(shard, name_of(key))
            else:
                write_record(shard, name_of(key), MARK + version + data, expires_at)
            return version

    def touch(self, key: str, *, expires_at: float) -> bool:
        with (
            self._shard(_shard_of(key), lock=True) as shard,
            self._live(shard, key) as record,
        ):
            if record is None:
                return False
            set_end(record.file, expires_at)
            return True

    def delete(self, key: str) -> None:
        with self._shard(_shard_of(key), lock=True) as shard:
            if shard is not None:
                remove(shard, name_of(key))

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records and what killed writers left; the number of records
        removed. Reads the directory from where the last call stopped; locks for one file at a
        time."""
        removed = 0
        for _ in SHARDS:
            removed += self._purge_shard(SHARDS[self._purged % len(SHARDS)], limit - removed)
            if removed >= limit:
                break
            self._purged += 1
        return removed

    def keys(self) -> Iterator[str]:
        """The keys of what is there and has not expired; one shard is read at a time."""
        for name in SHARDS:
            with self._shard(name) as shard:
                now = self._clock()
                live = [key for key, end in listing(shard) if end > now]
            yield from live

    def findings(self) -> Iterator[Finding]:
        """For ``wsgi-sessions check``: directory, room, and what waits for a purge."""
        from wsgi_sessions.cli.checks.file import findings

        return findings(self, self._directory, self._clock())

    def _purge_shard(self, name: str, limit: int) -> int:
        removed = 0
        with self._shard(name) as shard:
            now = self._clock()
            expired = [key for key, end in listing(shard) if end <= now][:limit]
        for key in expired:
            with self._shard(name, lock=True) as shard:
                if shard is not None and end_of(shard, name_of(key)) <= now:
                    remove(shard, name_of(key))
                    removed += 1
        with self._shard(name, lock=True) as shard:
            if shard is not None:
                remove(shard, UNFINISHED)  # no writer is at work while we hold the lock
        return removed

    @contextlib.contextmanager
    def _shard(self, name: str, *, make: bool = False, lock: bool = False) -> Iterator[int | None]:
        """The open shard directory, or None if there is none. Faults become StoreUnavailable."""
        try:
            shard = self._open_shard(name, make)
            try:
                if lock and shard is not None:
                    lock_shard(shard)
                yield shard
            finally:
                if shard is not None:
                    if lock:  # closing is not enough where a child has inherited the descriptor
                        fcntl.flock(shard, fcntl.LOCK_UN)
                    os.close(shard)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreUnavailable(f"session directory {self._directory}: {reason}") from error

    def _open_shard(self, name: str, make: bool) -> int | None:
        path = os.path.join(self._directory, name)
        try:
            if not self._trusted:
                self._check()
            return os.open(path, OPEN_SHARD)
        except FileNotFoundError:
            if not make:
                return None
        os.makedirs(os.path.dirname(self._directory), exist_ok=True)
        _make_private(self._directory)
        self._check()
        _make_private(path)
        return os.open(path, OPEN_SHARD)

    def _check(self) -> None:
        """Refuse a directory in which others may have put records for us to find."""
        status = os.stat(self._directory)
        if status.st_mode & 0o022 or status.st_uid not in (os.geteuid(), 0):
            raise StoreUnavailable(
                f"session directory {self._directory} can be written to by other users: "
                f"chown it to this user and chmod it to 700, or name a new directory inside it"
            )
        self._trusted = True

    @contextlib.contextmanager
    def _live(self, shard: int | None, key: str, size: int = HEADER) -> Iterator[_Record | None]:
        """The open record with its first *size* bytes, or None: missing, expired, or not ours."""
        file = None if shard is None else open_record(shard, name_of(key))
        if file is None:
            yield None
            return
        try:
            status = os.fstat(file)
            record = None
            if stat.S_ISREG(status.st_mode) and status.st_mtime > self._clock():
                head = os.read(file, size)
                if len(head) >= HEADER and head.startswith(MARK):
                    record = _Record(file, status.st_size, head)
            yield record
        finally:
            os.close(file)


def _shard_of(key: str) -> str:
    return SHARDS[zlib.crc32(key.encode()) & 0xFF]


def _make_private(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # the umask may have taken something away
