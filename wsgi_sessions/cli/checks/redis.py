"""Problems at a Redis or Valkey server, and their remedies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from wsgi_sessions.cli.checks.checks import (
    check_clients,
    check_clock,
    check_load_time,
    check_operations,
    check_route,
    check_version,
    is_local,
    new_key,
    not_checked,
)
from wsgi_sessions.cli.checks.finding import EVICTION, Finding, Level
from wsgi_sessions.errors import StoreError, StoreUnavailable
from wsgi_sessions.stores import Route
from wsgi_sessions.stores.redis import RedisStore

MINIMUM = {"Redis": "6.0", "Valkey": "7.2"}


def check(store: RedisStore) -> Iterator[Finding]:
    """Server, route to it, memory and persistence. Of a cluster whose client was handed in, one
    node is asked about itself."""
    route = store.route()
    yield from check_clients("redis")
    info = _info(store)
    mode = info.get("redis_mode", "standalone") if isinstance(info, dict) else "standalone"
    if route and mode != ("cluster" if store.is_cluster() else "standalone"):
        yield _wrong_kind(mode)
        return
    yield check_load_time(store, "Redis")
    if route:  # for a client that was handed in, that is the application's affair
        yield from _check_access(store, route)
    try:
        yield check_clock(lambda: _server_time(store))
    except StoreUnavailable as error:
        yield not_checked("the server's clock (TIME)", error)
    if isinstance(info, dict):
        yield from _check_server(info)
        yield from _check_persistence(store, info)
    else:
        yield not_checked("version, memory and persistence (INFO)", info)
    yield check_operations(store)
    yield from _check_large_records(store)


def _info(store: RedisStore) -> dict[str, str] | StoreUnavailable:
    """The fields of INFO; or why there are none."""
    try:
        reply = store.ask("INFO")
    except StoreUnavailable as error:
        return error
    if isinstance(reply, dict):  # a client that was handed in has parsed it
        return {str(name): str(value) for name, value in reply.items()}
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _wrong_kind(mode: str) -> Finding:
    remedy = {
        "cluster": "redis+cluster://…, or RedisStore(redis.cluster.RedisCluster(…))",
        "sentinel": "redis+sentinel://…/name, or "
        "RedisStore(redis.sentinel.Sentinel(…).master_for(name))",
        "standalone": "redis://…",
    }
    return Finding(
        Level.ERROR,
        f"this server runs in {mode} mode",
        "the store's URL is for another kind",
        remedy.get(mode, "another server"),
    )


def _check_access(store: RedisStore, route: Route) -> Iterator[Finding]:
    yield from check_route(route)
    if route.password and _lets_anybody_in(store):
        local = all(is_local(host) for host in route.hosts)
        yield Finding(
            Level.NOTE if local else Level.WARNING,
            "the server's user 'default' has no password",
            "anyone who reaches the server can read, change and end sessions without one",
            "ACL SETUSER default resetpass >PASSWORD, or ACL SETUSER default off",
        )


def _lets_anybody_in(store: RedisStore) -> bool:
    """Whether the default user needs no password, as far as we may know."""
    try:
        reply = store.ask("ACL", "GETUSER", "default")
    except StoreUnavailable:
        return False
    flags = dict(zip(reply[::2], reply[1::2], strict=False)) if isinstance(reply, list) else reply
    names = {_text(flag) for flag in flags.get(b"flags") or flags.get("flags") or ()}
    return {"on", "nopass"} <= names


def _server_time(store: RedisStore) -> float:
    seconds, microseconds = store.ask("TIME")
    return int(seconds) + int(microseconds) / 1e6


def _check_server(info: dict[str, str]) -> Iterator[Finding]:
    kind = "Valkey" if "valkey_version" in info else "Redis"
    yield check_version(kind, info.get(f"{kind.lower()}_version", "0"), MINIMUM[kind])
    yield _check_eviction(info.get("maxmemory_policy", "unknown"), int(info.get("maxmemory", 0)))
    if int(info.get("evicted_keys", 0)):
        yield Finding(
            Level.WARNING,
            f"{info['evicted_keys']} keys were evicted since the server started",
            "sessions may have been among them",
            "more maxmemory, or a server for sessions alone",
        )
    if int(info.get("connected_slaves", 0)):
        yield Finding(
            Level.NOTE,
            f"{info['connected_slaves']} replicas",
            "a failover can lose the last writes, a logout among them",
            "wait_replicas=1 makes that unlikely",
        )


def _check_eviction(policy: str, maxmemory: int) -> Finding:
    limit = f"maxmemory {maxmemory:,} bytes" if maxmemory else "no maxmemory"
    what = f"{EVICTION} is {policy}, {limit}"
    if policy in ("noeviction", "volatile-ttl"):
        return Finding(Level.OK, what)
    return Finding(
        Level.WARNING,
        what,
        "any session may be dropped at any time once the memory is full",
        "CONFIG SET maxmemory-policy noeviction (or volatile-ttl), and in redis.conf",
    )


def _check_persistence(store: RedisStore, info: dict[str, str]) -> Iterator[Finding]:
    if info.get("aof_enabled") == "1":
        yield Finding(Level.OK, "append-only file on: sessions survive a restart")
        return
    try:
        reply = store.ask("CONFIG", "GET", "save")
    except StoreUnavailable as error:
        yield not_checked("snapshots (CONFIG GET save)", error)
        return
    parsed = isinstance(reply, dict)  # by a client that was handed in
    saves = _text((reply.get("save") or reply.get(b"save", "")) if parsed else reply[1])
    if saves:
        yield Finding(Level.OK, "snapshots on: a restart loses what came after the last")
    else:
        yield Finding(
            Level.NOTE,
            "no persistence",
            "a restart of the server ends all sessions",
            "appendonly yes, if that matters",
        )


def _check_large_records(store: RedisStore) -> Iterator[Finding]:
    """Whether the server renames; that it keeps records at all is known by now."""
    with suppress(StoreError):
        if not store.renames(new_key()):
            yield Finding(
                Level.WARNING,
                "the user may not RENAME",
                "a script writes large records, and keeps the server busy up to 170 times as long",
                "+rename, as in the ACL line of RedisStore's documentation",
            )


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
