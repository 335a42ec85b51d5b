"""The directory of a FileStore: files that expire, in shards that are locked to be written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.file.layout import HEADER, MARK, UNFINISHED, Shards, name_of
from wsgi_sessions.stores.place import check_private

try:
    from wsgi_sessions.stores.file import descriptors as _shards
except (ImportError, AttributeError):  # no fcntl, no O_DIRECTORY: Windows
    from wsgi_sessions.stores.file import paths as _shards  # type: ignore[no-redef]

__all__ = ["FIRST_READ", "SHARDS", "Directory", "shard_of"]

shards: Shards = _shards
"""How shards are worked in on this system."""

FIRST_READ = 16_384  # most records; allocating more costs every read what a second read costs few
BUSY = (errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Somebody holds the lock, or nothing may be written; all else may be a file system that hangs."""
SHARDS = [f"{number:02x}" for number in range(256)]


class _Record(NamedTuple):
    file: int
    size: int
    expires_at: float
    head: bytes

    @property
    def version(self) -> bytes:
        return self.head[len(MARK) : HEADER]

    @property
    def data(self) -> bytes:
        """Reads on, if it was opened with its first :data:`FIRST_READ` bytes."""
        content = self.head
        if self.size > FIRST_READ:
            while more := os.read(self.file, self.size):
                content += more
        return content[HEADER:]


class Directory:
    """That at *path*, for its owner alone, or with *group* for its group too. A lock is waited for
    *seconds*."""

    def __init__(
        self, path: str, *, group: bool, seconds: float, clock: Callable[[], float]
    ) -> None:
        self.path: str = path
        self._group = group
        self._seconds = seconds
        self._clock = clock
        self._trusted: tuple[int, ...] = ()

    @contextlib.contextmanager
    def shard(self, name: str, *, make: bool = False, lock: bool = False) -> Iterator[Any]:
        """The open shard, or None if there is none. Faults become StoreUnavailable."""
        shard = None
        try:
            path = f"{self.path}{os.sep}{name}"
            try:
                try:
                    self._check()
                    shard = shards.open_shard(path, self._seconds)
                except FileNotFoundError:
                    shard = self._make_shard(path) if make else None
                if lock and shard is not None:
                    shards.lock_shard(shard, self._seconds)
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
                f"session directory {self.path}: {reason}",
                applied=False,
                busy=error.errno in BUSY,
            ) from error

    @contextlib.contextmanager
    def live(self, shard: Any, key: str, size: int = HEADER) -> Iterator[_Record | None]:
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
                    record = _Record(file, status.st_size, status.st_mtime, head)
            yield record
        finally:
            if file is not None:
                os.close(file)

    def write(self, shard: Any, key: str, data: bytes, expires_at: float) -> bytes:
        """Put a record into the locked *shard*; its version."""
        version = os.urandom(HEADER - len(MARK))
        mode = 0o660 if self._group else 0o600
        shards.write_record(shard, name_of(key), MARK + version + data, expires_at, mode)
        return version

    def remove(self, shard: Any, key: str) -> None:
        """From the locked *shard*."""
        shards.remove(shard, name_of(key))

    def listing(self, name: str) -> list[tuple[str, float]]:
        """The key and the expiry of each record in the shard *name*."""
        with self.shard(name) as shard:
            return shards.listing(shard)

    def purge(self, name: str, limit: int) -> int:
        """Remove up to *limit* expired records of the shard *name*, and what killed writers left;
        the number of records."""
        removed, now = 0, self._clock()
        expired = [key for key, expires_at in self.listing(name) if expires_at <= now][:limit]
        for key in expired:
            with self.shard(name, lock=True) as shard:
                if shard is not None and shards.expiry_of(shard, name_of(key)) <= now:
                    shards.remove(shard, name_of(key))
                    removed += 1
        with self.shard(name, lock=True) as shard:
            if shard is not None:
                shards.remove(shard, UNFINISHED)  # no writer is at work while we hold the lock
        return removed

    def _make_shard(self, path: str) -> Any:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._make(self.path)
        self._check()
        self._make(path)
        return shards.open_shard(path, self._seconds)

    def _make(self, path: str) -> None:
        """The directory *path*, of the group of the one around it if that shares the sessions."""
        with contextlib.suppress(FileExistsError):
            if not self._group:
                os.mkdir(path, 0o700)
                os.chmod(path, 0o700)  # the umask may have taken something away
                return
            os.mkdir(path, 0o770)
            if path != self.path:
                with contextlib.suppress(OSError, AttributeError):  # setgid has done it; Windows
                    os.chown(path, -1, os.stat(self.path).st_gid)
            os.chmod(path, 0o2770)

    def _check(self) -> None:
        """Refuse a directory in which others may have put records for us to find. One system call,
        each time: another directory may be in its place."""
        status = os.stat(self.path)
        seen = (status.st_dev, status.st_ino, status.st_mode, status.st_uid)
        if seen != self._trusted:
            check_private(f"session directory {self.path}", status, group=self._group)
            self._trusted = seen


def shard_of(key: str) -> str:
    return SHARDS[zlib.crc32(key.encode()) & 0xFF]
