"""Conditional writes where the server permits no scripts: by ``WATCH`` and ``MULTI``.

How this works. Managed plans and hardened ACLs refuse ``EVAL``. There the keys are watched, what
decides is read, and the writes are sent as a transaction, which the server drops if a key was
changed since: on one connection and in two round trips, where a script takes one. A transaction
that was dropped is begun again, so that what refuses is what was read, and nothing else.

Rules for maintainers: ``MULTI`` is answered before anything that writes is sent, because a server
that refuses it would carry out what follows without a condition. What decides is a pure function:
it is called again if an answer was lost, and has to recognise its own work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = [
    "ATTEMPTS",
    "BESIDE_MILLISECONDS",
    "Asking",
    "Beside",
    "Command",
    "Reads",
    "Transaction",
    "key_of",
    "list_key",
    "probe",
    "replace",
    "save_owned",
    "unlist",
]

ATTEMPTS = 16
"""At a transaction that others disturb."""

_LIST_MILLISECONDS = 400 * 86_400_000
"""For which a list is kept here after its last login. (That of its longest entry, which a script
keeps it for, would have to be watched, and all logins of one owner would disturb each other.)"""

Command = tuple[Any, ...]
"""A command's name and arguments: bytes, ``str`` and numbers; bytes that come in pieces, as a tuple
of these."""


class Transaction(NamedTuple):
    """What is to be done with some keys, if nobody else changes them in the meantime."""

    keys: Sequence[Any]
    """Without any, it is done whatever others do."""
    reads: Sequence[Command]
    """The commands whose replies decide."""
    decide: Callable[[Sequence[Any]], Sequence[Command] | None]
    """Makes of the replies what is to be sent; nothing if it is done already; ``None`` to
    refuse."""
    writes: bool = True
    """Whether it is to be acknowledged by replicas, where these are waited for."""
    watches: bool = True
    """Else it is done whatever others do in the meantime."""


class Reads(NamedTuple):
    """Several *commands* that only read, and whose replies, a list, are to come together."""

    commands: Sequence[Command]


BESIDE_MILLISECONDS = 10_000
"""For which a large record may live under its second name."""


class Beside(NamedTuple):
    """A large record under a second name, and the script that renames it, in one packet."""

    put: Command
    script: Command
    """Returns 1 if it is done, 0 if it is refused, -1 if the server does not rename."""


class Asking(NamedTuple):
    """*command*, sent to the node of a cluster that is about to get the key."""

    command: Command


_KEY_AT = dict.fromkeys(("EVALSHA", "EVAL"), 3) | dict.fromkeys(
    ("GET", "SET", "DEL", "EXISTS", "GETRANGE", "ZADD", "ZREM", "ZRANGEBYSCORE"), 1
)


def key_of(command: Command) -> Any:
    """The key that says to which node of a cluster *command* goes; ``None`` if it has none, is none
    of the store's own, or consists of several."""
    if type(command) is Transaction:
        return command.keys[0]
    if type(command) is not tuple:
        return command.script[3] if type(command) is Beside else None
    at = _KEY_AT.get(command[0])
    return None if at is None else command[at]


def probe(name: str) -> Transaction:
    """Reads the key *name* twice: whether this user may do it at all."""
    read = _front(name)
    return Transaction((name,), (read,), lambda _there: [read], writes=False)


def replace(name: str, replacing: Any, value: tuple[bytes, bytes], left: int) -> Transaction:
    """As the script does: the record *name*, if its version is *replacing*, becomes *value* for
    *left* milliseconds, or is deleted for 0."""
    return save_owned(name, name, name, replacing, value, left)


def save_owned(
    name: str,
    listing: Any,
    former: Any,
    replacing: Any,
    value: tuple[bytes, bytes],
    left: int,
    key: str = "",
    *entry: Any,
) -> Transaction:
    """As the script does: :func:`replace`, and *key* is put on the list *listing* and taken off the
    list *former*; *name* stands for none."""
    lists = listing != name

    def decide(replies: Sequence[Any]) -> Sequence[Command] | None:
        there, *of_list = replies
        if there == value[0]:
            return ()  # by this very save, whose answer was lost
        if there != replacing:
            return None
        commands: list[Command] = [("SET", name, value, "PX", left) if left else ("DEL", name)]
        if lists:
            commands += _listing(listing, key, *entry)(of_list)
        if former != name:
            commands.append(("ZREM", former, key, f"@{key}"))
        return commands

    reads = (_front(name), *([_ended(listing, entry[0])] if lists else []))
    return Transaction((name,), reads, decide)


def list_key(name: bytes, key: str, now: float, *entry: Any) -> Transaction:
    """As the script does: *key* is put on the list *name*."""
    decide = _listing(name, key, now, *entry)
    return Transaction((name,), (_ended(name, now),), decide, watches=False)


def unlist(name: bytes, before: float, *keys: str) -> Transaction:
    """As the script does: those of *keys* that were listed *before* are taken off the list."""

    def decide(replies: Sequence[Any]) -> Sequence[Command]:
        old = {member.decode() for member in replies[0]}
        gone = [member for key in keys if key in old for member in (key, f"@{key}")]
        return [("ZREM", name, *gone)] if gone else ()

    return Transaction((name,), (("ZRANGEBYSCORE", name, "(0", f"({before!r}"),), decide)


def _ended(listing: bytes, now: float) -> Command:
    return ("ZRANGEBYSCORE", listing, f"-{now!r}", "(0", "LIMIT", 0, 100)


def _listing(
    name: bytes, key: str, now: float, ends_at: float, left: int, keeps_place: int
) -> Callable[[Sequence[Any]], list[Command]]:
    """Makes of the reply to :func:`_ended` what is to be sent."""

    def decide(replies: Sequence[Any]) -> list[Command]:
        place = ("NX", now, key) if keeps_place else (now, key)
        commands: list[Command] = [("ZADD", name, *place), ("ZADD", name, -ends_at, f"@{key}")]
        old = [member.decode() for member in replies[0]]
        gone = [one for member in old if member[1:] != key for one in (member, member[1:])]
        if gone:
            commands.append(("ZREM", name, *gone))
        commands.append(("PEXPIRE", name, max(left, _LIST_MILLISECONDS)))
        return commands

    return decide


def _front(name: str) -> Command:
    return ("GETRANGE", name, 0, 7)
