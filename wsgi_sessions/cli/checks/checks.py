"""What is not so in a deployment: what ``wsgi-sessions check`` finds, and what stores tell it.

A store that has more to tell than whether its four operations work is :class:`Checkable`. What it
has to tell is in a module beside it, ``redis_health`` for instance, made of the rules here.

Rules for whoever edits this: a finding never has a password, a secret, a key of a session or a
whole URL in it. What may not be asked is a note and no error. Nothing is left behind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed
from ipaddress import ip_address
from secrets import token_hex
from typing import NamedTuple, Protocol, runtime_checkable

from wsgi_sessions.errors import StoreError, StoreUnavailable
from wsgi_sessions.stores import OwnerIndex, Store

__all__ = ["Checkable", "Finding", "Level"]

SLOW_SECONDS = 0.1
"""A store's answer that takes longer is felt in each request."""

SKEW_SECONDS = 5.0
DAY = 86_400.0
MANY = 1000
"""Expired records that an ordinary purge leaves lying about."""
MOST = 10_000
"""Records are counted up to here."""


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


class Finding(NamedTuple):
    """One line for the operator."""

    level: Level
    what: str
    why: str = ""
    remedy: str = ""
    statements: str = ""
    """What to run, over several lines: the DDL."""

    def __str__(self) -> str:
        text = self.what + (f": {self.why}" if self.why else "")
        text += f". Remedy: {self.remedy}" if self.remedy else ""
        return f"{self.level.name.lower():<8} {' '.join(text.split())}"


@runtime_checkable
class Checkable(Protocol):
    """A store that can tell what is not so in its deployment."""

    def findings(self) -> Iterator[Finding]:
        """Look at everything, try the operations, and tell one by one.

        For operators, not for the request path: some dozens of round trips. Raises
        :exc:`~wsgi_sessions.StoreUnavailable` if it cannot be reached at all.
        """


def reach(ask: Callable[[], object], what: str) -> Finding:
    """How long *ask* takes, the best of five. Raises what it raises."""
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        ask()
        took.append(time.perf_counter() - begun)
    answers = f"{what} answers in {min(took) * 1000:.2f} ms"
    if min(took) <= SLOW_SECONDS:
        return Finding(Level.OK, answers)
    return Finding(
        Level.WARNING,
        answers,
        "each request that reads its session waits as long, and one that writes twice",
        "a store nearer to the application",
    )


def reach_by_load(store: Store, what: str) -> Finding:
    """The same with loading what is not there."""
    return reach(lambda: store.load(_new_key()), what)


def version(what: str, found: str, minimum: str) -> Finding:
    """Whether a version is new enough."""
    if _numbers(found) >= _numbers(minimum):
        return Finding(Level.OK, f"{what} {found}")
    return Finding(
        Level.ERROR,
        f"{what} {found}",
        f"{minimum} is the oldest that has what the store needs",
        f"upgrade {what}",
    )


def clients(extra: str) -> Iterator[Finding]:
    """The versions of the client libraries that the package's *extra* names."""
    with suppress(PackageNotFoundError):
        for requirement in requires("wsgi-sessions") or ():
            found = re.match(r"([\w-]+).*>=([\d.]+).*extra == .(\w+)", requirement)
            if found and found[3] == extra:
                yield version(f"Python package {found[1]}", installed(found[1]), found[2])


def clock(server_time: Callable[[], float]) -> Finding:
    """How far the server's clock is from ours. *server_time*: seconds since the epoch."""
    before = time.time()
    theirs = server_time()
    after = time.time()
    skew = theirs - (before + after) / 2
    if abs(skew) - (after - before) / 2 <= SKEW_SECONDS:
        return Finding(Level.OK, "the server's clock is that of this machine")
    direction = "ahead of" if skew > 0 else "behind"
    return Finding(
        Level.WARNING,
        f"the server's clock is {abs(skew):.0f} s {direction} that of this machine",
        "cookies and ends of sessions are dated by clocks, and sessions end early or late",
        "NTP on both",
    )


