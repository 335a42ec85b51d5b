"""What an outage leaves in the log."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from werkzeug.test import Client

from tests.support.recording import RecordingStore
from wsgi_sessions import MemoryStore, SessionMiddleware, StoreUnavailable
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.testing import ManualClock


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


@pytest.mark.parametrize("on_store_error", ["raise", "anonymous"])
def test_whatever_an_outage_keeps_from_being_done_shares_that_line(
    on_store_error: Literal["raise", "anonymous"],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pages that read, pages that save, and renewals; also where visitors are anonymous."""
    now = 100.0
    monkeypatch.setattr("wsgi_sessions.log.time.monotonic", lambda: now)

    def application(environ: Any, start_response: Any) -> list[bytes]:
        session = environ["wsgi.session"]
        if environ["PATH_INFO"] == "/save":
            session["x"] = environ["REQUEST_METHOD"]
        start_response("200 OK", [])
        return [str(session.get("x")).encode()]

    store, clock = RecordingStore(MemoryStore()), ManualClock()
    client = Client(
        SessionMiddleware(
            application, store, secret="x" * 20, clock=clock, on_store_error=on_store_error
        )
    )
    client.get("/save")
    clock.advance(3 * 3600)
    for failing in ({"save"}, {"load", "save"}, {"load", "save"}):
        store.failing = failing
        for _ in range(50):
            client.get("/read")
            client.post("/save")
        now += 1
    assert len(caplog.messages) == 3
    assert "Traceback" not in caplog.text


def test_a_mistake_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    fail(ThrottledLog("wsgi_sessions"), KeyError("of a store's author"))
    assert "Traceback" in caplog.text
