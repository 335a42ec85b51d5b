"""How :class:`~wsgi_sessions.stores.dynamodb.store.DynamoDBStore` reaches its table: one client
for each process, connections that are not old, and what is sent a second time."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable
from typing import TypeVar

from wsgi_sessions.errors import StoreError, StoreUnavailable
from wsgi_sessions.stores.dynamodb.client import (
    Refused,
    RepeatableFault,
    Table,
    TableMissing,
    check_place,
    check_table,
    faults_translated,
    own_table,
)
from wsgi_sessions.stores.dynamodb.table import ensure_table, request_for
from wsgi_sessions.stores.repeating import Repeating
from wsgi_sessions.stores.shelter import sheltered
from wsgi_sessions.stores.timeouts import Timeouts

__all__ = ["Command", "Connections"]

_T = TypeVar("_T")

MAX_AGE_SECONDS = 30.0
"""After which all connections are replaced: urllib3 does not say how long each was idle, and what
stands between may forget an idle one without a word."""

PAUSE_SECONDS = 0.05
"""Before a second attempt after a server's own fault, and at most; on average half of it."""

Command = Callable[[Table], _T]

logger: logging.Logger = logging.getLogger("wsgi_sessions")


class Connections(Repeating[Table]):
    """One client for each process that uses the store. None is made before it is used."""

    called = "DynamoDB"

    def __init__(
        self,
        table_or_name: Table | str,
        region: str | None,
        endpoint_url: str | None,
        timeouts: Timeouts,
        *,
        create: bool,
    ) -> None:
        check_table(table_or_name)
        self.own: bool = isinstance(table_or_name, str)
        self._table: Table | None = None
        if isinstance(table_or_name, str):
            check_place(region, endpoint_url)
            self.name: str = table_or_name
        else:
            self._table, self.name = table_or_name, table_or_name.name
        self._place = region, endpoint_url, timeouts
        self._create, self._to_prepare = create, create
        # By process: a child needs connections of its own, and keeps its parent's client, because
        # to drop that could be to speak on the parent's connections.
        self._tables: dict[int, Table] = {}
        self._made_in = os.getpid()
        self._opened = 0.0
        self._kept = False  # whether there may be a connection that was used before

    def current(self) -> Table:
        """That of this process, with no connection older than 30 s."""
        process, now = os.getpid(), time.monotonic()
        table = self._tables.get(process)
        if table is None:  # of several threads one is first; the others' have not connected
            table = self._tables.setdefault(process, self._connect())
            self._opened, self._kept = now, False
        elif now - self._opened > MAX_AGE_SECONDS:
            self._drop(table)
        return table

    def prepare(self) -> None:
        """Make what is missing of the table, once in each process. Where the right to look at it is
        missing, the log says so: sessions can still be stored."""
        if not self._to_prepare:
            return
        try:
            sheltered(self._ensure)
        except Refused as error:
            self._to_prepare = False
            logger.warning(
                "index and time to live of DynamoDB's table %s were not looked at: %s; "
                "create=False says that they exist",
                *(self.name, error),
            )

    def ddl(self) -> str:
        """The arguments of CreateTable, as JSON."""
        return json.dumps(request_for(self.name), indent=2)

    def close(self) -> None:
        """Close the idle connections of this process, unless the table was handed in."""
        table = self._tables.get(os.getpid())
        if table is not None:
            self._drop(table)

    def _ensure(self) -> None:
        try:
            ensure_table(self.current())
        except RepeatableFault as fault:  # of the record nothing was sent yet
            raise StoreUnavailable(str(fault), applied=False) from fault
        self._to_prepare = False

    def _ask(self, command: Command[_T], again: Command[_T]) -> tuple[_T, bool]:
        """The answer, and whether an earlier attempt may have been done."""
        table = self.current()
        try:
            return self._once(command, table), False
        except TableMissing as error:
            if not self._create:
                raise TableMissing(
                    f"the table {self.name} does not exist in DynamoDB, and with create=False the "
                    f"store does not make it: DynamoDBStore.ddl has the request",
                    applied=False,
                ) from error
            self._ensure()
            return self._once(command, table), False
        except RepeatableFault as fault:
            if fault.connection:
                if not self._forget(table):
                    raise
            else:
                time.sleep(PAUSE_SECONDS * random.random())
            if fault.applied is False:
                return self._once(command, table), False
            try:
                return self._once(again, table), True
            except StoreUnavailable as failure:
                failure.applied = None  # the first attempt may have been carried out
                raise

    def _once(self, command: Command[_T], table: Table) -> _T:
        try:
            with faults_translated():
                answer = command(table)
        except RepeatableFault as fault:
            self._kept = self._kept or not fault.connection
            raise
        except BaseException as error:
            if not isinstance(
                error, StoreError
            ):  # of somebody else, at any moment: a lock of urllib3's pool may be held for good
                self._tables.pop(os.getpid(), None)
            raise
        self._kept = True
        return answer

    def _forget(self, table: Table) -> bool:
        """Drop all idle connections; whether one that was used before can have been at fault."""
        kept = self._kept
        self._drop(table)
        return kept

    def _drop(self, table: Table) -> None:
        """Those in use are closed by who uses them. Those of a table that was handed in are not
        ours."""
        self._opened, self._kept = time.monotonic(), False
        if self.own:
            table.meta.client.close()

    def _connect(self) -> Table:
        if self._table is None:
            with faults_translated():
                return own_table(self.name, *self._place)
        if os.getpid() != self._made_in:  # nothing may be sent on the parent's connections
            self._table.meta.client.close()
        return self._table
