"""The unpickler admits plain values and executes nothing."""

from __future__ import annotations

import contextlib
import os
import pickle
import pickletools
import subprocess
import traceback
import tracemalloc
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from tests.security.old_data import check_nothing_is_changed
from tests.support.values import EXAMPLES, fingerprint
from wsgi_sessions.migration.restricted_pickle import loads


def is_very_long(value: object) -> bool:
    return type(value) is int and value.bit_length() > 1000


def alike(count: int, after: bytes = b"") -> bytes:
    """Ints of one hash, as opcodes, each with *after*."""
    encoded = (pickle.encode_long((2**61 - 1) * n) for n in range(1, count + 1))
    return b"".join(b"\x8a%c%b%b" % (len(number), number, after) for number in encoded)


PLAIN: dict[str, Any] = {
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
    "empty": [b"", "", (), [], {}, set(), frozenset()],
    "zone by name": datetime(2026, 7, 2, tzinfo=ZoneInfo("Europe/Paris")),
    "zone with a name": time(1, tzinfo=timezone(timedelta(hours=-1), "X")),
    "fold": datetime(2026, 10, 25, 2, 30, fold=1),
    "keys": {(1, "a", (None,)): 1, 5: 2, None: 3, b"k": 4, frozenset({1}): 5, 2.5: 6, True: 7},
    "shared": [[1]] * 3,
    "long": "x" * 70_000,
    "many": list(range(3000)),
    "negative": [-1, -256, -(2**31), 2**31, 2**63],
    "infinite": [float("inf"), float("-inf"), 1e-300],
}


@pytest.mark.parametrize("optimize", [bytes, pickletools.optimize])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_come_back(
    name: str, protocol: int, optimize: Callable[[bytes], bytes]
) -> None:
    """Of the same type, from every protocol."""
    data = optimize(pickle.dumps({"value": PLAIN[name]}, protocol))

    assert loads(data) == {"value": PLAIN[name]}
    assert fingerprint(loads(data)) == fingerprint(pickle.loads(data))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [value for value in EXAMPLES if not is_very_long(value)],  # Python reads none so long as text
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_record_can_hold_is_read(value: Any, protocol: int) -> None:
    """With its edges, alone and inside of others, as :mod:`pickle` itself reads it: older protocols
    keep no fold."""
    for whole in (value, [value], {"a": (value, value)}):
        data = pickle.dumps(whole, protocol)
        assert fingerprint(loads(data)) == fingerprint(pickle.loads(data))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_ordered_dict_is_read_as_a_dict(protocol: int) -> None:
    """In its order. Flask 0.x and forms put them into sessions."""
    ordered = OrderedDict(b=1, a=OrderedDict(c=2))
    ordered.move_to_end("b")

    value = loads(pickle.dumps(ordered, protocol))

    assert fingerprint(value) == fingerprint({"a": {"c": 2}, "b": 1})


