"""What an outage leaves in the log."""

from __future__ import annotations

import pytest

from wsgi_sessions import StoreUnavailable
from wsgi_sessions.log import ThrottledLog


def fail(log: ThrottledLog, error: Exception) -> None:
    try:
        raise error
    except Exception:
        log.error("a session could not be saved")


def test_an_outage_has_one_line_a_second_and_no_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("wsgi_sessions.log.time.monotonic", lambda: now)
    log = ThrottledLog("wsgi_sessions")
    for _ in range(3):
        for _ in range(200):
            fail(log, StoreUnavailable("Redis did not answer in time"))
        now += 1
    first = "a session could not be saved: StoreUnavailable: Redis did not answer in time"
    assert caplog.messages == [first, *[f"{first} (199 more since the last entry)"] * 2]
    assert "Traceback" not in caplog.text


def test_a_mistake_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    fail(ThrottledLog("wsgi_sessions"), KeyError("of a store's author"))
    assert "Traceback" in caplog.text
