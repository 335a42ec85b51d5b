"""Redis through a client that was handed in, and what a client's exceptions mean.

A client is used as it is: its own pool, timeouts and retries. It is known by its methods, not by
its class, so that one of the ``valkey`` package or a wrapper does as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from socket import gaierror
from typing import Any, Protocol

from wsgi_sessions.errors import ConfigurationError, SessionError, StoreUnavailable
from wsgi_sessions.stores.given import check_client
from wsgi_sessions.stores.redis.watched import ATTEMPTS, Command, Transaction
from wsgi_sessions.stores.timeouts import Timeouts

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

_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")
"""What Redis 7.0 and later ones say where a script is permitted and a command in it is not."""

_BUSY = {"MaxConnectionsError", "OutOfMemoryError", "ReadOnlyError"}
"""What says no more than that this one thing cannot be done now."""


class Server(Protocol):
    """What the store needs: the reply to one command, in one round trip."""

    def deadline(self) -> float:
        """When an operation that begins now has to be over."""

    def call(
        self,
        command: Command,
        deadline: float = 0.0,
        *,
        replicated: bool = False,
        recognisable: bool = False,
    ) -> Any:
        """The reply to *command*; a string that is large perhaps as a view. Without a *deadline*,
        the operation begins now. Of a transaction, which has to be sent as *replicated*, in two
        round trips: the reply to its first write, ``True`` if there was nothing to do, ``False``
        if it is refused.

        *replicated*: a write that as many replicas as configured have to acknowledge.
        *recognisable*: a save, which recognises its own work and so may be sent again after its
        reply was lost in any way.

        Raises :exc:`NoScript`, :exc:`NotPermitted`, :exc:`WrongType`, :exc:`CrossSlot`, and for
        all else ``StoreUnavailable``.
        """

    is_cluster: bool
    """Whether a command may name keys of one slot only."""

    def call_all(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """The replies to several commands that only read, in one round trip; an error reply among
        them is raised as :meth:`call` does."""

    def scan(self, pattern: str) -> Iterator[bytes]:
        """The names of all keys that match."""

    def close(self) -> None:
        """Close what the store has opened."""


class NoScript(StoreUnavailable):
    """This server has not seen the script yet, or has been flushed."""


class CrossSlot(StoreUnavailable):
    """The server is a node of a cluster, and the keys are in several slots."""


class NotPermitted(StoreUnavailable):
    """The user may not send this command, or the server does not know it."""


class WrongType(StoreUnavailable):
    """What is there is no string, so it is not ours."""


def unavailable(error: Exception, server: str = "Redis") -> StoreUnavailable:
    """*error* as the store's own, without what might quote a key, a value or a password.

    The texts of error replies, and some of the client's own, repeat the command's arguments.
    """
    kind = type(error).__name__
    if "because of: NOPERM" in str(error):
        kind = "NoPermissionError"  # of EXEC, within EXECABORT
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
        busy=kind in _BUSY,
    )


def disturbed() -> StoreUnavailable:
    """That a transaction was given up."""
    return StoreUnavailable(
        "Redis: what is to be written is changed too often by others", busy=True, applied=False
    )


def _applied(error: Exception) -> bool | None:
    """What *error* says about the command: ``False`` if it was refused or could not be sent. (A
    client that repeats commands by itself may have sent one and lost the connection before; what
    failed last counts.)"""
    names = {one.__name__ for one in type(error).__mro__}
    refused = "ResponseError" in names or (names & _REASONS.keys()) - {"TimeoutError"}
    unsent = isinstance(error.__context__, (ConnectionRefusedError, gaierror))
    connecting = str(error).startswith("Timeout connecting")
    return False if refused or unsent or connecting else None


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


class Client:
    """A client that was handed in: ``redis.Redis``, of a Sentinel, ``RedisCluster``, Valkey's."""

    def __init__(self, client: Any, *, wait_replicas: int, timeouts: Timeouts) -> None:
        _check(client, wait_replicas)
        self._client = client
        self.is_cluster = hasattr(client, "get_primaries")
        self._wait_replicas = wait_replicas
        self._wait = int(timeouts.answer * 500)
        """Milliseconds that replicas may take: half the time for an answer, the other half is for
        the network. The client's own ``socket_timeout`` has to be longer."""

    def deadline(self) -> float:
        return float("inf")  # the client's own timeouts count

    def call(
        self,
        command: Command,
        deadline: float = 0.0,  # noqa: ARG002 - the client's own timeouts count
        *,
        replicated: bool = False,
        recognisable: bool = False,  # noqa: ARG002 - and its own retries
    ) -> Any:
        try:
            if command[0] == "GET":  # the method names the key to a client-side cache
                return self._client.get(command[1])
            if replicated and type(command) is Transaction:
                return self._transacted(command)
            command = _joined(command)
            if replicated and self._wait_replicas:
                return self._call_replicated(command)
            return self._client.execute_command(*command)
        except SessionError:
            raise
        except Exception as error:  # noqa: BLE001 - the packages' errors have no common base
            raise unavailable(error) from None

    def _call_replicated(self, command: Command) -> Any:
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command(*command)
        pipeline.execute_command("WAIT", self._wait_replicas, self._wait)
        replies = pipeline.execute(raise_on_error=False)
        return first_reply(replies, self._wait_replicas)

    def call_all(self, commands: Sequence[Command], deadline: float) -> list[Any]:  # noqa: ARG002
        try:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute())
        except Exception as error:  # noqa: BLE001 - the packages' errors have no common base
            raise unavailable(error) from None

    def _transacted(self, transaction: Transaction) -> Any:
        if self._wait_replicas:
            raise ConfigurationError(
                "wait_replicas with a client that was handed in needs the right to EVAL, which "
                "this user has not: grant it, or give the store a URL"
            )
        lost = False
        for _ in range(ATTEMPTS):
            try:
                reply = self._attempt(transaction)
            except Exception as error:
                if type(error).__name__ != "WatchError":
                    raise
                # Else the client has lost the connection and does not say whether before or after
                # the write.
                lost = lost or not str(error).startswith("Watched variable changed")
                continue
            if lost and reply is False:
                raise StoreUnavailable(
                    "Redis was lost during a write, which may or may not have happened"
                )
            return reply
        raise disturbed()

    def _attempt(self, transaction: Transaction) -> Any:
        with self._client.pipeline(transaction=True) as pipeline:
            if transaction.keys:
                pipeline.watch(*transaction.keys)
            read = pipeline if transaction.keys else self._client
            replies = [read.execute_command(*command) for command in transaction.reads]
            commands = transaction.decide(replies)
            if not commands:
                return commands is not None
            if transaction.keys:
                pipeline.multi()
            for command in commands:
                pipeline.execute_command(*_joined(command))
            return pipeline.execute()[0]

    def scan(self, pattern: str) -> Iterator[bytes]:
        try:
            yield from self._client.scan_iter(match=pattern, count=1000)
        except Exception as error:  # noqa: BLE001 - the packages' errors have no common base
            raise unavailable(error) from None

    def close(self) -> None:
        """Nothing: the client belongs to the application."""


def _joined(command: Command) -> Command:
    """*command* as the packages take it."""
    return tuple(b"".join(one) if type(one) is tuple else one for one in command)


def _check(client: Any, wait_replicas: int) -> None:
    """Refuse what could not work."""
    check_client(client, "execute_command")
    kind = type(client).__name__
    if hasattr(client, "master_for"):
        raise ConfigurationError(
            f"{kind} is not a client: hand in what its master_for(name) returns"
        )
    if not callable(getattr(client, "execute_command", None)):
        raise ConfigurationError(f"a Redis URL or client is needed, not {kind}")
    if client.get_encoder().decode_responses:
        raise ConfigurationError(
            "the Redis client has decode_responses=True, sessions are bytes: hand in one without"
        )
    if getattr(client, "read_from_replicas", False) or getattr(
        client, "load_balancing_strategy", None
    ):
        raise ConfigurationError(
            "the Redis client reads from replicas, which may be behind: hand in one that does not"
        )
    if wait_replicas and hasattr(client, "get_primaries"):
        raise ConfigurationError(
            "wait_replicas needs one server or Sentinel: a cluster client cannot send WAIT "
            "on the connection of the write"
        )
