"""The connections that a process keeps open to one SQLite database file.

How this works. A connection is acquired for one statement and released, so there are as many as
there were threads (or greenlets) inside SQLite at the same moment, whatever the number of threads
that come and go. Opening one costs more than ten statements.

Three things lose data without any error if they are done wrong
(https://sqlite.org/howtocorrupt.html):

* *No connection crosses a fork*, not even unused: SQLite would believe in the child that it holds
  the file locks of the parent. So all are closed just before a fork, and opened again when needed.
  After a fork that Python did not announce the child closes them before it opens one: that costs
  the parent nothing, and SQLite forgets the locks. (With the parent's kept open, the child's next
  connections took no lock of their own, and lost 3,000 writes of 3,000 when the parent ended.)
* *A database file that was removed or replaced* is opened anew. SQLite would go on with the one
  that has no name any more, and a process started later with the new one.
* *No other code of this process opens and closes the file*, which would drop SQLite's locks. So we
  create it (for its mode, 0600) only if it is not there, one thread at a time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from urllib.parse import quote

from wsgi_sessions.stores.forks import PerProcess, around_fork
from wsgi_sessions.stores.place import check_private_database, create_private

_lock = PerProcess(threading.RLock)
"""Held while a connection is opened or closed, and during a fork. Reentrant, because the garbage
collector may close a store during this time."""


Identity = tuple[int, int, int, int]
"""Of a file: device, number, mode, owner."""


class _Connection(sqlite3.Connection):
    identity: Identity | None = None


class Connections:
    """Connections in autocommit mode, write-ahead log, ``synchronous=NORMAL``, waiting at most
    *seconds* for a lock. Nothing is opened until the first :meth:`acquire`."""

    def __init__(self, path: str, *, create: bool, seconds: float, group: bool = False) -> None:
        self.path = path
        self._group = group
        self._trusted: Identity | None = None
        self._seconds = seconds
        self._fork_seconds = 2 * seconds  # for the statements of other threads to finish
        self._create = create
        self._idle: list[_Connection] = []
        self._open = 0
        self._pausing = False
        self._process = os.getpid()
        _all.add(self)

    def acquire(self) -> _Connection:
        """A connection to the file that is at the path now, to be released. Raises
        :exc:`~wsgi_sessions.StoreUnavailable` for a file that others may write to."""
        if self._process != os.getpid():
            self._leave_to_parent()
        if self._pausing:
            with _lock.get():  # until the fork is done
                pass
        identity = _identity(self.path)
        if identity is not None and identity != self._trusted:
            self._check()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if connection.identity == identity:
                return connection
            with _lock.get():
                self._close(connection)

    def release(self, connection: _Connection) -> None:
        self._idle.append(connection)

    def close(self) -> None:
        """Close those that are not in use. More are opened when needed."""
        with _lock.get():
            self._close_idle()

    __del__ = close

    def _check(self) -> None:
        """Refuse a file in which others may have put records for us to find."""
        check_private_database(self.path, group=self._group)
        self._trusted = _identity(self.path)

    def _connect(self) -> _Connection:
        with _lock.get():
            if self._create:
                create_private(self.path, 0o660 if self._group else 0o600)
            check_private_database(self.path, group=self._group)
            connection = sqlite3.connect(
                f"file:{quote(self.path)}?mode=rw",
                uri=True,
                timeout=self._seconds,
                isolation_level=None,
                check_same_thread=False,
                factory=_Connection,
            )
            try:
                connection.identity = _identity(self.path)
                _use_write_ahead_log(connection, self._seconds)
                connection.execute("PRAGMA synchronous = NORMAL")
                # Debian's SQLite overwrites with zeros what is deleted. Without it a purge of 50 KB
                # records holds the write lock a tenth of the time (2 ms instead of 23).
                connection.execute("PRAGMA secure_delete = FAST")
            except BaseException:
                connection.close()
                raise
            self._open += 1
            return connection

    def _close_idle(self) -> None:
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, connection: _Connection) -> None:
        connection.close()
        self._open -= 1

    def before_fork(self) -> None:
        """Close all, those too that other threads will release in a moment."""
        self._pausing = True
        deadline = time.monotonic() + self._fork_seconds
        self._close_idle()
        while self._open and time.monotonic() < deadline:
            time.sleep(0.0005)
            self._close_idle()

    def after_fork(self) -> None:
        self._pausing = False

    def _leave_to_parent(self) -> None:
        """In a child: use nothing that was inherited."""
        with _lock.get():
            if self._process != os.getpid():
                while self._idle:
                    self._idle.pop().close()
                self._open, self._pausing = 0, False
                self._process = os.getpid()


_all: weakref.WeakSet[Connections] = weakref.WeakSet()


def _before_fork() -> None:
    _lock.get().acquire()
    for connections in list(_all):
        connections.before_fork()


def _after_fork() -> None:
    for connections in list(_all):
        connections.after_fork()
    _lock.get().release()


# The child's pid is another, and so are its lock and its connections.
around_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=lambda: None)


def _identity(path: str) -> Identity | None:
    """Which file is at *path*. One system call, a twentieth of a statement."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid


def _use_write_ahead_log(connection: sqlite3.Connection, seconds: float) -> None:
    """Once in a file's life. SQLite does not wait for the lock here, so we do."""
    deadline = time.monotonic() + seconds
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("the file system cannot hold a write-ahead log")
