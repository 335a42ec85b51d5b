"""How many nodes a large site needs, of what the benchmark measured (``footprint``)."""

from __future__ import annotations

import math
from typing import NamedTuple

from benchmarks.table import table

Figures = dict[str, dict[str, float]]

USERS = 10_000_000
PEAK = 50_000
REQUESTS = {"read µs": 25_000, "write µs": 4_000, "new µs": 1_000}
"""A second, of :data:`PEAK`: half read their session, 8 % change it, 2 % begin one, the others do
not touch it."""
COMMANDS = {"read µs": 1, "write µs": 2, "new µs": 1}
_COMMANDS = sum(rate * COMMANDS[kind] for kind, rate in REQUESTS.items())
FRAGMENTATION = 1.25
FULL = 0.6
"""How full a node may be, in memory and in CPU."""
AVERAGE = 0.4
"""Of the busiest time, over a day."""
GIB = 1 << 30


class Node(NamedTuple):
    """A kind of server, and what one costs."""

    label: str
    cores: int
    """That the server can use."""
    gib: int
    dollars: float
    """An hour."""
    copies: int


NODES = {
    "ours-redis": Node("Redis Cluster", 1, 32, 0.45, 2),
    "ours-memcached": Node("Memcached", 16, 32, 0.45, 1),
    "ours-postgresql": Node("PostgreSQL", 16, 128, 1.60, 2),
}


def scale(figures: Figures) -> str:
    """The table of ``docs/scale.md``."""
    rows = [_row(node, figures[name]) for name, node in NODES.items()]
    header = ["", "GiB", "commands/s", "server cores", "primaries", "nodes"]
    return table([*header, "$ per million requests"], rows)


def cores_of(figures: dict[str, float]) -> float:
    """Of the server, that all requests take."""
    return sum(rate * figures[kind] for kind, rate in REQUESTS.items()) / 1e6


def requests_of(name: str, figures: Figures) -> float:
    """A second, untouched ones included, that one node serves when it is as full as it may be."""
    return PEAK * NODES[name].cores * FULL / cores_of(figures[name])


def commands_of(name: str, figures: Figures) -> float:
    """A second, as :func:`requests_of`."""
    return requests_of(name, figures) * _COMMANDS / PEAK


def _row(node: Node, figures: dict[str, float]) -> list[str]:
    gib = USERS * figures["bytes"] * FRAGMENTATION / GIB
    cores = cores_of(figures)
    by_memory, by_cpu = gib / (node.gib * FULL), cores / (node.cores * FULL)
    primaries = math.ceil(max(by_memory, by_cpu))
    nodes = primaries * node.copies
    requests = PEAK * AVERAGE * 3600
    return [
        node.label,
        f"{gib:.1f}",
        f"{_COMMANDS:,}",
        f"{cores:.1f}",
        f"{primaries} ({'by CPU' if by_cpu > by_memory else 'by memory'})",
        str(nodes),
        f"{nodes * node.dollars / requests * 1e6:.3f}",
    ]
