"""For tests that are not about limits of time: limits that a busy machine keeps too, and waits.

A store gives up after half a second; a machine with more to do than it can may stand still for as
long, and then the test of something else fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Timeouts

T = TypeVar("T")

SECONDS = 30

PATIENT = Timeouts(connect=SECONDS, answer=SECONDS)
"""For the stores of tests that are not about limits of time."""


def patient_url(url: str) -> str:
    """The URL of a store that waits as long as :data:`PATIENT`."""
    if url.startswith("memory:") or "answer_timeout=" in url:
        return url
    return with_options(url, f"connect_timeout={SECONDS}&answer_timeout={SECONDS}")


def with_options(url: str, options: str) -> str:
    """*url* with *options* behind those that it has."""
    return f"{url}{'&' if '?' in url else '?'}{options}"


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = SECONDS) -> None:
    """Return when *condition* is true; fail with *what* that is if it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} seconds for this: {what}"
        time.sleep(0.01)


def answered(ask: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What *ask* returns once the store is available."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
