"""Runs operations where no signal handler breaks them off.

How this works. Python runs signal handlers in the main thread, between any two steps. One that
raises (an alarm, a worker's time limit) may do so inside of a client library whose locks are
Python's own, after such a lock was taken and before anybody knows: pymongo and urllib3 then wait
for it forever, or count a connection as in use. So in the main thread, where a worker that has no
other serves its requests, an operation is carried out by a thread that is made for it (40 µs). What
a handler raises ends the waiting; the operation ends by itself, by its own time limits.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Generic, ParamSpec, TypeVar

__all__ = ["sheltered"]

P = ParamSpec("P")
T = TypeVar("T")


def sheltered(operation: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """What *operation* returns or raises, which sees the caller's context variables."""
    if threading.current_thread() is not threading.main_thread():
        return operation(*arguments, **keywords)
    job = _Job(partial(operation, *arguments, **keywords))
    try:
        _thread.start_new_thread(job.run, ())
    except RuntimeError:  # the interpreter ends, or the system has no more threads
        return operation(*arguments, **keywords)
    return job.outcome()


class _Job(Generic[T]):
    def __init__(self, operation: Callable[[], T]) -> None:
        self._operation = operation
        self._context = copy_context()
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._running = _thread.allocate_lock()
        self._running.acquire()

    def run(self) -> None:
        try:
            self._results.append(self._context.run(self._operation))
        except BaseException as error:  # noqa: BLE001 - raised where the outcome is awaited
            self._error = error
        finally:
            self._running.release()

    def outcome(self) -> T:
        """Wait for it."""
        with self._running:
            error, self._error = self._error, None
        if error is None:
            return self._results[0]
        try:
            raise error
        finally:
            del error  # or its traceback would refer to itself
