"""The faults that every server has, and the way to it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Any

from tests.servers.proxy import FaultProxy
from tests.soak.faults import Fault, writes

SLOW_SECONDS = 2.5
"""More than a store waits for an answer, in the tests too."""


def stalled(send: Callable[[int], Any]) -> Fault:
    """The server answers nothing, and closes nothing."""
    return Fault(lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT))


def forgotten(*proxies: FaultProxy) -> Fault:
    """What stands in between forgets all connections without a word. A load is tried again on a new
    one; a write may fail that was in flight, or came first over one of them, as logins do."""
    count = [0]

    def forget() -> None:
        count[0] = sum(proxy.forget() for proxy in proxies)

    return Fault(forget, lambda: None, writes, effect=lambda: count[0], momentary=True)


def slow_writes(requests: re.Pattern[bytes], *proxies: FaultProxy) -> Fault:
    """*requests* are those that write."""

    def begin() -> None:
        for proxy in proxies:
            proxy.hinder(requests, SLOW_SECONDS)

    def finish() -> None:
        for proxy in proxies:
            proxy.restore()

    return Fault(begin, finish, writes)