def exposure(
    hosts: Iterable[str | None], *, encrypted: bool, password: bool, verified: bool = True
) -> Iterator[Finding]:
    """What anybody on the network between us and the *hosts* can do."""
    remote = [host for host in hosts if not is_local(host)]
    if not remote:
        yield Finding(Level.OK, "the way to the server does not leave this machine")
        return
    where = ", ".join(str(host) for host in remote)
    if not encrypted:
        yield Finding(
            Level.WARNING,
            f"no TLS on the way to {where}",
            "the network between can read and change sessions, and read the password",
            "TLS, or a private network: docs/security.md has the options",
        )
    elif not verified:
        yield Finding(
            Level.WARNING,
            f"TLS to {where} does not verify the certificate",
            "who answers in the server's place can read and change sessions",
            "let the client verify it against a CA",
        )
    else:
        yield Finding(Level.OK, f"TLS to {where}")
    if not password:
        yield Finding(
            Level.WARNING,
            f"no password at {where}",
            "whoever reaches the server can read, change and end sessions",
            "a user of its own for sessions, with a password",
        )


def is_local(host: str | None) -> bool:
    """Whether that is this machine: a socket, or a name or an address of the loopback."""
    if not host or host.startswith("/") or host == "localhost" or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return False


def not_asked(what: str, error: StoreError) -> Finding:
    """Something that the server does not tell us."""
    return Finding(Level.NOTE, f"{what} not checked", str(error), "ask as an administrator")


def expired(count: int, oldest: float) -> Finding:
    """Whether somebody purges: up to :data:`MOST` records have expired, the first *oldest* seconds
    ago."""
    shown = f"{count} or more" if count >= MOST else str(count)
    what = f"{shown} expired records wait for a purge"
    if count < MANY or oldest < DAY:
        return Finding(Level.OK, what)
    return Finding(
        Level.WARNING,
        f"{what}, the oldest for {oldest / DAY:.0f} days",
        "nobody purges, and the store grows for ever",
        "call the store's purge() regularly, from cron for example",
    )


def probe(store: Store) -> Finding:
    """Whether the store's operations do what they should, with a record of a random key that is
    removed again. A dozen round trips."""
    key = _new_key()
    try:
        for step, right in _exercise(store, key):
            if not right:
                return _broken(f"the store did not {step}", "upgrade it")
    except StoreError as error:
        return _broken(str(error), "the rights, room and role that the store's documentation names")
    finally:
        with suppress(StoreUnavailable):
            store.delete(key)
    return Finding(Level.OK, "a record was created, loaded, replaced and deleted")


def _broken(what: str, remedy: str) -> Finding:
    return Finding(Level.ERROR, what, "sessions cannot be kept there", remedy)


def _exercise(store: Store, key: str) -> Iterator[tuple[str, bool]]:
    end = time.time() + 60
    created = store.save(key, b"1", expires_at=end, replacing=None)
    yield "create a record", created is not None
    yield "refuse to create it twice", not store.save(key, b"2", expires_at=end, replacing=None)
    found = store.load(key)
    yield "load it", found is not None and found.data == b"1"
    replaced = store.save(key, b"3", expires_at=end, replacing=created)
    yield "replace it", replaced is not None
    late = store.save(key, b"4", expires_at=end, replacing=created)
    yield "refuse to replace what is no longer there", late is None
    yield "move its end", store.touch(key, expires_at=end + 60)
    if isinstance(store, OwnerIndex):
        store.link(key, key, expires_at=end)
        linked = list(store.keys_of(key))
        store.unlink(key, key)
        yield "list it under its owner", linked == [key]
    store.delete(key)
    yield "delete it", store.load(key) is None


def _new_key() -> str:
    """Not of the length of a session's."""
    return f"check-{token_hex(12)}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
