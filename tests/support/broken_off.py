"""Operations of a store that a signal handler breaks off, at any moment, by raising.

As a program: ``python -m tests.support.broken_off KIND URL BREAKS`` prints what came of it.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from tests.support.patience import patient_url
from wsgi_sessions import StoreUnavailable, open_store

__all__ = ["GIVEN", "Outcome", "breaks_of"]

LATER = 4_000_000_000.0


class Broken(BaseException):
    """What the handler raises."""


class BrokenAsError(Exception):
    """Half of the handlers in the world raise one of these."""


class Outcome(NamedTuple):
    broken: int
    """Operations that the handler has broken off."""
    wrong: int
    """Answers of later operations that were not theirs."""
    unavailable: int
    """Later operations that failed, on a healthy server."""
    leaked: int
    """Descriptors that are open after the store was closed, and were not before it was made."""
    slots: int
    """Connections that a pool which was handed in believes to be in use."""


def _redis(url: str, **options: Any) -> Any:
    import redis

    return redis.Redis.from_url(url, max_connections=4, socket_timeout=20, **options)


def _blocking_redis(url: str) -> Any:
    import redis

    pool = redis.BlockingConnectionPool.from_url(url, max_connections=2, timeout=5)
    return redis.Redis.from_pool(pool)


def _traced_redis(url: str) -> Any:
    class Traced(type(_redis(url))):  # type: ignore[misc]
        """As tracing does it: the store has to call its methods."""

    return Traced.from_url(url, max_connections=4, socket_timeout=20)


def _cluster(url: str) -> Any:
    import redis

    return redis.RedisCluster.from_url(url.replace("redis+cluster", "redis").partition(",")[0])


def _valkey(url: str) -> Any:
    import valkey

    return valkey.Valkey.from_url(url, max_connections=4)


def _memcached(url: str) -> Any:
    from pymemcache.client.base import PooledClient

    return PooledClient(url.partition("://")[2], max_pool_size=2, timeout=20)


def _mongodb(url: str) -> Any:
    from pymongo import MongoClient

    return MongoClient(url.rpartition("/")[0], maxPoolSize=2)


def _engine(url: str) -> Any:
    from sqlalchemy import create_engine
    from sqlalchemy.event import listen

    drivers = {"mysql": "pymysql", "postgresql": "psycopg", "sqlite": "pysqlite"}
    scheme = url.partition(":")[0]
    url = url.replace(scheme, f"{scheme}+{drivers[scheme]}", 1)
    engine = create_engine(url, pool_size=2, max_overflow=0, pool_timeout=5)
    if scheme == "sqlite":  # this is not about slow disks
        listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous = OFF"))
    return engine


GIVEN: dict[str, Callable[[str], Any]] = {
    "redis client": _redis,
    "redis blocking client": _blocking_redis,
    "redis traced client": _traced_redis,
    "redis cluster client": _cluster,
    "valkey client": _valkey,
    "memcached client": _memcached,
    "mongodb client": _mongodb,
    "postgresql engine": _engine,
    "mariadb engine": _engine,
    "sqlite engine": _engine,
}
"""What an application would hand in, of the store at a URL."""


def _store(kind: str, url: str) -> tuple[Any, Any]:
    from wsgi_sessions import MemcachedStore, MongoDBStore, RedisStore, SQLAlchemyStore

    if kind not in GIVEN:
        return open_store(patient_url(url)), None
    given = GIVEN[kind](url.partition("?")[0])
    makers: dict[str, Callable[[Any], Any]] = {
        "engine": SQLAlchemyStore,
        "memcached client": MemcachedStore,
        "mongodb client": MongoDBStore,
    }
    make = makers.get(kind, makers.get(kind.rpartition(" ")[2], RedisStore))
    return make(given), given


def breaks_of(kind: str, url: str, breaks: int) -> Outcome:
    """What comes of that many breaks, in a process of its own."""
    command = [sys.executable, "-m", __name__, kind, url, str(breaks)]
    limit = 120 + breaks / 5
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-3000:]}"
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


class _Visitor:
    """Uses *store*, and knows what each answer has to be."""

    def __init__(self, store: Any, random_: random.Random) -> None:
        self.store = store
        self.random = random_
        self.keys = [os.urandom(8).hex() for _ in range(3)]
        self.versions = {key: self._create(key) for key in self.keys}
        self.wrong = self.unavailable = 0

    def _create(self, key: str) -> Any:
        return self.store.save(key, key.encode(), expires_at=LATER, replacing=None)

    def one_of_four(self) -> Callable[[], object]:
        """An operation to be broken off."""
        key, other = self.random.sample(self.keys, 2)
        store, version = self.store, self.versions[key]
        operations: list[Callable[[], object]] = [
            lambda: store.load(key),
            lambda: store.save(key, key.encode(), expires_at=LATER, replacing=version),
            lambda: store.save(other, b"", expires_at=LATER, replacing=None),
            lambda: store.delete(os.urandom(8).hex()),
        ]
        return self.random.choice(operations)

    def look(self) -> None:
        """Load each key, and replace one of them."""
        try:
            for key in self.keys:
                found = self.store.load(key)
                self.wrong += found is None or found.data != key.encode()
                self.versions[key] = found and found.version
            key = self.random.choice(self.keys)
            version = self.versions[key]
            saved = self.store.save(key, key.encode(), expires_at=LATER, replacing=version)
            if saved is None:  # what was broken off before has come in between
                found = self.store.load(key)
                self.wrong += found is None or found.version == version
        except StoreUnavailable:
            self.unavailable += 1


def _broken_off(operation: Callable[[], object], after: float) -> bool:
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, after)
            operation()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (Broken, BrokenAsError):
        return True
    except StoreUnavailable:
        return False
    return False


def _usual_seconds(visitor: _Visitor) -> float:
    started = time.perf_counter()
    for _ in range(20):
        visitor.one_of_four()()
    return (time.perf_counter() - started) / 20


def _close(store: Any, given: Any) -> None:
    for one in (store, given):
        for name in ("close", "dispose"):
            getattr(type(one), name, lambda _: None)(one)


def _descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def _slots(given: Any) -> int:
    from sqlalchemy import Engine
    from sqlalchemy.pool import QueuePool

    if isinstance(given, Engine) and isinstance(given.pool, QueuePool):
        return given.pool.checkedout()
    pool = vars(given).get("connection_pool") if given is not None else None
    return len(getattr(pool, "_in_use_connections", ()))


def main(kind: str, url: str, breaks: int) -> Outcome:
    random_ = random.Random(breaks)
    with suppress(StoreUnavailable):  # whatever is imported or made once
        warm, given = _store(kind, url)
        _Visitor(warm, random_).look()
        _close(warm, given)
    before = _descriptors()
    store, given = _store(kind, url)
    visitor = _Visitor(store, random_)
    limit = 1.2 * _usual_seconds(visitor)
    signal.signal(signal.SIGALRM, lambda *_: _raise(random_))
    broken = 0
    while broken < breaks:
        broken += _broken_off(visitor.one_of_four(), random_.uniform(1e-6, limit))
        visitor.look()
    slots, wrong, unavailable = _slots(given), visitor.wrong, visitor.unavailable
    _close(store, given)
    del store, given, visitor
    return Outcome(broken, wrong, unavailable, _descriptors() - before, slots)


def _raise(random_: random.Random) -> None:
    raise random_.choice((Broken, BrokenAsError))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(60 + int(sys.argv[3]) / 10)  # where it hangs, if it does
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))._asdict()))
