"""A store and a codec that note what they are asked in the current request's report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any

from wsgi_sessions.cookie import ID_LENGTH, SHARED_KEY_NAME
from wsgi_sessions.demo.report import Call, Report
from wsgi_sessions.errors import StoreError, StoreUnavailable
from wsgi_sessions.record import Codec, MsgpackCodec
from wsgi_sessions.stores import OwnerIndex, Store, Stored, evicts, max_bytes_of

__all__ = ["RecordingCodec", "RecordingStore", "recorded"]

_current: ContextVar[Report] = ContextVar("report")


@contextmanager
def recorded(*, stopped: bool = False) -> Iterator[Report]:
    """The report of what is done in this block, in this thread. *stopped*: all calls fail."""
    token = _current.set(Report(stopped=stopped))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def _report() -> Report:
    return _current.get(Report())  # outside of a request it is thrown away


@contextmanager
def _call(name: str, key: str = "") -> Iterator[Call]:
    call = Call(name, outcome="the shared signing secret" if key == SHARED_KEY_NAME else "")
    _report().calls.append(call)
    began = perf_counter()
    try:
        if _report().stopped:
            raise StoreUnavailable("the visitor has stopped it", applied=False)
        yield call
    except StoreError as error:
        call.outcome, call.failed = type(error).__name__, True
        raise
    finally:
        call.seconds = perf_counter() - began


class RecordingStore:
    """*store*, with its optional abilities."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.max_bytes: int = max_bytes_of(store, sys.maxsize)
        self.evicts: bool = evicts(store)
        if isinstance(store, OwnerIndex):
            self.save_owned: Callable[..., Any] = partial(
                self._save, "save_owned", store.save_owned
            )
            self.keys_of: Callable[..., Any] = _recording("keys_of", store.keys_of)

    def load(self, key: str) -> Stored | None:
        with _call("load", key) as call:
            stored = self._store.load(key)
        if stored is None:
            call.outcome = call.outcome or "nothing there"
        elif len(key) == ID_LENGTH:
            _report().loaded(key, stored.data)
        return stored

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        return self._save(
            "save", self._store.save, key, data, expires_at=expires_at, replacing=replacing
        )

    def _save(
        self, name: str, save: Callable[..., Any], key: str, data: bytes, **keywords: Any
    ) -> Hashable | None:
        with _call(name, key) as call:
            version: Hashable | None = save(key, data, **keywords)
        if version is None:
            call.outcome = "refused: another request was faster"
        elif len(key) == ID_LENGTH:
            _report().saved(key, data)
        return version

    def delete(self, key: str) -> None:
        with _call("delete", key):
            self._store.delete(key)
        _report().deleted()


def _recording(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        with _call(name):
            return method(*arguments, **keywords)

    return call


class RecordingCodec:
    """*codec*, whose decoding is noted."""

    def __init__(self, codec: Codec | None = None) -> None:
        self._codec = codec or MsgpackCodec()

    def dumps(self, value: Any) -> bytes:
        return self._codec.dumps(value)

    def loads(self, data: bytes) -> Any:
        _report().decoded(data)
        return self._codec.loads(data)
