"""What is in the directory of a :class:`~wsgi_sessions.stores.file.store.FileStore`, and what the
store needs to work in it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import starmap
from typing import Any, Protocol

MARK = b"wss1"
HEADER = len(MARK) + 16  # the mark and the version
LAST_EXPIRY = 2.0**33  # in the year 2242; file systems end in 2446
UNFINISHED = "unfinished"
"""The file that a writer fills, in each shard; a killed one may leave it."""


class Shards(Protocol):
    """The operations in one of the directories, a *shard*: by :mod:`descriptors` where the system
    has what that needs, else by :mod:`paths`. All raise ``OSError``."""

    def open_shard(self, path: str, seconds: float, /) -> Any:
        """The shard at *path*, to be closed; ``FileNotFoundError`` if there is none. *seconds* is
        how long an operation may wait for another process."""

    def close_shard(self, shard: Any, /) -> None: ...

    def lock_shard(self, shard: Any, seconds: float, /) -> None:
        """Wait for the shard's lock, but not for a process that was stopped while it held it."""

    def unlock_shard(self, shard: Any, /) -> None: ...

    def open_record(self, shard: Any, name: str, /) -> int | None:
        """The descriptor of the regular file *name*; ``None`` if there is none."""

    def write_record(
        self, shard: Any, name: str, content: bytes, expires_at: float, mode: int, /
    ) -> None:
        """Put *content* under *name* in one step, as a file of that *mode*. A directory in its
        place is moved aside. The shard is locked."""

    def expiry_of(self, shard: Any, name: str, /) -> float | None:
        """When the file *name* expires; ``None`` if there is none."""

    def remove(self, shard: Any, name: str, /) -> None:
        """A directory stays: it is not a record, so nothing is stored there."""

    def listing(self, shard: Any, /) -> list[tuple[str, float]]:
        """The key and the expiry of each record in the shard."""


def opened(path: str, flags: int, mode: int = 0o777, *, directory: int | None = None) -> int:
    """A descriptor, as of ``os.open``. It is open only if the caller gets it: after a call Python
    runs signal handlers before it stores the result, and one that raises would leave it open; not
    so while the result is unpacked."""
    if directory is None:
        [descriptor] = map(os.open, (path,), (flags,), (mode,))  # at half the cost
        return descriptor
    [descriptor] = starmap(partial(os.open, dir_fd=directory), ((path, flags, mode),))
    return descriptor


def name_aside(name: str) -> str:
    """Another name for what is in the place of the file *name* and is none; no record has it."""
    return f"{name}.{os.urandom(4).hex()}"


def name_of(key: str) -> str:
    """The name of a record's file."""
    return key.encode().hex()


def clamped(expires_at: float) -> float:
    """A time that every file system can keep."""
    return min(max(expires_at, 0.0), LAST_EXPIRY)


def records_among(entries: Iterable[os.DirEntry[str]]) -> list[tuple[str, float]]:
    """The key and the expiry of each record among the *entries* of a shard."""
    found: list[tuple[str, float]] = []
    for entry in entries:
        with suppress(ValueError, FileNotFoundError):
            key = bytes.fromhex(entry.name).decode("ascii")
            if name_of(key) == entry.name and entry.is_file(follow_symlinks=False):
                found.append((key, entry.stat(follow_symlinks=False).st_mtime))
    return found
