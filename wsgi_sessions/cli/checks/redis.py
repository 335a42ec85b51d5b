"""What is not so at a Redis or Valkey server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import wsgi_sessions.cli.checks.checks as health
from wsgi_sessions.cli.checks.checks import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.redis import Server

if TYPE_CHECKING:
    from wsgi_sessions.stores.redis import RedisStore

MINIMUM = {"Redis": "6.0", "Valkey": "7.2"}


def findings(store: RedisStore, server: Server, url: str) -> Iterator[Finding]:
    """As :meth:`~wsgi_sessions.cli.checks.checks.Checkable.findings`. Of a cluster whose client was
    handed in, one node is asked about itself. *url* is empty for a client."""
    yield from health.clients("redis")
    info = _info(server)
    if url and isinstance(info, dict) and info.get("redis_mode", "standalone") != "standalone":
        yield _wrong_kind(info["redis_mode"])
        return
    yield health.reach_by_load(store, "Redis")
    if url:  # of a client that was handed in, whoever made it knows
        yield from _exposure(server, url)
    try:
        yield health.clock(lambda: _server_time(server))
    except StoreUnavailable as error:
        yield health.not_asked("the server's clock (TIME)", error)
    if isinstance(info, dict):
        yield from _of_server(info)
        yield from _persistence(server, info)
    else:
        yield health.not_asked("version, memory and persistence (INFO)", info)
    yield health.probe(store)


def _info(server: Server) -> dict[str, str] | StoreUnavailable:
    """The fields of INFO; or why there are none."""
    try:
        reply = _ask(server, "INFO")
    except StoreUnavailable as error:
        return error
    if isinstance(reply, dict):  # a client that was handed in has parsed it
        return {str(name): str(value) for name, value in reply.items()}
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _wrong_kind(mode: str) -> Finding:
    remedy = {
        "cluster": "RedisStore(redis.cluster.RedisCluster(…))",
        "sentinel": "RedisStore(redis.sentinel.Sentinel(…).master_for(name))",
    }
    return Finding(
        Level.ERROR,
        f"this server runs in {mode} mode",
        "a URL is for one server, which answers for all keys",
        f"{remedy.get(mode, 'another server')} in the program; check each master by its own URL",
    )


def _exposure(server: Server, url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    verifies = query.get("ssl_cert_reqs", ["required"])[-1].lower() == "required"
    host = None if parts.scheme == "unix" else parts.hostname
    password = bool(parts.password or query.get("password"))
    yield from health.exposure(
        [host],
        encrypted=parts.scheme in ("rediss", "valkeys"),
        verified=verifies,
        password=password,
    )
    if password and _lets_anybody_in(server):
        yield Finding(
            Level.NOTE if health.is_local(host) else Level.WARNING,
            "the server's user 'default' has no password",
            "whoever reaches the server can read, change and end sessions without one",
            "ACL SETUSER default resetpass >PASSWORD, or ACL SETUSER default off",
        )


def _lets_anybody_in(server: Server) -> bool:
    """Whether the default user needs no password, as far as we may know."""
    try:
        reply = _ask(server, "ACL", "GETUSER", "default")
    except StoreUnavailable:
        return False
    flags = dict(zip(reply[::2], reply[1::2], strict=False)) if isinstance(reply, list) else reply
    names = {_text(flag) for flag in flags.get(b"flags") or flags.get("flags") or ()}
    return {"on", "nopass"} <= names


def _server_time(server: Server) -> float:
    seconds, microseconds = _ask(server, "TIME")
    return int(seconds) + int(microseconds) / 1e6


def _of_server(info: dict[str, str]) -> Iterator[Finding]:
    kind = "Valkey" if "valkey_version" in info else "Redis"
    yield health.version(kind, info.get(f"{kind.lower()}_version", "0"), MINIMUM[kind])
    yield _eviction(info.get("maxmemory_policy", "unknown"), int(info.get("maxmemory", 0)))
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


def _eviction(policy: str, maxmemory: int) -> Finding:
    limit = f"maxmemory {maxmemory:,} bytes" if maxmemory else "no maxmemory"
    what = f"maxmemory-policy is {policy}, {limit}"
    if policy in ("noeviction", "volatile-ttl"):
        return Finding(Level.OK, what)
    return Finding(
        Level.WARNING,
        what,
        "any session may vanish at any time once the memory is full",
        "CONFIG SET maxmemory-policy noeviction (or volatile-ttl), and in redis.conf",
    )


def _persistence(server: Server, info: dict[str, str]) -> Iterator[Finding]:
    if info.get("aof_enabled") == "1":
        yield Finding(Level.OK, "append-only file on: sessions survive a restart")
        return
    try:
        reply = _ask(server, "CONFIG", "GET", "save")
    except StoreUnavailable as error:
        yield health.not_asked("snapshots (CONFIG GET save)", error)
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


def _ask(server: Server, *command: str) -> Any:
    return server.call(command, server.deadline())


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
