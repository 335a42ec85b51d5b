"""Compare-and-set where the server permits no scripts: by ``WATCH`` and ``MULTI``.

How this works. Managed plans and hardened ACLs refuse ``EVAL``. There the key is watched, its front
read, and the write sent as a transaction, which the server drops if the key was changed since: on
one connection and in two round trips, where a script takes one.

Rules for maintainers: ``MULTI`` is answered before anything that writes is sent, because a server
that refuses it would carry out what follows without a condition. What decides is a pure function:
it is called again if an answer was lost, and has to recognise its own work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Asking", "Command", "Transaction", "key_of", "link", "probe", "replace"]

Command = tuple[Any, ...]
"""A command's name and arguments: bytes, ``str`` and numbers; bytes that come in pieces, as a tuple
of these."""


class Transaction(NamedTuple):
    """What is to be done with one key, if nobody else changes it in the meantime."""

    key: Any
    read: Command
    """The command whose reply decides."""
    decide: Callable[[Any], Sequence[Command] | None]
    """Makes of the reply what is to be sent; nothing if it is done already; ``None`` to refuse."""
    writes: bool = True
    """Whether it is to be acknowledged by replicas, where these are waited for."""


class Asking(NamedTuple):
    """*command*, sent to the node of a cluster that is about to get the key."""

    command: Command


_KEY_AT = dict.fromkeys(("EVALSHA", "EVAL"), 3) | dict.fromkeys(
    ("GET", "SET", "DEL", "EXISTS", "GETRANGE", "ZADD", "ZREM", "ZRANGEBYSCORE"), 1
)


def key_of(command: Command) -> Any:
    """The one key of *command*; ``None`` if it has none, or is none of the store's own."""
    if type(command) is Transaction:
        return command.key
    at = _KEY_AT.get(command[0])
    return None if at is None else command[at]


def probe(name: str) -> Transaction:
    """Reads the key *name* twice: whether this user may do it at all."""
    read = _front(name)
    return Transaction(name, read, lambda _there: [read], writes=False)


def replace(name: str, replacing: Any, value: tuple[bytes, bytes], left: int) -> Transaction:
    """As the script does: the record *name*, if its version is *replacing*, becomes *value* for
    *left* milliseconds, or is deleted for 0."""

    def decide(there: Any) -> Sequence[Command] | None:
        if there == value[0]:
            return ()  # by this very save, whose answer was lost
        if there != replacing:
            return None
        return [("SET", name, value, "PX", left) if left else ("DEL", name)]

    return Transaction(name, _front(name), decide)


def link(name: bytes, key: str, expires_at: float, now: float, left: int) -> Transaction:
    """As the script does: *key* is put on the list *name* until *expires_at*; what expired before
    *now* is dropped. The list lives for *left* milliseconds at least."""

    def decide(lives: Any) -> Sequence[Command]:
        commands: list[Command] = [
            ("ZREMRANGEBYSCORE", name, "-inf", now),
            ("ZADD", name, expires_at, key),
        ]
        if lives < left:
            commands.append(("PEXPIRE", name, left))
        return commands

    return Transaction(name, ("PTTL", name), decide)


def _front(name: str) -> Command:
    return ("GETRANGE", name, 0, 7)