def test_what_python_2_wrote_is_read() -> None:
    """By ``pickle.dumps(…)`` and ``cPickle.dumps(…, 2)``: ASCII text, and its own names."""
    assert loads(b"(dp0\nS'_user_id'\np1\nS'7'\np2\nsS'n'\np3\nL7L\ns.") == {
        "_user_id": "7",
        "n": 7,
    }
    assert loads(b"\x80\x02}q\x01U\x01aq\x02X\x02\x00\x00\x00\xc3\xa4q\x03s.") == {"a": "ä"}
    assert loads(b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'a'\naI1\naatR.") == {"a": 1}
    assert loads(b"c__builtin__\nset\n((lI1\natR.") == {1}


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


MARKUP = b"cmarkupsafe\nMarkup\n"
UUID = b"cuuid\nUUID\n"
STATEFUL = [
    # An attribute of a class: "state with slots", in each protocol's spelling.
    MARKUP + b"N}X\x06\x00\x00\x00escape" + MARKUP + b"s\x86b0}.",
    MARKUP + b"N}X\x06\x00\x00\x00escapeNs\x86b.",
    MARKUP + b"}X\x06\x00\x00\x00escapeNsb.",
    # Of an object that has been made.
    MARKUP + b"X\x01\x00\x00\x00x\x85\x81}X\x06\x00\x00\x00escapeNsb.",
    b"]}X\x01\x00\x00\x00aNsb.",
    b"}}X\x01\x00\x00\x00aNsb.",
    b"cdatetime\ntimedelta\nK\x01\x85R}b.",
    b"ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aNsb.",
    # A UUID whose state is none, or comes twice.
    UUID + b")\x81.",
    UUID + b")\x81}b.",
    UUID + b")\x81Nb.",
    UUID + b")\x81}X\x03\x00\x00\x00intX\x01\x00\x00\x007sb.",
    UUID + b")\x81}X\x03\x00\x00\x00int\x88sb.",
    UUID + b")\x81}X\x03\x00\x00\x00intJ\xff\xff\xff\xffsb.",
    UUID + b")\x81}X\x03\x00\x00\x00intK\x01sb}X\x03\x00\x00\x00intK\x02sb.",
    UUID + b")\x81N}X\x03\x00\x00\x00intK\x01s\x86b.",
    # A class or function as a value.
    MARKUP + b".",
    b"]" + MARKUP + b"a.",
    b"}" + MARKUP + b"Ns.",
    b"(" + MARKUP + b"\x91.",
    MARKUP + b"\x85.",
    b"cbuiltins\nset\n" + MARKUP + b"\x85R.",
    b"c_codecs\nencode\n" + MARKUP + b"X\x06\x00\x00\x00latin1\x86R.",
    # Something called by another way, without a tuple, or with what it does not take.
    b"(" + MARKUP + b"X\x01\x00\x00\x00xo.",
    b"(X\x01\x00\x00\x00ximarkupsafe\nMarkup\n.",
    MARKUP + b"X\x01\x00\x00\x00x\x85}\x92.",
    MARKUP + b"X\x01\x00\x00\x00x\x85R.",
    b"cdecimal\nDecimal\nX\x01\x00\x00\x001\x85\x81.",
    b"cdecimal\nDecimal\nX\x01\x00\x00\x001R.",
    b"cdecimal\nDecimal\n]X\x01\x00\x00\x001aR.",
    b"cdecimal\nDecimal\n]\x85R.",
    b"cdatetime\ndatetime\nM\xea\x07K\x01K\x01\x87R.",
    b"cdatetime\ndatetime\nC\x0a\x07\xea\x01\x63\x63\x63\x63\0\0\0\x85R.",
    b"cdatetime\ndate\nC\x04\x07\xea\x01\x63\x85R.",
    b"cdatetime\ntime\nC\x06\x17\x63\x63\0\0\0\x85R.",
    b"cdatetime\ndatetime\nC\x0a\x07\xea\x01\x01\0\0\0\0\0\0N\x86)R.",
    b"cdatetime\ntzinfo\n)R.",
    b"cbuiltins\nset\n(K\x01t\x85R.",
    b"cbuiltins\nset\nX\x02\x00\x00\x00ab\x85R.",
    b"cbuiltins\nobject\n)R.",
    b"cbuiltins\nstr\n)R.",
    b"cbuiltins\ngetattr\n" + MARKUP + b"X\x06\x00\x00\x00format\x86R.",
    b"cbuiltins\ngetattr\nczoneinfo\nZoneInfo\nX\x0b\x00\x00\x00clear_cache\x86R)R.",
    b"cbuiltins\ngetattr\nX\x01\x00\x00\x00xX\x09\x00\x00\x00__class__\x86R.",
    b"czoneinfo\nZoneInfo\nX\x03\x00\x00\x00UTC\x85R.",
    b"ccopyreg\n_reconstructor\n" + MARKUP + b"cbuiltins\nobject\nN\x87R.",
    b"ccopyreg\n_reconstructor\ncbuiltins\nset\ncbuiltins\nobject\nN\x87R.",
    b"ccopyreg\n_reconstructor\n" + MARKUP + b"cbuiltins\nstr\nK\x01\x87R.",
    # What no pickle of plain values has.
    b"K\x012\x86.",
    b"K\x01K\x020.",
    b"K\x01(1.",
    b"\x82\x01.",
    b"\x83\x01\x00.",
    b"\x84\x01\x00\x00\x00.",
    b"Pid\n.",
    b"K\x01Q.",
    b"\x96" + bytes(8) + b".",
    b"\x97\x98.",
    # A stack or a memo that does not have what is taken from it.
    b".",
    b"K\x01K\x02.",
    b"a.",
    b"]a.",
    b"](\x86.",
    b"t.",
    b"h\x00.",
    b"]K\x01s.",
    b"}K\x01a.",
    b"}(K\x01u.",
    b"K\x01K\x02a.",
    b"c_codecs encode\nxx\n.",
    # Text that is none.
    b"U\x01\xff.",
    b"T\x01\x00\x00\x00\xff.",
    b"X\x01\x00\x00\x00\xff.",
]


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
        *STATEFUL,
    ],
    ids=bytes.hex,
)
def test_programs_written_by_hand(
    program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every opcode that names, calls or refers to something."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no pickle of plain values"):
        loads(program)
    assert os.listdir(tmp_path) == []
    check_nothing_is_changed()


