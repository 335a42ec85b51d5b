"""Several commands in one packet: a write and the ``WAIT`` behind it, and a transaction.

Rules for maintainers: all replies to a packet are read, whatever they are. Where a command of a
transaction was refused, the connection may still be in it, and must not be used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from wsgi_sessions.stores.redis.replies import disturbed, first_reply, renamed
from wsgi_sessions.stores.redis.watched import ATTEMPTS, Asking, Beside, Command, Reads, Transaction
from wsgi_sessions.stores.redis.wire import packed, packed_beside

__all__ = ["Line", "Wait", "talk"]


class Line(Protocol):
    """A connection to the server, for the time of one exchange."""

    spent: bool
    """Set where it must not be used again."""

    def ask(self, *parts: bytes) -> Any:
        """Send packed commands and read the reply to the first; an error is returned."""

    def read(self) -> Any:
        """The next reply; an error is returned."""


class Wait(NamedTuple):
    """What replicas have to do with a write before it counts."""

    replicas: int
    """How many have to confirm it; 0 for none."""
    milliseconds: int

    def command(self) -> Command:
        return ("WAIT", *self)


def talk(line: Line, command: Command, wait: Wait, *, replicated: bool = True) -> Any:
    """The reply to *command*. Of a transaction: that to its first write, ``True`` if there was
    nothing to do, ``False`` if it is refused. Of several reads: the list of replies. Raises an
    error that was the reply, and :exc:`~wsgi_sessions.StoreUnavailable` where replicas do not
    confirm, or a transaction is disturbed too often."""
    if type(command) is Transaction:
        return _transacted(line, command, wait)
    if type(command) is Reads:
        return _each(_replies(line, command.commands))
    if type(command) is Beside:
        return _renamed(line, command, wait)
    commands: list[Command] = [command]
    if type(command) is Asking:
        commands = [("ASKING",), command.command]
    if wait.replicas and replicated:
        commands.append(wait.command())
        return first_reply(_replies(line, commands)[-2:], wait.replicas)
    reply = _replies(line, commands)[-1]
    if isinstance(reply, Exception):
        raise reply
    return reply


def _renamed(line: Line, command: Beside, wait: Wait) -> Any:
    waits = (wait.command(),) if wait.replicas else ()
    put = line.ask(*packed_beside(command, *waits))
    return renamed([put, *(line.read() for _ in (command.script, *waits))], wait.replicas)


def _transacted(line: Line, transaction: Transaction, wait: Wait) -> Any:
    keys, reads, decide, writes, watches = transaction
    watch = (("WATCH", *keys),) if watches else ()
    opened = (*watch, *reads, ("MULTI",))
    waits = (wait.command(),) if wait.replicas and writes else ()
    for _ in range(ATTEMPTS):
        # Inside of MULTI a read would be queued, so these go before.
        commands = decide(_accepted(line, opened)[len(watch) : -1])
        if not commands:
            _accepted(line, (("DISCARD",),))
            return commands is not None
        replies = _replies(line, (*commands, ("EXEC",), *waits))
        _accept(line, replies[: len(commands) + 1])
        done = replies[len(commands)]
        if done is not None:
            _accept(line, done)
            return first_reply((done[0], replies[-1]), wait.replicas) if waits else done[0]
    raise disturbed()


def _accepted(line: Line, commands: Sequence[Command]) -> list[Any]:
    """The replies to *commands*, none of which is an error."""
    replies = _replies(line, commands)
    _accept(line, replies)
    return replies


def _accept(line: Line, replies: Sequence[Any]) -> None:
    if any(isinstance(reply, Exception) for reply in replies):
        line.spent = True
        _each(replies)


def _each(replies: Sequence[Any]) -> Sequence[Any]:
    """*replies*, of which the first error is raised."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _replies(line: Line, commands: Sequence[Command]) -> list[Any]:
    """The replies to *commands*, which go out together; errors as exceptions."""
    replies = [line.ask(b"".join(map(packed, commands)))]
    return replies + [line.read() for _ in commands[1:]]
