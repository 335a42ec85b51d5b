"""The forks of the contract suite."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from wsgi_sessions.testing import forks
from wsgi_sessions.testing.forks import fork_in_c, forked


@pytest.mark.parametrize("fork", [os.fork, fork_in_c])
def test_a_child_that_fails_is_reported(fork):
    """With its traceback."""

    def fail() -> None:
        raise ValueError("the child's mistake")

    reported = r"(?s)in fail.*the child's mistake"
    with pytest.raises(AssertionError, match=reported), forked(fail, fork):
        pass


def test_a_child_that_hangs_is_reported(monkeypatch):
    """With the line where it does."""
    monkeypatch.setattr(forks, "CHILD_SECONDS", 0.1)
    reported = r"(?s)^Timeout .* in test_a_child_that_hangs"
    with pytest.raises(AssertionError, match=reported), forked(threading.Event().wait):
        pass


def test_a_child_that_cannot_report_that_it_hangs_is_killed(monkeypatch):
    """A stopped one does not notice that its time is up."""
    monkeypatch.setattr(forks, "KILL_SECONDS", 0.1)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    reported = f"wait status {signal.SIGKILL:d}$"
    with pytest.raises(AssertionError, match=reported), forked(stop):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows when threads run")
def test_a_fork_in_c_is_made_again_until_other_threads_rest(monkeypatch):
    """Each made while one ran is killed before it does anything. Those of other tests may run too;
    and on a busy machine a thread waits for a processor, so it has time to get one."""
    monkeypatch.setattr(forks, "WAITING_MICROSECONDS", 100_000)
    kill, killed, rest = os.kill, [], threading.Event()

    def count(pid: int, number: int) -> None:
        kill(pid, number)
        killed.append(number)
        if len(killed) == 3:
            rest.set()
            busy.join()

    monkeypatch.setattr(os, "kill", count)

    def spin() -> None:
        while not rest.is_set():
            pass

    busy = threading.Thread(target=spin)
    busy.start()
    try:
        with forked(lambda: None, fork_in_c):
            pass
    finally:
        rest.set()
    assert killed[:3] == [signal.SIGKILL] * 3
    assert len(killed) < forks.MOST_FORKS - 1


def test_a_fork_in_c_is_made_though_other_threads_never_rest(monkeypatch):
    """At last."""
    monkeypatch.setattr(forks, "MOST_FORKS", 2)
    monkeypatch.setattr(forks, "_switches_of_other_threads", object)
    with forked(lambda: None, fork_in_c):
        pass
