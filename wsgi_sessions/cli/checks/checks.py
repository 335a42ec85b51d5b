"""The rules that the checks of the stores share.

Rules for maintainers: a finding never has a password, a secret, a key of a session or a whole URL
in it. What may not be asked is a note and no error. Nothing is left behind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed
from ipaddress import ip_address
from secrets import token_hex

from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.errors import StoreError, StoreUnavailable
from wsgi_sessions.stores import Expired, OwnerIndex, Route, Store

SLOW_SECONDS = 0.1
"""A store's answer that takes longer is felt in each request."""

SKEW_SECONDS = 5.0
DAY_SECONDS = 86_400.0

MANY_EXPIRED = 1000
"""Expired records that an ordinary purge leaves behind."""

COUNT_LIMIT = 10_000
"""Records are counted up to here."""


def check_answer_time(ask: Callable[[], object], what: str) -> Finding:
    """How long *ask* takes, the best of five. Raises what it raises."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        ask()
        took.append(time.perf_counter() - started)
    answers = f"{what} answers in {min(took) * 1000:.2f} ms"
    if min(took) <= SLOW_SECONDS:
        return Finding(Level.OK, answers)
    return Finding(
        Level.WARNING,
        answers,
        "each request that reads its session waits as long, and one that writes twice",
        "a store nearer to the application",
    )


def check_load_time(store: Store, what: str) -> Finding:
    """The same with loading a record that does not exist."""
    return check_answer_time(lambda: store.load(new_key()), what)


def check_version(what: str, found: str, minimum: str) -> Finding:
    """Whether a version is new enough."""
    if _numbers(found) >= _numbers(minimum):
        return Finding(Level.OK, f"{what} {found}")
    return Finding(
        Level.ERROR,
        f"{what} {found}",
        f"{minimum} is the oldest that has what the store needs",
        f"upgrade {what}",
    )


def check_clients(extra: str) -> Iterator[Finding]:
    """The versions of the client libraries that the package's *extra* names."""
    with suppress(PackageNotFoundError):
        for requirement in requires("wsgi-sessions") or ():
            found = re.match(r"([\w-]+).*>=([\d.]+).*extra == .(\w+)", requirement)
            if found and found[3] == extra:
                yield check_version(f"Python package {found[1]}", installed(found[1]), found[2])


def check_clock(server_time: Callable[[], float]) -> Finding:
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
        "cookies and sessions expire by these clocks, too early or too late",
        "NTP on both",
    )


def check_route(route: Route) -> Iterator[Finding]:
    """What anybody on the network between this machine and the servers can do."""
    remote = [host for host in route.hosts if not is_local(host)]
    if not remote:
        yield Finding(Level.OK, "the network route to the server does not leave this machine")
        return
    where = ", ".join(remote)
    if not route.encrypted:
        yield Finding(
            Level.WARNING,
            f"no TLS on the way to {where}",
            "the network between can read and change sessions, and read the password",
            "TLS, or a private network: docs/security.md has the options",
        )
    elif not route.verified:
        yield Finding(
            Level.WARNING,
            f"TLS to {where} does not verify the certificate",
            "anyone who answers in the server's place can read and change sessions",
            "let the client verify it against a CA",
        )
    else:
        yield Finding(Level.OK, f"TLS to {where}")
    if not route.password:
        yield Finding(
            Level.WARNING,
            f"no password at {where}",
            "anyone who reaches the server can read, change and end sessions",
            "a separate user for sessions, with a password",
        )


def is_local(host: str) -> bool:
    """Whether that is this machine: a socket, or a name or an address of the loopback."""
    if not host or host.startswith("/") or host == "localhost" or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return False


def not_checked(what: str, error: StoreError) -> Finding:
    """Something that the server does not let us see."""
    return Finding(Level.NOTE, f"{what} not checked", str(error), "ask as an administrator")


def check_expired(expired: Expired) -> Finding:
    """Whether somebody purges. The records were counted up to :data:`COUNT_LIMIT`."""
    count, oldest = expired
    shown = f"{COUNT_LIMIT} or more" if count >= COUNT_LIMIT else str(count)
    what = f"{shown} expired records wait for a purge"
    if count < MANY_EXPIRED or oldest < DAY_SECONDS:
        return Finding(Level.OK, what)
    return Finding(
        Level.WARNING,
        f"{what}, the oldest for {oldest / DAY_SECONDS:.0f} days",
        "nobody purges, and the store grows forever",
        "call the store's purge() regularly, from cron for example",
    )


def check_operations(store: Store, *, lists: bool = True) -> Finding:
    """Whether the store's operations do what they should, with a record under a random key, which
    is removed again; those of owners too, if it *lists* them. A dozen round trips."""
    key = new_key()
    try:
        for step, right in _exercise(store, key, lists=lists):
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


def _exercise(store: Store, key: str, *, lists: bool) -> Iterator[tuple[str, bool]]:
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
    if lists and isinstance(store, OwnerIndex):
        listed = store.save_owned(
            key, b"5", expires_at=end, replacing=replaced, owner=key, was=None
        )
        yield "save it with its owner", listed is not None
        yield "list it under its owner", _are_soon(store, key, [key])
        moved = store.save_owned(key, b"6", expires_at=end, replacing=listed, owner=None, was=key)
        yield "take it off the list", moved is not None and _are_soon(store, key, [])
    store.delete(key)
    yield "delete it", store.load(key) is None


def _are_soon(store: OwnerIndex, owner: str, keys: Sequence[str]) -> bool:
    """Whether *keys* are those of *owner*, within some seconds: an index may follow the records."""
    for seconds in (0.1, 0.4, 1.6, 0.0):
        if list(store.keys_of(owner)) == keys:
            return True
        time.sleep(seconds)
    return False


def new_key() -> str:
    """Not of the length of a session's."""
    return f"check-{token_hex(12)}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
