"""PostgreSQL and MariaDB."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL, new_directory
from tests.servers.proxy import FaultProxy
from tests.soak.faults import Act, Fault, Target, writes
from tests.soak.targets.server import SLOW_SECONDS, forgotten, slow_writes, stalled
from tests.support.patience import wait_until

MARIADB_WRITES = re.compile(rb"\x03(?:INSERT|UPDATE|DELETE) ")

TRIGGER = """
CREATE OR REPLACE FUNCTION hindered() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN {does}; RETURN COALESCE(NEW, OLD); END$$
"""
"""What a statement that writes a row does before. To drop it would lock out those who read."""
INSTALLED = """
CREATE OR REPLACE TRIGGER hindered BEFORE INSERT OR UPDATE OR DELETE ON sessions
FOR EACH ROW EXECUTE FUNCTION hindered()
"""
SLOW = f"PERFORM pg_sleep({SLOW_SECONDS})"
ASLEEP = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
FULL = "RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'"


@contextmanager
def postgresql(directory: Path) -> Iterator[Target]:
    place = new_directory("wsgi-sessions-soak-")
    server = PostgreSQL(place)

    def hindered(does: str) -> Fault:
        def begin() -> None:
            server.execute(TRIGGER.format(does=does))
            server.execute(INSTALLED)

        def finish() -> None:
            server.execute(TRIGGER.format(does="NULL"))
            wait_until(lambda: not server.execute(ASLEEP), "no statement sleeps any more")

        return Fault(begin, finish, writes)

    def read_only(chosen: str) -> Act:
        def choose() -> None:
            server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {chosen}")
            server.execute("SELECT pg_reload_conf()")

        return choose

    try:
        server.create()
        server.start()
        with FaultProxy(server.port) as proxy:
            faults = {
                "forgotten": forgotten(proxy),
                "full": hindered(FULL),
                "not writable": Fault(read_only("on"), read_only("off"), writes),
                "slow to write": hindered(SLOW),
                "killed": Fault(server.crash, server.start),
                "stalled": stalled(server.signal_all),
            }
            url = server.url(port=proxy.port).replace("postgresql:", "postgresql+psycopg:")
            yield Target(url, faults)
    finally:
        server.crash()
        shutil.rmtree(place)


@contextmanager
def mariadb(directory: Path) -> Iterator[Target]:
    place = new_directory("wsgi-sessions-soak-")
    server = MariaDB(place)

    def setting(value: int) -> Callable[[], object]:
        return lambda: server.execute(f"SET GLOBAL read_only = {value}")

    try:
        server.create()
        server.start()
        server.prepare()
        with FaultProxy(server.port) as proxy:
            faults = {
                "forgotten": forgotten(proxy),
                "not writable": Fault(setting(1), setting(0), writes),
                "slow to write": slow_writes(MARIADB_WRITES, proxy),
                "killed": Fault(server.crash, server.start),
                "stalled": stalled(server.signal_all),
            }
            yield Target(server.url(port=proxy.port), faults)
    finally:
        server.crash()
        shutil.rmtree(place)
