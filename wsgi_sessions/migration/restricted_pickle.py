"""Reading pickles that another library left behind, without executing them.

A pickle is a program. Ordinary unpickling lets it call anything that can be imported; here it can
make plain values only, and whatever else it names is an error. This is the one module that imports
:mod:`pickle`, and nothing calls it unless ``allow_pickle=True`` was asked for.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from importlib import import_module
from typing import Any

__all__ = ["loads"]

_PLAIN = {
    *(("builtins", name) for name in ("set", "frozenset")),
    *(("__builtin__", name) for name in ("set", "frozenset")),  # protocol 2 and older
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
    ("markupsafe", "Markup"),
}
"""What a pickle may name. None, bool, int, float, str, bytes, list, dict and tuple need no name."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError("it names something that is no plain type")
        return getattr(import_module(module.replace("__builtin__", "builtins")), name)


def _encode(text: str, encoding: str) -> bytes:
    """How protocol 2 and older write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("it has bytes in an unknown spelling")
    return text.encode("latin1")


def _check_memo(data: bytes) -> None:
    """Refuse to number a place that no pickle of this size can need: memory is taken for all the
    places before it, and seven bytes can name the four thousand millionth."""
    for opcode, number, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and (number or 0) > len(data):
            raise pickle.UnpicklingError("it leaves out places of the memo")


def loads(data: bytes) -> Any:
    """The plain value that is pickled in *data*.

    Raises ``ValueError`` if that is no pickle, is damaged, or names anything but plain types.
    """
    try:
        _check_memo(data)
        return _Unpickler(io.BytesIO(data)).load()  # that is what this module is for
    except Exception as error:  # hostile bytes raise whatever they like
        raise ValueError("no pickle of plain values") from error
