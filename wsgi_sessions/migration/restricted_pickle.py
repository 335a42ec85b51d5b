"""Reading pickles that another library left behind, without executing them.

A pickle is a program. This reads the program, by :mod:`pickletools`, and does itself what the few
opcodes of plain values say; :mod:`pickle` is not used. The rules:

* What is named stands for a function of ours (:mod:`wsgi_sessions.migration.pickled_names`), may be
  called where it is listed, with arguments of the kinds that belong to it, and is no value.
* Nothing has a state or attributes, but a UUID its number.
* Opcodes that no pickle of plain values has are refused: BUILD of anything else, OBJ, INST,
  NEWOBJ_EX, DUP, POP, and those of extensions, persistent ids and buffers.
* Values are made after all is read, within the bounds of :mod:`wsgi_sessions.migration.tree`.

Protocols 0 to 5 are read. Nothing calls this unless ``allow_pickle=True`` was asked for.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

from wsgi_sessions.migration.pickled_names import CALLED, CREATED, Name, set_state
from wsgi_sessions.migration.tree import MAX_BYTES, Node, NotPlain, build

__all__ = ["loads"]

MAX_OPCODES = 15_000
"""Each takes up to two microseconds, what it makes included: 30 ms. A value is one to three."""

MAX_DIGIT_BITS = 1 << 20
"""Of all numbers that are written in digits: reading those takes the square of their length."""


def loads(data: bytes) -> Any:
    """The plain value that is pickled in *data*.

    :raises ValueError: it is no pickle, is damaged, holds or does anything else, or is too deep or
        too large.
    """
    try:
        return build(_read(data))
    except Exception as error:  # noqa: BLE001  # hostile bytes raise whatever they like
        reason = error if type(error) is NotPlain else type(error).__name__
        raise NotPlain(f"no pickle of plain values: {reason}") from None


def _read(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise NotPlain("it is too large")
    machine, digit_bits = _Machine(len(data)), 0
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if number >= MAX_OPCODES:
            raise NotPlain("it is too large")
        if opcode.name in ("INT", "LONG"):
            digit_bits += int(argument or 0).bit_length()
            if digit_bits > MAX_DIGIT_BITS:
                raise NotPlain("it is too large")
        do = _OPCODES.get(opcode.name)
        if do is None:
            raise NotPlain(f"it has the opcode {opcode.name}")
        do(machine, argument)
    return machine.pop_only()


class _Machine:
    """The stack and the memo of one program. A part of a value is a scalar or a :class:`Node`."""

    __slots__ = ("_marks", "_memo", "_most", "_stack")

    def __init__(self, length: int) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._most = length

    def push(self, part: Any) -> None:
        self._stack.append(part)

    def pop(self) -> Any:
        if self._marks and self._marks[-1] == len(self._stack):
            raise NotPlain("it takes more than it has")
        return self._stack.pop()

    def pop_many(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def pop_only(self) -> Any:
        (part,) = self._stack
        return part

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        parts = self._stack[start:]
        del self._stack[start:]
        return parts

    def add(self, kind: type, parts: list[Any]) -> None:
        """To the container below them."""
        container = self._stack[-1]
        if type(container) is not Node or container.make is not kind:
            raise NotPlain("it adds to what takes no such items")
        container.items += parts

    def remember(self, place: int | None) -> None:
        place = len(self._memo) if place is None else place
        if not 0 <= place <= self._most:
            raise NotPlain("it leaves out places of the memo")
        self._memo[place] = self._stack[-1]

    def recall(self, place: int) -> None:
        self.push(self._memo[place])

    def name(self, names: list[Any]) -> None:
        module, name = names
        self.push(Name(module, name))

    def call(self, known: dict[str, Callable[[list[Any]], Any]]) -> None:
        name, arguments = self.pop_many(2)
        if type(name) is not Name or name.dotted not in known:
            raise NotPlain("it calls something that makes no plain value")
        if type(arguments) is not Node or arguments.make is not tuple:
            raise NotPlain("it calls without arguments")
        self.push(known[name.dotted](arguments.items))

    def build(self) -> None:
        part, state = self.pop_many(2)
        set_state(part, state)
        self.push(part)


def _ascii(machine: _Machine, text: str) -> None:
    """A ``str`` of Python 2."""
    if not text.isascii():
        raise NotPlain("it has bytes of Python 2 that are no ASCII")
    machine.push(text)


Do = Callable[[_Machine, Any], None]

_SCALARS = """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE
SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8"""
_KINDS: dict[str, type] = {
    "LIST": list,
    "TUPLE": tuple,
    "DICT": dict,
    "SET": set,
    "FROZENSET": frozenset,
}


def _empty(kind: type) -> Do:
    return lambda machine, _: machine.push(Node(kind, []))


def _to_mark(kind: type) -> Do:
    return lambda machine, _: machine.push(Node(kind, machine.pop_to_mark()))


def _tuple(length: int) -> Do:
    return lambda machine, _: machine.push(Node(tuple, machine.pop_many(length)))


def _constant(value: bool | None) -> Do:
    return lambda machine, _: machine.push(value)


def _add_many(kind: type) -> Do:
    return lambda machine, _: machine.add(kind, machine.pop_to_mark())


_OPCODES: dict[str, Do] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda _machine, _: None),
    **dict.fromkeys(_SCALARS.split(), _Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _ascii),
    **{f"EMPTY_{name}": _empty(kind) for name, kind in _KINDS.items() if name != "FROZENSET"},
    **{name: _to_mark(kind) for name, kind in _KINDS.items() if name != "SET"},
    **{f"TUPLE{length}": _tuple(length) for length in (1, 2, 3)},
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "MARK": lambda machine, _: machine.mark(),
    "APPEND": lambda machine, _: machine.add(list, machine.pop_many(1)),
    "APPENDS": _add_many(list),
    "SETITEM": lambda machine, _: machine.add(dict, machine.pop_many(2)),
    "SETITEMS": _add_many(dict),
    "ADDITEMS": _add_many(set),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "GLOBAL": lambda machine, names: machine.name(names.split(" ")),
    "STACK_GLOBAL": lambda machine, _: machine.name(machine.pop_many(2)),
    "REDUCE": lambda machine, _: machine.call(CALLED),
    "NEWOBJ": lambda machine, _: machine.call(CREATED),
    "BUILD": lambda machine, _: machine.build(),
}
"""What each opcode does. A name that :mod:`pickletools` gives to nothing is never met."""
