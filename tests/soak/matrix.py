"""Which fault happens to which store, and why some do not, as a Markdown table. A target that
leaves out one without a reason here is refused when it is run."""

from __future__ import annotations

from collections.abc import Iterator

STORES = {
    "redis": "Redis",
    "redis-cluster": "Redis Cluster",
    "redis-sentinel": "Redis, Sentinel",
    "memcached": "Memcached",
    "memcached-three": "three Memcached",
    "sqlite": "SQLite",
    "file": "files",
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "mongodb": "MongoDB",
    "dynamodb": "DynamoDB",
}

KINDS = (
    *("fork storm", "clock jumps", "workers killed", "forgotten", "full", "locked"),
    *("not writable", "slow to write", "killed", "stopped", "stalled", "throttled", "failing"),
    *("one of three stalled", "moving slots", "a master killed"),
)

SAME = "its connections are those of a single Redis server, one set for each node"
FAILS_OVER = "a master that is gone is replaced: see *a master killed*"
NO_SERVER = "it has no server and no connection"
NO_SUCH = "it does not know such a state, or a test cannot bring it about"
STEPS_DOWN = "a primary that cannot write steps down, and is not read either"
FORGETS = "it keeps nothing that it could come back with"
OTHERWISE = "another fault in this column has the same effect"

_SEVERAL = ("redis-cluster", "redis-sentinel")
_MEMCACHED = ("memcached", "memcached-three")
_EMBEDDED = ("sqlite", "file")
_SQL = ("postgresql", "mariadb")

_ONLY = {
    "locked": _EMBEDDED,
    "throttled": ("dynamodb",),
    "failing": ("dynamodb",),
    "one of three stalled": ("memcached-three",),
    "moving slots": ("redis-cluster",),
    "a master killed": _SEVERAL,
}
_WITHOUT: dict[str, dict[str, tuple[str, ...]]] = {
    "forgotten": {SAME: _SEVERAL, NO_SERVER: _EMBEDDED},
    "full": {OTHERWISE: (*_SEVERAL, "mariadb"), NO_SUCH: (*_MEMCACHED, "mongodb", "dynamodb")},
    "not writable": {OTHERWISE: _EMBEDDED, NO_SUCH: _MEMCACHED, STEPS_DOWN: ("mongodb",)},
    "slow to write": {SAME: _SEVERAL},
    "killed": {FAILS_OVER: _SEVERAL, FORGETS: (*_MEMCACHED, "dynamodb"), NO_SERVER: _EMBEDDED},
    "stopped": {
        FAILS_OVER: _SEVERAL,
        FORGETS: (*_MEMCACHED, "dynamodb"),
        NO_SERVER: _EMBEDDED,
        OTHERWISE: (*_SQL, "mongodb"),
    },
    "stalled": {FAILS_OVER: _SEVERAL, NO_SERVER: _EMBEDDED},
}


def reason(kind: str, store: str) -> str:
    """Why that fault does not happen to that store; empty if it does."""
    if kind in _ONLY:
        return "" if store in _ONLY[kind] else NO_SUCH
    without = _WITHOUT.get(kind, {})
    return next((why for why, stores in without.items() if store in stores), "")


def faults_of(store: str) -> list[str]:
    return [kind for kind in KINDS if not reason(kind, store)]


def matrix() -> str:
    """A table with a mark where a fault happens, and notes below."""
    notes: dict[str, str] = {}
    lines = [
        f"| fault | {' | '.join(STORES.values())} |",
        f"| --- |{' :-: |' * len(STORES)}",
        *(f"| {kind} | {' | '.join(_cells(kind, notes))} |" for kind in KINDS),
    ]
    below = [f"—{mark}: {why}." for why, mark in notes.items()]
    return "\n".join(lines) + "\n\n" + "  \n".join(below)


def _cells(kind: str, notes: dict[str, str]) -> Iterator[str]:
    for store in STORES:
        why = reason(kind, store)
        yield f"—{notes.setdefault(why, 'abcdefgh'[len(notes)])}" if why else "✓"
