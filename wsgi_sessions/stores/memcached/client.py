"""pymemcache: what its exceptions mean, and what a client that is handed in has to be."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from socket import gaierror
from ssl import SSLCertVerificationError
from typing import Any, NoReturn

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable, cannot_import
from wsgi_sessions.stores.given import check_client

# How the store calls a client's methods.
CALLS: dict[str, dict[str, Any]] = {
    "gets": {"key": "k"},
    "add": {"key": "k", "value": b"", "expire": 1, "noreply": False},
    "cas": {"key": "k", "value": b"", "cas": b"1", "expire": 1, "noreply": False},
    "delete": {"key": "k", "noreply": False},
    "close": {},
}


def pymemcache(module: str) -> Any:
    """A module of pymemcache. :exc:`ConfigurationError` if it is not installed."""
    try:
        return import_module(f"pymemcache.{module}")
    except ImportError as error:
        needs = "MemcachedStore needs pymemcache"
        raise cannot_import(error, needs, "wsgi-sessions[memcached]") from None


def check(client: Any) -> None:
    """Raise :exc:`ConfigurationError` for a client with which a fault could look like an answer,
    or data come back changed."""
    check_client(client, "gets")
    if isinstance(client, pymemcache("client.retrying").RetryingClient):
        raise ConfigurationError(
            "MemcachedStore cannot use a RetryingClient, because an add or cas that is sent again "
            "is refused on account of the first one: hand in the client inside it. The store tries "
            "again where that is safe"
        )
    if getattr(client, "ignore_exc", False):
        raise ConfigurationError(
            "MemcachedStore cannot use a client with ignore_exc=True, for which an unreachable "
            "session is a missing one: make it with ignore_exc=False"
        )
    for name, arguments in CALLS.items():
        try:
            signature(getattr(client, name)).bind(**arguments)
        except (AttributeError, TypeError, ValueError):
            raise ConfigurationError(
                f"{type(client).__name__}.{name} cannot be called like pymemcache's: "
                f"MemcachedStore takes its Client, PooledClient or HashClient, or addresses"
            ) from None
    serde = getattr(client, "serde", None)
    if serde is not None and not _keeps_bytes(serde):
        raise ConfigurationError(
            "MemcachedStore needs a client with the default serde: another one may change the "
            "bytes, or unpickle what somebody has put into Memcached"
        )


def _keeps_bytes(serde: Any) -> bool:
    """Whether *serde* hands bytes through, with whatever flags they may be stored."""
    probe = b"\xff\0 bytes"
    try:
        sent, _ = serde.serialize("key", probe)
        flags = [0, *(1 << bit for bit in range(16)), 0xFFFF]
        return {sent} == {serde.deserialize("key", probe, flag) for flag in flags} == {probe}
    except Exception:  # noqa: BLE001 - whatever it raises, it is not made for bytes
        return False


def failures() -> tuple[type[Exception], ...]:
    """All that a client raises, also when it reads what it does not expect."""
    return (OSError, pymemcache("exceptions").MemcacheError, ValueError, KeyError, RuntimeError)


def closed() -> tuple[type[Exception], ...]:
    """What a client raises for a connection that is no longer open."""
    unexpected: type[Exception] = pymemcache("exceptions").MemcacheUnexpectedCloseError
    return (unexpected, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def refusal(error: Exception) -> str:
    """What the server said, if it answered that it did not do it; else empty."""
    exceptions = pymemcache("exceptions")
    refusals = (exceptions.MemcacheServerError, exceptions.MemcacheClientError)
    if isinstance(error, refusals) and error.args and isinstance(error.args[0], bytes):
        return error.args[0].decode("ascii", "replace")
    return ""


def report(label: str, error: Exception) -> NoReturn:
    """Raise :exc:`StoreUnavailable` for an *error* of the server called *label*."""
    if isinstance(error, OSError):
        unsent = (ConnectionRefusedError, gaierror, SSLCertVerificationError)
        applied = False if isinstance(error, unsent) else None
        raise StoreUnavailable(f"memcached at {label}: {error}", applied=applied) from error
    if isinstance(error, RuntimeError) and str(error).startswith("Too many objects"):
        raise StoreUnavailable(
            f"memcached at {label} was not asked: the client's connection pool is exhausted",
            applied=False,
            busy=True,
        ) from None
    # pymemcache's own messages may quote what it read: keys, values.
    refused = refusal(error)
    raise StoreUnavailable(
        f"memcached at {label}: {refused or type(error).__name__}",
        applied=False if refused else None,
        busy=bool(refused),
    ) from None
