"""msgpack as a tree that can be changed anywhere, so that all around the change stays sound."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Node", "parse"]

_FIXED = {0xCA: 4, 0xCB: 8} | {0xCC + n: 1 << n % 4 for n in range(8)}
_FIXED |= {0xD4 + n: 1 + (1 << n) for n in range(5)}
_SIZED = {0xC4 + n: 1 << n for n in range(3)} | {0xD9 + n: 1 << n for n in range(3)}
_SIZED |= {0xC7 + n: 1 << n for n in range(3)}
_COUNTED = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


class Node:
    """An object: the *raw* bytes of a scalar; or an array, a map (keys and values in turn) or a
    ``bin`` that holds msgpack itself, of *items*, with the first byte *kind* of its widest form."""

    def __init__(self, raw: bytes = b"", kind: int = 0, items: list[Node] | None = None) -> None:
        self.raw, self.kind = raw, kind
        self.items: list[Node] = items or []
        self.excess = 0
        """By how much the length that is announced is wrong."""

    def __bytes__(self) -> bytes:
        if not self.kind:
            return self.raw
        content = b"".join(map(bytes, self.items))
        length = len(content) if self.kind == 0xC6 else len(self.items)
        length = (length >> (self.kind == 0xDF)) + self.excess
        return bytes([self.kind]) + (length % (1 << 32)).to_bytes(4, "big") + content

    def walk(self) -> Iterator[Node]:
        yield self
        for item in self.items:
            yield from item.walk()


def parse(data: bytes, start: int = 0) -> tuple[Node, int]:
    """The object at *start* of sound *data*, and where it ends."""
    first, at = data[start], start + 1
    if first in _COUNTED or 0x80 <= first < 0xA0:
        width = _COUNTED.get(first, 0)
        count = int.from_bytes(data[at : at + width], "big") if width else first & 15
        is_map = first >= 0xDE or first < 0x90
        node, at = Node(kind=0xDF if is_map else 0xDD), at + width
        for _ in range(count << is_map):
            item, at = parse(data, at)
            node.items.append(item)
        return node, at
    size = _FIXED.get(first, first & 31 if 0xA0 <= first < 0xC0 else 0)
    if first in _SIZED:
        at += _SIZED[first]
        size = int.from_bytes(data[start + 1 : at], "big") + (0xC7 <= first <= 0xC9)
    end = at + size
    return _inside(data[at:end]) if 0xC4 <= first <= 0xC6 else Node(data[start:end]), end


def _inside(content: bytes) -> Node:
    """Of a ``bin``: what it holds, if that is one object."""
    try:
        item, end = parse(content)
    except (IndexError, RecursionError):
        end = -1
    return Node(kind=0xC6, items=[item] if end == len(content) else [Node(content)])