def test_what_is_listed_is_read_by_hand_too() -> None:
    """So that what is refused above is refused for what is wrong with it."""
    assert loads(MARKUP + b"X\x01\x00\x00\x00x\x85\x81.") == Markup("x")
    assert loads(UUID + b")\x81}X\x03\x00\x00\x00intK\x01sb.") == uuid.UUID(int=1)
    assert (
        loads(UUID + b")\x81q\x00}X\x03\x00\x00\x00intK\x01sbh\x00\x86.") == (uuid.UUID(int=1),) * 2
    )
    assert loads(b"cdecimal\nDecimal\nX\x01\x00\x00\x001\x85R.") == Decimal(1)
    assert loads(b"cdatetime\ndate\nC\x04\x07\xea\x01\x02\x85R.") == date(2026, 1, 2)


PAIRS = [b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60)]
LISTS = [b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(60)]
"""Each holds the one before twice: 2**60 of the first."""
LONG = (1 << 20).to_bytes(4, "little") + b"x" * (1 << 20) + b"q\x00" + b"h\x00" * 9

BOUNDED: dict[str, tuple[bytes, str]] = {
    "a key so deep that hashing it overflows C": (b"})" + b"\x85" * 14_000 + b"Ns.", "too deep"),
    "one that is deeper": (b"})" + b"\x85" * 900_000 + b"Ns.", "too large"),
    "lists": (b"]" * 1000 + b"a" * 999 + b".", "too deep"),
    "frozensets": (b"(" * 1000 + b"\x91" * 1000 + b".", "too deep"),
    "a list in itself": (b"]q\x00h\x00a.", "holds itself"),
    "a dict in itself": (b"}q\x00K\x01h\x00s.", "holds itself"),
    "doubled tuples": (b"(Nq\x00" + b"".join(PAIRS) + b"t.", "too large"),
    "doubled lists": (b"(]q\x00" + b"".join(LISTS) + b"t.", "too large"),
    "doubled tuples as a key": (b"(Nq\x00" + b"".join(PAIRS) + b"}h\x3cNst.", "too large"),
    "a long text many times": (b"](X" + LONG + b"e.", "too large"),
    "a long number many times": (b"](\x8b" + LONG + b"e.", "too large"),
    "many values": (b"](" + b"N" * 15_000 + b"e.", "too large"),
    "a long Decimal": (
        b"cdecimal\nDecimal\nV" + b"9" * 5000 + b"\n\x85R.",
        "too large",
    ),
    "many dicts": (b"(" + b"}" * 15_000 + b"l.", "too large"),
    "many digits": (b"(" + (b"L" + b"9" * 4000 + b"L\n") * 90 + b"l.", "too large"),
    "many digits of INT": (b"(" + (b"I" + b"9" * 4000 + b"\n") * 90 + b"l.", "too large"),
    "alike keys": (b"}(" + alike(200, b"N") + b"u.", "same hash"),
    "alike keys in two parts": (b"}(" + alike(99, b"N") + b"u(" + alike(200, b"N") + b"u.", "same"),
    "an alike set": (b"\x8f(" + alike(200) + b"\x90.", "same hash"),
    "an alike set of protocol 0": (b"cbuiltins\nset\n(](" + alike(200) + b"etR.", "same hash"),
    "an alike frozenset": (b"(" + alike(200) + b"\x91.", "same hash"),
}


@pytest.mark.parametrize(("program", "reason"), BOUNDED.values(), ids=BOUNDED)
def test_depth_size_and_keys_are_bounded(program: bytes, reason: str) -> None:
    """A process is neither killed nor kept busy: nothing is made before its size is known."""
    with pytest.raises(ValueError, match=reason):
        loads(program)


def test_sixty_four_levels_are_read() -> None:
    """As many as a record has."""
    deepest: Any = 1
    for _ in range(64):
        deepest = (deepest,)

    assert loads(pickle.dumps(deepest)) == deepest
    with pytest.raises(ValueError, match="too deep"):
        loads(pickle.dumps([deepest]))


def test_the_reason_shows_no_value() -> None:
    """It may be logged."""
    for program in (
        b"Is3cret\n.",
        b"cdecimal\nDecimal\nX\x06\x00\x00\x00s3cret\x85R.",
        b"cos\ns3cret\n)R.",
    ):
        with pytest.raises(ValueError, match="no pickle") as caught:
            loads(program)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value)[-1:])
        assert caught.value.__suppress_context__


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
