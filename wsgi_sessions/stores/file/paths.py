"""Work in a shard by paths: on Windows, and wherever ``fcntl`` or ``dir_fd`` is missing.

The lock is an exclusive transaction of SQLite on an empty file, ``lock``, in each shard: SQLite has
a lock between processes on every system, which goes with a process that is killed, and excludes the
threads of one process from each other too. A file that is created for the purpose and removed again
could not do this: that of a killed process would stay, and nobody could remove it without a race.

Rules for maintainers:

* Nothing but SQLite may open and close that file: on POSIX closing it anywhere in the process gives
  the lock away.
* Windows refuses to replace, remove or open a file at the moment in which another process has it
  open or removes it; so these are tried again for as long as a lock may be waited for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wsgi_sessions.stores.file.layout import (
    UNFINISHED,
    clamped,
    name_aside,
    opened,
    records_among,
)

T = TypeVar("T")

LOCK = "lock"
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0) | getattr(os, "O_CLOEXEC", 0)
OPEN_RECORD = os.O_RDONLY | _BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY

IN_USE = (5, 32)
"""``ERROR_ACCESS_DENIED`` and ``ERROR_SHARING_VIOLATION`` of Windows."""


@dataclass(slots=True)
class Shard:
    """A directory, its lock while that is held, and how long to wait for others."""

    path: str
    seconds: float
    lock: sqlite3.Connection | None = None


def open_shard(path: str, seconds: float) -> Shard:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return Shard(path, seconds)


def close_shard(shard: Shard) -> None:
    """Nothing is open."""


def lock_shard(shard: Shard, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    pause = 0.0001
    # SQLite's own waiting would hold up all greenlets of a thread.
    file = os.path.join(shard.path, LOCK)
    try:
        lock = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"the lock failed: {error}") from error
    try:
        while not _begin(lock):
            if time.monotonic() > deadline:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            time.sleep(pause)
            pause = min(pause * 2, 0.005)
    except BaseException:
        lock.close()
        raise
    shard.lock = lock


def _begin(lock: sqlite3.Connection) -> bool:
    """Whether the lock is ours now."""
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            return False
        raise OSError(errno.EIO, f"the lock failed: {error}") from error
    return True


def unlock_shard(shard: Shard) -> None:
    if shard.lock is not None:
        shard.lock.close()
        shard.lock = None


def open_record(shard: Shard, name: str) -> int | None:
    path = os.path.join(shard.path, name)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        return _patiently(shard, lambda: opened(path, OPEN_RECORD))
    except FileNotFoundError:
        return None


def write_record(shard: Shard, name: str, content: bytes, expires_at: float, mode: int) -> None:
    remove(shard, UNFINISHED)
    unfinished, path = os.path.join(shard.path, UNFINISHED), os.path.join(shard.path, name)
    for place in (unfinished, path):
        if os.path.isdir(place) and not os.path.islink(place):
            os.rename(place, name_aside(place))
    file = None
    try:
        try:
            file = opened(unfinished, CREATE, mode)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            if file is not None:
                os.close(file)
        expires_at = clamped(expires_at)
        os.utime(unfinished, (expires_at, expires_at))
        _patiently(shard, lambda: os.replace(unfinished, path))
    except BaseException:
        remove(shard, UNFINISHED)
        raise


def expiry_of(shard: Shard, name: str) -> float | None:
    try:
        return os.lstat(os.path.join(shard.path, name)).st_mtime
    except FileNotFoundError:
        return None


def remove(shard: Shard, name: str) -> None:
    path = os.path.join(shard.path, name)
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        if not os.path.isdir(path) or os.path.islink(path):  # Windows says "access denied" for one
            _patiently(shard, lambda: os.unlink(path))


def listing(shard: Shard) -> list[tuple[str, float]]:
    with os.scandir(shard.path) as entries:
        return records_among(entries)


def _patiently(shard: Shard, operation: Callable[[], T]) -> T:
    """What *operation* returns, once no other process has the file open."""
    deadline = time.monotonic() + shard.seconds
    while True:
        try:
            return operation()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in IN_USE or time.monotonic() > deadline:
                raise
        time.sleep(0.001)
