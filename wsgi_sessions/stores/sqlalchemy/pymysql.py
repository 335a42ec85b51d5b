"""PyMySQL's connection with time limits for an answer as a whole.

PyMySQL's own limit is for each piece of an answer, so one that drips in is waited for as long as it
drips. Here the file that it reads from looks at the clock between the pieces.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, ClassVar

from pymysql.connections import Connection  # type: ignore[import-untyped,unused-ignore]
from pymysql.err import MySQLError  # type: ignore[import-untyped,unused-ignore]

from wsgi_sessions.stores.sqlalchemy.limits import Limits
from wsgi_sessions.stores.sqlalchemy.pooler import Pooler


class BoundedConnection(Connection):  # type: ignore[misc,unused-ignore]
    """Waits a bounded time for the server, and is closed if that was not enough."""

    _reader: BoundedReader | None = None
    _deadline = 0.0
    _unverified: ClassVar[Any] = None

    def __init__(self, limits: Limits, *args: Any, **options: Any) -> None:
        self._limits = limits
        super().__init__(*args, **options)  # which connects

    def _create_ssl_ctx(self, options: Any) -> Any:
        """The TLS context; that for no options, which verifies nothing, is made once.

        PyMySQL reads all certificates of the host for it, at each connection: 60 ms of CPU.
        """
        if options:
            return super()._create_ssl_ctx(options)
        if BoundedConnection._unverified is None:
            BoundedConnection._unverified = super()._create_ssl_ctx(options)
        return BoundedConnection._unverified

    @property
    def _rfile(self) -> BoundedReader | None:
        return self._reader

    @_rfile.setter
    def _rfile(self, file: Any) -> None:
        if self._reader is not None and file is None:
            self._reader.close()  # some versions leave that to the garbage collector
        self._reader = None if file is None else BoundedReader(file, self)

    def connect(self, *args: Any, **kwargs: Any) -> None:
        self.begin(self._limits.login)
        super().connect(*args, **kwargs)

    def query(self, *args: Any, **kwargs: Any) -> Any:
        self.begin(self._limits.answer)
        return super().query(*args, **kwargs)

    def begin(self, seconds: float) -> None:
        """What is read from now on has to be there within *seconds*."""
        self._deadline = monotonic() + seconds

    def overdue(self) -> bool:
        return monotonic() > self._deadline


class BoundedReader:
    """Reads from a file piece by piece, as long as the connection has time."""

    def __init__(self, file: Any, connection: BoundedConnection) -> None:
        self._file, self._connection = file, connection

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._file.read1(size - len(data))
            if not piece:
                break
            data = data + piece if data else piece
            if self._connection.overdue():
                raise TimeoutError("timed out")
        return data

    def close(self) -> None:
        self._file.close()


def connect(limits: Limits, pooler: Pooler, *args: Any, **options: Any) -> BoundedConnection:
    """A connection that keeps to *limits*; without settings of a session, if there is a *pooler*,
    which is noted if it refuses them."""
    settings = options.pop("init_command")
    connection = BoundedConnection(limits, *args, **options)
    if pooler.present:
        return connection
    try:
        with connection.cursor() as cursor:
            cursor.execute(settings)
        return connection
    except BaseException as error:
        was_open = connection.open
        connection.close()
        if not (was_open and isinstance(error, MySQLError)):
            raise
    pooler.present = True
    return BoundedConnection(limits, *args, **options)
