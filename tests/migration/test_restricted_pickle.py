"""The unpickler admits plain values and executes nothing."""

from __future__ import annotations

import contextlib
import os
import pickle
import pickletools
import subprocess
import tracemalloc
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from wsgi_sessions.migration.restricted_pickle import loads

PLAIN = {
    "none": None,
    "bool": True,
    "int": -(2**70),
    "float": 1.5,
    "str": "ä\ud800",
    "bytes": b"\xff\0",
    "list": [1, [2, {"three": (3,)}]],
    "tuple": (1, "2", (3.0,)),
    "set": {1, 2},
    "frozenset": frozenset("ab"),
    "datetime": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "naive": datetime(2026, 1, 2),
    "zone": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    "date": date(2026, 1, 2),
    "time": time(3, 4, 5),
    "timedelta": timedelta(days=1, microseconds=5),
    "decimal": Decimal("1.10"),
    "uuid": uuid.UUID(int=7),
    "markup": Markup("<b>"),
}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_come_back(name: str, protocol: int) -> None:
    """Of the same type, from every protocol that Python 3 has written by default."""
    value = loads(pickle.dumps({"value": PLAIN[name]}, protocol))["value"]
    assert (value, type(value)) == (PLAIN[name], type(PLAIN[name]))


class Evil:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


class Plain:
    """Of an application's own."""


@pytest.mark.parametrize(
    "value",
    [
        Evil(os.system, "touch executed"),
        Evil(subprocess.check_output, ["touch", "executed"]),
        Evil(eval, "open('executed', 'w')"),
        Evil(exec, "open('executed', 'w')"),
        Evil(open, "executed", "w"),
        Evil(getattr, "x", "__class__"),
        Evil(__import__, "antigravity"),
        Evil(pickle.loads, b"N."),
        Plain(),
        Plain,
        print,
        {"deep": [({"er": Evil(os.system, "touch executed")},)]},
        range(3),
        1j,
        Path("x"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_nothing_else_is_named(
    value: object, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, and nothing has happened."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no pickle of plain values"):
        loads(pickle.dumps(value, protocol))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch executed'\ntR.",
        b"(S'touch executed'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch executed'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0etouch executed\x85R.",
        b"\x80\x04\x8c\x08datetime\x8c\x0fdatetime.mro\x93.",
        b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.",
        b"\x80\x04\x8c\x07decimal\x8c\x07getcontext\x93)R.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x03\x00\x00\x00hex\x86R.",
        b"\x80\x02P1\n.",
        b"\x80\x04\x82\x01.",
        b"\x80\x05\x97.",
        b"",
        b"\x80\x04",
        b"garbage",
    ],
    ids=range(14),
)
def test_programs_written_by_hand(
    program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every opcode that names, calls or refers to something."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no pickle of plain values"):
        loads(program)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("put", [b"r\x00\x00\x20\x00", b"p2097152\n"], ids=["LONG_BINPUT", "PUT"])
def test_no_memory_is_taken_for_a_memo_that_is_empty(put: bytes) -> None:
    """The number of a place in it costs 16 bytes each, and may be four thousand million."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no pickle of plain values"):
            loads(b"N" + put + b".")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@given(st.lists(st.sampled_from([*OPCODES, b"os\nsystem\n", b"S'x'\n", b"\1", b"("]), max_size=12))
def test_whatever_the_bytes_it_is_a_value_or_a_value_error(parts: list[bytes]) -> None:
    """And never anything else."""
    with contextlib.suppress(ValueError):
        loads(b"".join(parts) + b".")
