"""The slots of a Redis Cluster, which its nodes share."""

from __future__ import annotations

from binascii import crc_hqx

__all__ = ["SLOTS", "are_apart", "slot_of"]

SLOTS = 16_384


def slot_of(name: str | bytes) -> int:
    """By the rule of the Redis Cluster specification: what stands in the first braces decides."""
    data = name.encode() if isinstance(name, str) else name
    start = data.find(b"{") + 1
    if start:
        end = data.find(b"}", start)
        if end > start:
            data = data[start:end]
    return crc_hqx(data, 0) % SLOTS


def are_apart(one: int, other: int) -> bool:
    """Whether at least a third of all slots lies between, either way round: where each of three
    nodes or more has a row of them, two nodes have these."""
    return SLOTS / 3 <= abs(one - other) <= SLOTS * 2 / 3
