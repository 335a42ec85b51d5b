"""A pytest plugin: no test of this library may leave a sid in the log.

``"tests.security.no_sid_in_logs"`` among the ``pytest_plugins`` of the outermost ``conftest.py``
turns it on. ``pytest.mark.logs_as_usual`` leaves out a test that counts what logging costs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.log_watch import SID, LogWatch


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs_as_usual: log levels are left as they are")


@pytest.fixture(autouse=True)
def no_sid_in_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever is logged during a test, by us at any level, holds nothing like a sid."""
    if request.node.get_closest_marker("logs_as_usual"):
        yield
        return
    with LogWatch(root_level=None) as watch:
        yield
    leaked = [line for line in watch.lines if SID.search(line)]
    assert not leaked, f"a sid was logged: {leaked[0]}"
