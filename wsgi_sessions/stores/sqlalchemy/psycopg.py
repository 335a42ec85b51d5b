"""psycopg's connection with the time limits that libpq lacks.

libpq counts the time to connect in whole seconds, from 2, and waits for an answer forever.
psycopg waits in a loop around a generator that says what it waits for; here that generator is
wrapped in one that looks at the clock whenever it goes on.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from time import monotonic
from typing import Any, ClassVar, TypeVar

from psycopg import Connection, OperationalError

from wsgi_sessions.stores.sqlalchemy.limits import Limits

Result = TypeVar("Result")
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


def connect(limits: Limits, *args: Any, **options: Any) -> BoundedConnection:
    """A connection that keeps to *limits*."""
    return _class_with(limits).connect(*args, **options)


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
