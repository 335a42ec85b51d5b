"""Forks for tests: by Python, and by servers in C, of which Python learns nothing."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import select
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["fork_in_c", "forked"]

CHILD_SECONDS = 120
"""After which a forked child that still runs is taken to hang, and reports where."""
KILL_SECONDS = CHILD_SECONDS + 30
"""After which it is killed, since it hangs so that it cannot report that."""
WAITING_MICROSECONDS = 25_000
"""A thread that waits for the interpreter looks every 5 ms whether it gets it."""
MOST_FORKS = 100


@contextmanager
def forked(function: Callable[[], object], fork: Callable[[], int] | None = None) -> Iterator[None]:
    """Run *function* in a child that *fork*, by default :func:`os.fork`, makes; at the end fail
    with the child's traceback, or with those of its threads if it hangs."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a server's threads may be running
        child = (fork or os.fork)()
    if child == 0:  # pragma: no cover - measured in the parent only
        try:
            faulthandler.dump_traceback_later(CHILD_SECONDS, file=writer, exit=True)
            function()
        except BaseException:  # noqa: BLE001 - nothing may return into the parent's test run
            os.write(writer, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(0)
    os.close(writer)
    try:
        yield
    finally:
        with open(reader, "rb") as pipe:
            if not select.select([pipe], [], [], KILL_SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
            report = pipe.read().decode(errors="replace")
        _, status = os.waitpid(child, 0)
    assert not report, report
    assert status == 0, f"the child ended with wait status {status}"


def fork_in_c() -> int:
    """A fork of which Python learns nothing, as servers in C make them: no hook is called.

    A thread that waits for the interpreter in that moment would be waited for in the child, where
    it does not exist: sooner or later the child hangs, whatever it does. A client's own threads
    wake up at any time, so a fork during which one did is made again, at most a hundred times.
    Only Linux shows that.
    """
    libc = ctypes.PyDLL(None)  # which does not let other threads run meanwhile
    for left in reversed(range(MOST_FORKS)):
        go_on, told = os.pipe()
        before = _switches_of_other_threads()
        libc.usleep(WAITING_MICROSECONDS)
        child = int(libc.fork())
        if child == 0:  # pragma: no cover - measured in the parent only
            os.close(told)
            os.read(go_on, 1)
            os.close(go_on)
            return 0
        good = left == 0 or _switches_of_other_threads() == before
        if not good:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(go_on)
        os.close(told)
        if good:
            break
    return child


def _switches_of_other_threads() -> dict[str, list[str]]:
    """How often each has been given a processor: it rests as long as these stay the same."""
    own = str(threading.get_native_id())
    found = {}
    for task in Path("/proc/self/task").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = (task / "status").read_text().splitlines()
            if task.name != own:
                found[task.name] = [line for line in lines if "ctxt_switches" in line]
    return found
