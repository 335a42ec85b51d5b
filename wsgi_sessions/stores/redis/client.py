"""Redis through a client that was handed in, and what a client's exceptions mean.

A client is used as it is: its own pool, timeouts and retries. It is known by its methods, not by
its class, so that one of the ``valkey`` package or a wrapper does as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from wsgi_sessions.errors import ConfigurationError, SessionError, StoreUnavailable
from wsgi_sessions.stores.given import check_client
from wsgi_sessions.stores.redis.borrowed import AGAIN, NOT_LENT, lender_of, start_over
from wsgi_sessions.stores.redis.packets import Wait
from wsgi_sessions.stores.redis.replies import (
    disturbed,
    first_reply,
    lost_during_write,
    renamed,
    unavailable,
)
from wsgi_sessions.stores.redis.watched import ATTEMPTS, Beside, Command, Reads, Transaction, key_of
from wsgi_sessions.stores.redis.wire import argument
from wsgi_sessions.stores.timeouts import Timeouts

__all__ = ["Client", "Server"]

UNKNOWN_NODE = "of a node that is not known yet"
_PACKAGES = ("redis", "valkey", "hiredis")


class Server(Protocol):
    """What the store needs: the reply to one command, in one round trip."""

    is_cluster: bool
    """Whether a command may name keys of one slot only."""

    @property
    def place_of(self) -> Callable[[str | bytes], str] | None:
        """Of a cluster: which node has the key of that name, as far as is known; no I/O."""

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
        if it is refused. Of a large record: what its script returns, or ``None`` if the server was
        not asked. Of several reads: the list of the replies, in one round trip, of a cluster in one
        for each node.

        *replicated*: a write that as many replicas as configured have to acknowledge.
        *recognisable*: a save, which recognises its own work and so may be sent again after its
        reply was lost in any way.

        Raises :exc:`NoScript`, :exc:`NotPermitted`, :exc:`WrongType`, :exc:`CrossSlot`, and for
        all else ``StoreUnavailable``.
        """

    def scan(self, pattern: str) -> Iterator[bytes]:
        """The names of all keys that match."""

    def close(self) -> None:
        """Close what the store has opened."""


class Client:
    """A client that was handed in: ``redis.Redis``, of a Sentinel, ``RedisCluster``, Valkey's."""

    def __init__(self, client: Any, *, wait_replicas: int, timeouts: Timeouts) -> None:
        self._lender = lender_of(client, timeouts.answer)
        _check(client, wait_replicas and not self._lender)
        self._client = client
        self.is_cluster: bool = hasattr(client, "get_primaries")
        self.place_of: Callable[[str | bytes], str] | None = (
            self._node_of if hasattr(client, "get_node_from_key") else None
        )
        # Half the time for an answer is for the replicas, the other half for the network. The
        # client's own socket_timeout has to be longer.
        self._wait = Wait(wait_replicas, int(timeouts.answer * 500))

    def deadline(self) -> float:
        return float("inf")  # the client's own timeouts count

    def call(
        self,
        command: Command,
        deadline: float = 0.0,  # noqa: ARG002 - the client's own timeouts count
        *,
        replicated: bool = False,
        recognisable: bool = False,
    ) -> Any:
        several = type(command) is not tuple
        replicated = replicated and self._wait.replicas > 0
        wait = self._wait if several or replicated else None
        lost = False
        try:
            reply = self._borrowed(command, wait)
            if reply is AGAIN or reply is NOT_LENT:
                lost = reply is AGAIN
                reply = self._called(command, wait, lost=lost)
        except StoreUnavailable as error:
            error.applied = None if lost else error.applied
            raise
        except SessionError:
            raise
        except BaseException as error:
            if not _is_reported(error):
                start_over(self._client)
                if self._lender is not None or not isinstance(error, Exception):
                    raise
            failure = unavailable(error)
            failure.applied = None if lost else failure.applied
            raise failure from None
        if lost and not reply and reply is not None and (recognisable or replicated):
            raise lost_during_write()
        return reply

    def _node_of(self, name: str | bytes) -> str:
        try:
            return str(self._client.get_node_from_key(name).name)
        except Exception:  # noqa: BLE001 - the command itself will say what is wrong
            return UNKNOWN_NODE

    def _borrowed(self, command: Command, wait: Wait | None) -> Any:
        """The reply over a connection of the client's pool; ``AGAIN`` or ``NOT_LENT`` where its
        own methods have to be called."""
        if self._lender is None:
            return NOT_LENT
        pool = self._lender.pool_for(key_of(command))
        return NOT_LENT if pool is None else self._lender.exchange(pool, command, wait)

    def _called(self, command: Command, wait: Wait | None, *, lost: bool) -> Any:
        """The reply by the client's own methods. *lost*: an earlier one perhaps was."""
        if type(command) is Transaction:
            return self._transacted(command, lost=lost)
        if type(command) is Reads:
            return self._all_replies(command.commands)
        if type(command) is Beside:
            return self._renamed(command)
        if wait is None:
            if command[0] == "GET":  # the method names the key to a client-side cache
                return self._client.get(command[1])
            return self._client.execute_command(*_joined(command))
        if self.place_of is not None:
            return self._replicated_elsewhere(command, wait)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command(*_joined(command))
        pipeline.execute_command(*wait.command())
        return first_reply(pipeline.execute(raise_on_error=False), wait.replicas)

    def _replicated_elsewhere(self, command: Command, wait: Wait) -> Any:
        """Of a cluster, whose client cannot send ``WAIT`` behind a command: it looks by another
        one where the key is now."""
        self._client.exists(key_of(command))
        reply = self._borrowed(command, wait)
        if reply is AGAIN or reply is NOT_LENT:
            raise StoreUnavailable("no node of the Redis Cluster has taken the write")
        return reply

    def _renamed(self, command: Beside) -> Any:
        if self.place_of is not None:
            return None  # a pipeline of a cluster is no packet
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command(*_joined(command.put))
        pipeline.execute_command(*_joined(command.script))
        if self._wait.replicas:
            pipeline.execute_command(*self._wait.command())
        return renamed(pipeline.execute(raise_on_error=False), self._wait.replicas)

    def _all_replies(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*_joined(command))
        return list(pipeline.execute())

    def _transacted(self, transaction: Transaction, *, lost: bool) -> Any:
        if self._wait.replicas:
            raise ConfigurationError(
                "wait_replicas with a client that was handed in needs the right to EVAL, which "
                "this user has not: grant it, or give the store a URL"
            )
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
                raise lost_during_write()
            return reply
        raise disturbed()

    def _attempt(self, transaction: Transaction) -> Any:
        with self._client.pipeline(transaction=True) as pipeline:
            if transaction.watches:
                pipeline.watch(*transaction.keys)
            read = pipeline if transaction.watches else self._client
            replies = [read.execute_command(*_joined(command)) for command in transaction.reads]
            commands = transaction.decide(replies)
            if not commands:
                return commands is not None
            if transaction.watches:
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


def _is_reported(error: BaseException) -> bool:
    """Whether the client has raised it, and not a signal handler, say, in the middle of its work.
    A wrapper may have exceptions of its own."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _PACKAGES


def _joined(command: Command) -> Command:
    """*command* as the packages take it. Without numbers: hiredis, which would make text of them,
    crashes if a signal handler raises at that moment."""
    return tuple(one if type(one) in (str, bytes) else argument(one) for one in command)


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
