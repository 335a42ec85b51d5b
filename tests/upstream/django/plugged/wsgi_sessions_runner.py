"""Django's test runner, which writes down what became of each test."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner


class RecordingRunner(DiscoverRunner):
    """Writes a JSON object of names and whether they did not fail, to ``SUITE_OUTCOMES``."""

    def run_suite(self, suite: Any, **more: Any) -> Any:
        names = [test.id() for test in tests_of(suite)]
        result = super().run_suite(suite, **more)
        failed = {name_of(test) for test, _ in [*result.failures, *result.errors]}
        failed |= {test.id() for test in result.unexpectedSuccesses}
        outcomes = {name: name not in failed for name in names} | dict.fromkeys(failed, False)
        Path(os.environ["SUITE_OUTCOMES"]).write_text(json.dumps(outcomes))
        return result


def tests_of(suite: Any) -> list[Any]:
    if hasattr(suite, "__iter__"):
        return [test for part in suite for test in tests_of(part)]
    return [suite]


def name_of(test: Any) -> str:
    """That of the whole test, if *test* is a part of one."""
    name: str = getattr(test, "test_case", test).id()
    return name
