"""Exact counts for one request: function calls, and values decoded and encoded."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple
from wsgiref.types import WSGIApplication

from tests.support.plain import bare, with_session
from tests.support.repeated_request import Client
from wsgi_sessions import MsgpackCodec, SessionMiddleware, Store
from wsgi_sessions.record import Codec

SECRET = "the signing secret of the tests"


class Counts(NamedTuple):
    """Of one request, the application without sessions taken off."""

    python: int
    """Calls of Python functions."""
    c: int
    """Calls of functions written in C."""
    decoded: int
    encoded: int


class CountingCodec:
    """MessagePack, counted."""

    def __init__(self) -> None:
        self._codec: Codec = MsgpackCodec()
        self.decoded = self.encoded = 0

    def loads(self, data: bytes) -> Any:
        self.decoded += 1
        return self._codec.loads(data)

    def dumps(self, value: Any) -> bytes:
        self.encoded += 1
        return self._codec.dumps(value)


def counts(store: Store, scenario: str) -> Counts:
    """Of one request of *scenario* to the middleware over *store*."""

    def application(**options: Any) -> WSGIApplication:
        return SessionMiddleware(with_session("wsgi.session"), store, secret=SECRET, **options)

    send, base = Client(application()).request(scenario), Client(bare).request("untouched")
    for once in (send, base):  # what is done once is done
        once()
    python, c = calls_of(send)
    base_python, base_c = calls_of(base)
    codec = CountingCodec()
    send = Client(application(codec=codec)).request(scenario)
    codec.decoded = codec.encoded = 0
    send()
    return Counts(python - base_python, c - base_c, codec.decoded, codec.encoded)


def calls_of(function: Callable[[], object]) -> tuple[int, int]:
    """How many functions one call of *function* calls, written in Python and in C."""
    python = c = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal python, c
        python += event == "call"
        c += event == "c_call"

    profile(function, note)
    return python, c


def profile(function: Callable[[], object], note: Callable[[Any, str, Any], None]) -> None:
    """Call *function*; *note* hears of every call and return meanwhile, as ``sys.setprofile`` has
    it, except those of garbage collection: what that finalizes may be anybody's."""
    gc.disable()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
