"""The stores that are broken, each with its faults."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.soak.faults import Target
from tests.soak.targets.documents import dynamodb, mongodb
from tests.soak.targets.embedded import file, sqlite
from tests.soak.targets.memcached import memcached, three_memcached
from tests.soak.targets.redis import redis, redis_cluster, redis_sentinel
from tests.soak.targets.sql import mariadb, postgresql

TARGETS: dict[str, Callable[[Path], AbstractContextManager[Target]]] = {
    "redis": redis,
    "redis-cluster": redis_cluster,
    "redis-sentinel": redis_sentinel,
    "memcached": memcached,
    "memcached-three": three_memcached,
    "sqlite": sqlite,
    "file": file,
    "postgresql": postgresql,
    "mariadb": mariadb,
    "mongodb": mongodb,
    "dynamodb": dynamodb,
}
