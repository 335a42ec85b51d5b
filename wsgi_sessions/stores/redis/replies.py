"""What a server's reply or a client's exception means to the store."""

from __future__ import annotations

from collections.abc import Sequence
from socket import gaierror
from typing import Any

from wsgi_sessions.errors import StoreUnavailable

__all__ = [
    "CrossSlot",
    "Elsewhere",
    "NoScript",
    "NotPermitted",
    "WrongType",
    "disturbed",
    "exhausted",
    "first_reply",
    "lost_during_write",
    "renamed",
    "unavailable",
]

_REASONS = {
    "TimeoutError": "did not answer in time",
    "AuthenticationError": "refused the user name or password, or wants one",
    "AuthorizationError": "refused the user",
    "NoPermissionError": "does not permit this user the command or the key: "
    "RedisStore's documentation has the ACL line",
    "ReadOnlyError": "is a read-only replica",
    "OutOfMemoryError": "is full (maxmemory)",
    "BusyLoadingError": "is still loading its data",
    "MaxConnectionsError": "was not asked: the client's connection pool is exhausted",
    "MasterNotFoundError": "was not asked: no Sentinel names a master",
    "MovedError": "is a node of a Redis Cluster: write redis+cluster:// or hand in a "
    "redis.cluster.RedisCluster",
    "ClusterDownError": "is a cluster that is down",
    "MasterDownError": "is a replica without its master",
}

_EXHAUSTED = ("No connection available.", "Too many connections")
"""What the packages say where they have no class for it."""

_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")
"""What Redis 7.0 and later ones say where a script is permitted and a command in it is not."""

_BUSY = {"MaxConnectionsError", "OutOfMemoryError", "ReadOnlyError", "NOREPLICAS", "MISCONF"}
"""What says no more than that this one thing cannot be done now; by the code of the reply where the
packages have no class for it: too few replicas, a disk that is full."""


class NoScript(StoreUnavailable):
    """This server has not seen the script yet, or has been flushed."""


class CrossSlot(StoreUnavailable):
    """The server is a node of a cluster, and the keys are in several slots."""


class NotPermitted(StoreUnavailable):
    """The user may not send this command, or the server does not know it."""


class WrongType(StoreUnavailable):
    """What is there is no string, so it is not ours."""


def unavailable(error: BaseException, server: str = "Redis") -> StoreUnavailable:
    """*error* as the store's own, without what might quote a key, a value or a password.

    The texts of error replies, and some of the client's own, repeat the command's arguments.
    """
    kind = type(error).__name__
    if str(error) in _EXHAUSTED:
        return exhausted()
    if "because of: NOPERM" in str(error):
        kind = "NoPermissionError"  # of EXEC, within EXECABORT
    if kind in ("MovedError", "AskError"):
        return Elsewhere(error)
    if kind == "NoScriptError":
        return NoScript("the script is not there", applied=False)
    if kind == "ClusterCrossSlotError" or str(error).startswith("CROSSSLOT"):
        return CrossSlot("the keys are in several slots", applied=False)
    if "WRONGTYPE" in str(error):
        return WrongType("something else is there", applied=False)
    if kind == "ConnectionError" or (isinstance(error, OSError) and kind != "TimeoutError"):
        # speaks of host, port and the system's error only
        return StoreUnavailable(f"{server} cannot be reached: {error}", applied=_applied(error))
    code = str(error).partition(" ")[0]
    shown = f"{kind}: {code}" if code.isalpha() and code.isupper() else kind
    not_permitted = kind == "NoPermissionError" or str(error).startswith("unknown command")
    if any(text in str(error) for text in _IN_SCRIPT):
        kind = "NoPermissionError"
    return (NotPermitted if not_permitted else StoreUnavailable)(
        f"{server} {_REASONS.get(kind, f'failed ({shown})')}",
        applied=_applied(error),
        busy=kind in _BUSY or code in _BUSY,
    )


def exhausted() -> StoreUnavailable:
    """That all connections of a pool that was handed in are in use."""
    return StoreUnavailable(f"Redis {_REASONS['MaxConnectionsError']}", busy=True, applied=False)


def disturbed() -> StoreUnavailable:
    """That a transaction was given up."""
    return StoreUnavailable(
        "Redis: what is to be written is changed too often by others", busy=True, applied=False
    )


def lost_during_write(server: str = "Redis") -> StoreUnavailable:
    """That a second attempt was refused, perhaps because of the first, whose reply was lost."""
    return StoreUnavailable(f"{server} was lost during a write, which may or may not have happened")


def _applied(error: BaseException) -> bool | None:
    """What *error* says about the command: ``False`` if it was refused or could not be sent. (A
    client that repeats commands by itself may have sent one and lost the connection before; what
    failed last counts.)"""
    names = {one.__name__ for one in type(error).__mro__}
    refused = "ResponseError" in names or (names & _REASONS.keys()) - {"TimeoutError"}
    unsent = isinstance(error.__context__, (ConnectionRefusedError, gaierror))
    unread = str(error).startswith(("Timeout connecting", "max number of clients"))
    return False if refused or unsent or unread else None


class Elsewhere(StoreUnavailable):
    """Another node of the cluster has the key: at *place*, host and port. *asking*: for this one
    command only, as the key is being moved."""

    def __init__(self, error: Any) -> None:
        super().__init__(f"Redis {_REASONS['MovedError']}", applied=False)
        self.place: tuple[str, int] = (error.host, error.port)
        self.asking: bool = type(error).__name__ == "AskError"


def first_reply(replies: Sequence[Any], wanted: int) -> Any:
    """The first of the replies to a command and the ``WAIT`` behind it.

    Raises what either of them is, and :exc:`StoreUnavailable` if too few replicas have the write:
    it was done, and a failover could undo it.
    """
    reply, acknowledged = replies
    if isinstance(reply, Exception):
        raise reply
    if isinstance(acknowledged, Exception):
        failure = unavailable(acknowledged)
        failure.applied = None  # the write was done
        raise failure
    if reply and acknowledged < wanted:
        raise StoreUnavailable(
            f"{acknowledged} of {wanted} Redis replicas have confirmed the write in time", busy=True
        )
    return reply


def renamed(replies: Sequence[Any], wanted: int) -> Any:
    """That of the script among the replies to a ``SET``, the script that renames what was set, and
    perhaps the ``WAIT`` behind them. Raises what :func:`first_reply` does, and an error of the
    ``SET``, where that says why the script has done nothing."""
    put, done, *acknowledged = replies
    if isinstance(put, Exception) and (done == -1 or type(put).__name__ == "AskError"):
        raise put
    if isinstance(done, Exception):
        raise done
    return first_reply((done, *acknowledged), wanted) if acknowledged and done == 1 else done
