"""The directory of a FileStore: files that expire, in shards that are locked to be written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.file.layout import HEADER, MARK, UNFINISHED, Shards, name_of
from wsgi_sessions.stores.place import check_private

try:
    from wsgi_sessions.stores.file import descriptors as _shards
except (ImportError, AttributeError):  # no fcntl, no O_DIRECTORY: Windows
    from wsgi_sessions.stores.file import paths as _shards  # type: ignore[no-redef]

__all__ = ["SHARDS", "Directory", "Record", "shard_of"]

T = TypeVar("T")

shards: Shards = _shards
"""How shards are worked in on this system."""

FIRST_READ = 16_384  # most records; allocating more costs every read what a second read costs few
BUSY = (errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Somebody holds the lock, or nothing may be written; all else may be a file system that hangs."""
SHARDS = [f"{number:02x}" for number in range(256)]


class Record(NamedTuple):
    """What a file holds, and until when."""

    data: bytes
    version: bytes
    expires_at: float


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

    def within(
        self,
        name: str,
        work: Callable[..., T],
        *arguments: Any,
        make: bool = False,
        lock: bool = False,
    ) -> T | None:
        """What *work* returns for the open shard *name* and *arguments*; ``None`` if there is no
        shard. Faults become StoreUnavailable."""
        shard = None
        try:
            path = f"{self.path}{os.sep}{name}"
            # All in this function: a signal handler that raises may come before any other begins.
            try:
                try:
                    self._check()
                    shard = shards.open_shard(path, self._seconds)
                except FileNotFoundError:
                    if not make:
                        return None
                    shard = self._make_shard(path)
                if lock:
                    shards.lock_shard(shard, self._seconds)
                return work(shard, *arguments)
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

    def record(self, shard: Any, key: str, *, whole: bool = True) -> Record | None:
        """The live record, or None if there is none; if not *whole*, without data."""
        file = None
        try:
            file = shards.open_record(shard, name_of(key))
            if file is None:
                return None
            status = os.fstat(file)
            expires_at = status.st_mtime
            if expires_at <= self._clock() or not stat.S_ISREG(status.st_mode):
                return None
            content = os.read(file, FIRST_READ if whole else HEADER)
            if len(content) < HEADER or not content.startswith(MARK):
                return None
            if whole and status.st_size > FIRST_READ:
                while more := os.read(file, status.st_size):
                    content += more
            return Record(content[HEADER:], content[len(MARK) : HEADER], expires_at)
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
        return self.within(name, shards.listing) or []

    def purge(self, name: str, limit: int) -> int:
        """Remove up to *limit* expired records of the shard *name*, and what killed writers left;
        the number of records."""
        now = self._clock()
        listed, unfinished = self.within(name, self._look_through) or ([], False)
        expired = [key for key, expires_at in listed if expires_at <= now][:limit]
        removed = sum(
            self.within(name, self._remove_expired, key, now, lock=True) or 0 for key in expired
        )
        if unfinished:  # by a killed writer, if it is still there when no other is at work
            self.within(name, shards.remove, UNFINISHED, lock=True)
        return removed

    @staticmethod
    def _look_through(shard: Any) -> tuple[list[tuple[str, float]], bool]:
        """The records of the shard, and whether there is an unfinished one."""
        return shards.listing(shard), shards.expiry_of(shard, UNFINISHED) is not None

    @staticmethod
    def _remove_expired(shard: Any, key: str, now: float) -> bool:
        expires_at = shards.expiry_of(shard, name_of(key))
        if expires_at is None or expires_at > now:
            return False
        shards.remove(shard, name_of(key))
        return True

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
