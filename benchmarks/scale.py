"""What many users need: memory, commands, nodes and money, from the benchmark's figures.

``python -m benchmarks scale`` prints it; ``--users``, ``--rate`` and the other assumptions can be
given. ``docs/scale.md`` explains the result.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from benchmarks.table import table

GIB = 2**30


@dataclass(frozen=True)
class Assumptions:
    """What is not measured. Prices are assumed, in dollars, of the order that clouds ask for."""

    users: int = 10_000_000
    sessions_per_user: float = 1.0
    """Stored at one time: each lives as long as its lifetime after the last request."""
    rate: float = 50_000
    """Requests per second at the busiest time."""
    average: float = 0.4
    """The average rate as a part of that."""
    reading: float = 0.50
    """Part of the requests that read the session and leave it."""
    writing: float = 0.08
    """Part that reads and changes it."""
    beginning: float = 0.02
    """Part that begins one. The rest does not touch it."""
    hot: float = 0.6
    """How full a node is planned to be, in memory and in CPU."""
    copies: int = 2
    """A primary and a replica, where the store has them."""
    fragmentation: float = 1.25
    """Memory of the process over the memory asked for; disk: bloat between vacuums."""
    node_memory: float = 26
    """GiB of a cache node."""
    node_price: float = 0.45
    """An hour of a cache node: 4 cores, 32 GiB."""
    database_cores: int = 16
    database_price: float = 1.60
    """An hour of a database node: 16 cores, 64 GiB, and its disk."""


class Need(NamedTuple):
    """Of one kind of store."""

    memory: float
    """GiB, without copies."""
    commands: float
    """Per second, at the busiest time."""
    cores: float
    """Of the servers that do the work, at the busiest time."""
    primaries: int
    nodes: int
    per_million: float
    """Dollars for a million requests of all kinds, on average."""
    decided_by: str


def _commands(assumed: Assumptions) -> float:
    return assumed.rate * (assumed.reading + 2 * assumed.writing + assumed.beginning)


def _cores(row: dict[str, float], assumed: Assumptions) -> float:
    """A writing request was measured with the read before it."""
    per_request = (
        assumed.reading * row["read µs"]
        + assumed.writing * row["write µs"]
        + assumed.beginning * row["new µs"]
    )
    return assumed.rate * per_request / 1e6


def _memory(row: dict[str, float], assumed: Assumptions) -> float:
    sessions = assumed.users * assumed.sessions_per_user
    return sessions * row["bytes"] * assumed.fragmentation / GIB


def _cache(row: dict[str, float], assumed: Assumptions, *, cores: int, copies: int) -> Need:
    """Nodes of which each uses *cores* for its work."""
    memory, busy = _memory(row, assumed), _cores(row, assumed)
    by_memory = math.ceil(memory / (assumed.node_memory * assumed.hot))
    by_cpu = math.ceil(busy / (cores * assumed.hot))
    primaries = max(by_memory, by_cpu, 1)
    nodes = primaries * copies
    price = _per_million(nodes * assumed.node_price, assumed)
    decided = "CPU" if by_cpu > by_memory else "memory"
    return Need(memory, _commands(assumed), busy, primaries, nodes, price, decided)


def _database(row: dict[str, float], assumed: Assumptions) -> Need:
    busy = _cores(row, assumed)
    primaries = max(math.ceil(busy / (assumed.database_cores * assumed.hot)), 1)
    nodes = primaries * assumed.copies
    price = _per_million(nodes * assumed.database_price, assumed)
    memory, commands = _memory(row, assumed), _commands(assumed)
    return Need(memory, commands, busy, primaries, nodes, price, "CPU")


def _per_million(price_per_hour: float, assumed: Assumptions) -> float:
    return price_per_hour / (assumed.rate * assumed.average * 3600) * 1e6


def needs(footprint: dict[str, dict[str, float]], assumed: Assumptions) -> dict[str, Need]:
    """By kind of store; *footprint* is what :mod:`benchmarks.footprint` measured."""
    return {
        # One thread of a Redis process does the work; the others of a node are for its copies.
        "Redis Cluster": _cache(footprint["ours-redis"], assumed, cores=1, copies=assumed.copies),
        "Memcached": _cache(footprint["ours-memcached"], assumed, cores=4, copies=1),
        "PostgreSQL": _database(footprint["ours-postgresql"], assumed),
    }


def show(results: dict[str, Any], assumed: Assumptions) -> str:
    """Needs of the *results*' part ``footprint``, and the cores of application and server together
    from ``timing``, where both ran on one core."""
    header = ["", "GiB", "commands/s", "server cores", "primaries", "nodes", "$ per million"]
    rows = [
        [
            name,
            f"{need.memory:,.1f}",
            f"{need.commands:,.0f}",
            f"{need.cores:,.1f}",
            f"{need.primaries} (by {need.decided_by})",
            str(need.nodes),
            f"{need.per_million:.3f}",
        ]
        for name, need in needs(results["footprint"], assumed).items()
    ]
    stated = ", ".join(f"{one.name} {getattr(assumed, one.name):,}" for one in fields(assumed))
    return "\n\n".join([table(header, rows), *_all_cores(results, assumed), f"assumed: {stated}"])


def _all_cores(results: dict[str, Any], assumed: Assumptions) -> list[str]:
    try:
        times = results["timing"]["microseconds"]["ours-redis"]
        idle = 1 - assumed.reading - assumed.writing - assumed.beginning
        mean = (
            idle * times["untouched"]
            + assumed.reading * times["read"]
            + assumed.writing * times["write"]
            + assumed.beginning * times["new"]
        )
    except KeyError:
        return []
    cores = assumed.rate * mean / 1e6
    return [f"sessions in Redis keep {cores:.1f} cores busy, application and server together"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """One option for each assumption."""
    for one in fields(Assumptions):
        kind: Any = type(one.default)
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default)


def from_options(options: argparse.Namespace) -> Assumptions:
    return Assumptions(**{one.name: getattr(options, one.name) for one in fields(Assumptions)})
