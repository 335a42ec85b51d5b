"""psycopg's connection with the time limits that libpq lacks.

libpq counts the time to connect in whole seconds, from 2, and waits for an answer forever.
psycopg waits in a loop around a generator that says what it waits for; here that generator is
wrapped in one that looks at the clock whenever it goes on.

A pooler (see :mod:`~wsgi_sessions.stores.sqlalchemy.pooler`) is noticed when it refuses our
settings, or, if it ignores them, by the process that it says serves us: it makes up a number of 32
bits, and no process of Linux has one of more than 22.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import cache
from time import monotonic
from typing import Any, ClassVar, TypeVar

from psycopg import Connection, OperationalError

from wsgi_sessions.stores.sqlalchemy.limits import Limits
from wsgi_sessions.stores.sqlalchemy.pooler import Pooler

Result = TypeVar("Result")
REFUSAL = re.compile("startup parameter|command-line options")
"""What pgbouncer says, and RDS Proxy, to options of a session. There is no code for it."""
MOST_PROCESSES = 2**22
POLL_SECONDS = 0.05  # how often a wait looks at the clock


class NoAnswer(OperationalError):
    """The server said nothing for too long."""


class BoundedConnection(Connection[Any]):
    """Waits a bounded time for the server, and is closed if that was not enough."""

    limits: ClassVar[Limits]

    @classmethod
    def _connect_gen(cls, *args: Any, **kwargs: Any) -> Any:
        return bounded(super()._connect_gen(*args, **kwargs), cls.limits.login)

    def wait(self, gen: Any, interval: float = POLL_SECONDS, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().wait(bounded(gen, self.limits.answer), interval, *args, **kwargs)
        except NoAnswer:
            self.pgconn.finish()  # the answer may still come: nobody may take it for the next one
            raise


@cache
def _class_with(limits: Limits) -> type[BoundedConnection]:
    """The class, since psycopg asks it before there is a connection."""
    return type("BoundedConnection", (BoundedConnection,), {"limits": limits})


def connect(limits: Limits, pooler: Pooler, *args: Any, **options: Any) -> BoundedConnection:
    """A connection that keeps to *limits*; without anything that a session keeps, if there is a
    *pooler*, which is noted if this connection finds it."""
    kind = _class_with(limits)
    if not pooler.present:
        try:
            connection = kind.connect(*args, **options)
        except OperationalError as error:
            if not REFUSAL.search(str(error)):
                raise
            pooler.present = True
        else:
            if not 0 < connection.info.backend_pid <= MOST_PROCESSES:
                pooler.present = True
                connection.prepare_threshold = None
            return connection
    rest = options.pop("options", "").removeprefix(limits.postgresql).strip()
    if rest:
        options["options"] = rest
    options["prepare_threshold"] = None
    return kind.connect(*args, **options)


def bounded(gen: Generator[Any, Any, Result], seconds: float) -> Generator[Any, Any, Result]:
    """*gen*, ended with :exc:`NoAnswer` if it takes longer than *seconds*."""
    deadline = monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if monotonic() > deadline:
                gen.close()
                raise NoAnswer(f"no answer within {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: Result = end.value
        return result
