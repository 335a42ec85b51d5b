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
"""At a transaction that others disturb: the list of an owner is changed by all of its logins."""

Command = tuple[Any, ...]
"""A command's name and arguments: bytes, ``str`` and numbers; bytes that come in pieces, as a tuple
of these."""


class Transaction(NamedTuple):
    """What is to be done with some keys, if nobody else changes them in the meantime."""

    keys: Sequence[Any]
    reads: Sequence[Command]
    """The commands whose replies decide."""
    decide: Callable[[Sequence[Any]], Sequence[Command] | None]
    """Makes of the replies what is to be sent; nothing if it is done already; ``None`` to
    refuse."""
    writes: bool = True
    """Whether it is to be acknowledged by replicas, where these are waited for."""


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
    if type(command) is not tuple:
        if type(command) is Beside:
            return command.script[3]
        return command.keys[0] if type(command) is Transaction else None
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

    reads = (_front(name), *(_reads(listing, entry[0]) if lists else ()))
    return Transaction((name, listing) if lists else (name,), reads, decide)


def list_key(name: bytes, key: str, now: float, *entry: Any) -> Transaction:
    """As the script does: *key* is put on the list *name*."""
    return Transaction((name,), _reads(name, now), _listing(name, key, now, *entry))


def unlist(name: bytes, before: float, *keys: str) -> Transaction:
    """As the script does: those of *keys* that were listed *before* are taken off the list."""

    def decide(replies: Sequence[Any]) -> Sequence[Command]:
        old = {member.decode() for member in replies[0]}
        gone = [member for key in keys if key in old for member in (key, f"@{key}")]
        return [("ZREM", name, *gone)] if gone else ()

    return Transaction((name,), (("ZRANGEBYSCORE", name, "(0", f"({before!r}"),), decide)


def _reads(listing: bytes, now: float) -> Sequence[Command]:
    return ("PTTL", listing), ("ZRANGEBYSCORE", listing, f"-{now!r}", "(0", "LIMIT", 0, 100)


def _listing(
    name: bytes, key: str, now: float, ends_at: float, left: int, keeps_place: int
) -> Callable[[Sequence[Any]], list[Command]]:
    """Makes of the replies to :func:`_reads` what is to be sent."""

    def decide(replies: Sequence[Any]) -> list[Command]:
        lives, ended = replies
        place = ("NX", now, key) if keeps_place else (now, key)
        commands: list[Command] = [("ZADD", name, *place), ("ZADD", name, -ends_at, f"@{key}")]
        old = [member.decode() for member in ended]
        gone = [one for member in old if member[1:] != key for one in (member, member[1:])]
        if gone:
            commands.append(("ZREM", name, *gone))
        if lives < left:
            commands.append(("PEXPIRE", name, left))
        return commands

    return decide


def _front(name: str) -> Command:
    return ("GETRANGE", name, 0, 7)
