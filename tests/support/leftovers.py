"""What a failed test has left open is not found in the middle of another test, which would fail
for it."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: Any = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Collect the garbage at once, without a word: the failure is reported already."""
    try:
        return (yield)
    finally:
        if FAILED in item.stash:
            for name in ("last_exc", "last_type", "last_value", "last_traceback"):
                with suppress(AttributeError):
                    delattr(sys, name)  # they hold the frames of the test
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
