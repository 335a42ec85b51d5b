"""A short run of what ``make soak`` does for longer."""

from __future__ import annotations

from pathlib import Path

from tests.soak.run import soak


def test_sessions_outlive_the_faults_of_their_store(tmp_path: Path) -> None:
    """Redis killed, full and stalled under gunicorn: every confirmed write is there, none is half
    there, nobody sees another's session, who has logged out is logged out, and a page that does not
    touch the session is never in error."""
    report = soak(
        "redis",
        tmp_path,
        seconds=5.1,
        on_store_error="raise",
        processes=2,
        every=1.7,
        lasts=0.9,
    )
    assert report.failures == [], str(report)
    assert {fault.kind for fault in report.faults} == {"killed", "full", "stalled"}
    assert report.notes.answers["write 200"] > 50
    assert report.notes.checked > 10
