"""Short runs of what ``make soak`` does for longer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.soak.report import Report
from tests.soak.run import soak
from tests.soak.targets import TARGETS

BUSY = "connect_timeout=2&answer_timeout=2"
"""For a machine that has more to do than it can, which nobody is to be refused for."""

CHOSEN = {
    "redis-cluster": ["moving slots", "a master killed"],
    "redis-sentinel": ["workers killed", "a master killed"],
    "memcached-three": ["forgotten", "one of three stalled"],
    "file": ["fork storm", "locked"],
    "mariadb": ["clock jumps", "not writable"],
    "mongodb": ["killed"],
}
"""Each fault that is new with a store, and the others once."""

ORDINARY = ("file", "mariadb")
"""What ``make test`` has beside Redis. The faults of the others are also those of tests of their
own, each by itself: test_redis_several, test_one_shard_of_three, test_mongodb_faults."""


def test_sessions_outlive_the_faults_of_their_store(tmp_path: Path) -> None:
    """Redis killed, full and stalled under gunicorn: every confirmed write is there, none is half
    there, nobody sees another's session, who has logged out is logged out, and a page that does not
    touch the session is never in error."""
    chosen = ["killed", "full", "stalled"]
    report = short_soak("redis", tmp_path, *chosen, processes=2, answer="")
    assert report.failures == [], str(report)
    assert report.writes > 50
    assert report.notes.checked > 10


@pytest.mark.parametrize(
    "store",
    [name if name in ORDINARY else pytest.param(name, marks=pytest.mark.full) for name in CHOSEN],
)
def test_who_may_not_notice_a_fault_is_served_by_every_store(store: str, tmp_path: Path) -> None:
    """The same in stores that have faults of their own: those that nobody may notice are noticed by
    nobody, and others only by those whose sessions they concern."""
    report = short_soak(store, tmp_path, *CHOSEN[store], processes=1, answer=BUSY)
    assert report.failures == [], str(report)
    assert report.writes > 10


@pytest.mark.full
@pytest.mark.parametrize("store", TARGETS)
def test_sessions_outlive_all_faults(store: str, tmp_path: Path) -> None:
    report = soak(
        store,
        tmp_path,
        seconds=0,
        on_store_error="anonymous",
        processes=1,
        recovers=math.inf,
        url_options=BUSY,
    )
    assert report.failures == [], str(report)


def short_soak(store: str, directory: Path, *chosen: str, processes: int, answer: str) -> Report:
    """Each fault once, for as long as somebody needs to notice it, and as long as it takes to be
    served again."""
    return soak(
        store,
        directory,
        seconds=0,
        on_store_error="raise",
        processes=processes,
        every=1.5,
        lasts=0.9,
        recovers=math.inf,
        url_options=answer,
        chosen=chosen,
    )
