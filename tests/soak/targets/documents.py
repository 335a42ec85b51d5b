"""MongoDB, or FerretDB in its place, and DynamoDB's stand-in."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.dynamodb import CREDENTIALS, DynamoDBServer
from tests.servers.mongodb import MongoDBServer
from tests.servers.proxy import FaultProxy
from tests.soak.faults import Act, Fault, Target, writes
from tests.soak.targets.server import forgotten, slow_writes, stalled

MONGODB_WRITES = re.compile(rb"\x02(?:insert|update|delete|findAndModify)\x00")
DYNAMODB_WRITES = re.compile(rb"DynamoDB_20120810\.(?:Put|Update|Delete)Item")


@contextmanager
def mongodb(directory: Path) -> Iterator[Target]:
    place = directory / "mongodb"
    place.mkdir()
    server = MongoDBServer(place)
    try:
        server.restart()
        with FaultProxy(server.port) as proxy:
            faults = {
                "forgotten": forgotten(proxy),
                "slow to write": slow_writes(MONGODB_WRITES, proxy),
                "killed": Fault(server.kill, server.restart),
                "stalled": stalled(server.signal),
            }
            yield Target(f"mongodb://127.0.0.1:{proxy.port}/soak", faults, load=0.15)
    finally:
        server.signal(signal.SIGCONT)
        server.stop()


@contextmanager
def dynamodb(directory: Path) -> Iterator[Target]:
    """The stand-in keeps nothing that it could come back with, and does one request at a time."""
    server = DynamoDBServer(directory)

    def failing(code: str, status: int) -> tuple[Act, Act]:
        return (
            lambda: server.fail(code, status, times=1_000_000),
            lambda: server.fail(code, status, times=0),
        )

    def not_writable(times: int) -> Act:
        return lambda: server.fail("AccessDeniedException", 400, times=times, only_writes=True)

    try:
        server.restart()
        with FaultProxy(server.port) as proxy:
            faults = {
                "forgotten": forgotten(proxy),
                "not writable": Fault(not_writable(1_000_000), not_writable(0), writes),
                "slow to write": slow_writes(DYNAMODB_WRITES, proxy),
                "stalled": stalled(server.signal),
                "throttled": Fault(*failing("ThrottlingException", 400)),
                "failing": Fault(*failing("InternalServerError", 500)),
            }
            url = server.url("soak", proxy.port)
            yield Target(url, faults, CREDENTIALS, load=0.06)
    finally:
        server.signal(signal.SIGCONT)
        server.stop()
