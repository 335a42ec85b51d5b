"""Lists of sessions that grow, roles that change while somebody is at work, own lifetimes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.visitor import Visitor, warm
from wsgi_sessions import SessionManager, SQLiteStore
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


@pytest.mark.parametrize("absolute", [90 * 86_400, None])
def test_the_list_of_an_owner_does_not_fill_with_what_ended_by_itself(
    tmp_path: Path, clock: ManualClock, absolute: float | None
) -> None:
    """Reported for Spring Session (#1791, #1987, #2230, #2614, #2869): a program that logs in ten
    times a day and never out."""
    store = SQLiteStore(tmp_path / "sessions.db", clock=clock)
    options = {"lifetime": 3600, "absolute_lifetime": absolute, "clock": clock}
    manager = warm(SessionManager(store, secret=SECRET, **options))  # type: ignore[arg-type]
    for _ in range(60):
        with Visitor(manager).request() as session:
            session.login("robot")
        clock.advance(8640)
    while store.purge():
        pass
    assert len(list(store.keys_of("robot"))) <= 1
    assert manager.sessions_of("robot") == []
    store.close()


def test_polling_keeps_no_session_alive(clock: ManualClock, tmp_path: Path) -> None:
    """Reported for Sakai (#3563), Nextcloud (#19987) and others."""
    store = SQLiteStore(tmp_path / "sessions.db", clock=clock)
    manager = warm(
        SessionManager(
            store,
            secret=SECRET,
            clock=clock,
            lifetime=1800,
            renews=lambda environ: environ["PATH_INFO"] != "/poll",
        )
    )
    ann = Visitor(manager)
    with ann.request() as session:
        session.login("ann")
    for _ in range(60):
        clock.advance(60)
        session = manager.open(ann.header, {"PATH_INFO": "/poll"})
        session.get("x")
        assert manager.commit(session) == []
    assert ann.open().owner is None
    store.close()


def test_an_administrator_has_a_lifetime_of_his_own(clock: ManualClock, tmp_path: Path) -> None:
    """Reported for scs (#73, #149, #259) and tower-sessions (#13, #191)."""
    store = SQLiteStore(tmp_path / "sessions.db", clock=clock)
    manager = warm(SessionManager(store, secret=SECRET, clock=clock))
    admin, customer = Visitor(manager), Visitor(manager)
    with admin.request() as session:
        session.login("admin")
        session.lifetime = 900
    with customer.request() as session:
        session.login("customer")
    clock.advance(1000)
    assert (admin.open().owner, customer.open().owner) == (None, "customer")
    assert manager.sessions_of("admin") == []
    store.close()


def test_support_changes_a_role_while_its_owner_is_at_work(
    clock: ManualClock, tmp_path: Path
) -> None:
    """Reported for scs (#92), pyramid_session_redis (#45) and rest-sessions (#2)."""
    store = SQLiteStore(tmp_path / "sessions.db", clock=clock)
    manager = warm(SessionManager(store, secret=SECRET, clock=clock))
    ann = Visitor(manager)
    with ann.request() as session:
        session.login("ann")
        session.update(role="editor", cart=["book"])
    [info] = manager.sessions_of("ann")
    with manager.open_id(info.id) as opened, ann.request() as session:
        assert opened is not None
        session["cart"].append("pen")
        opened["role"] = "admin"
        opened.save()
    assert ann.read() == {"role": "admin", "cart": ["book", "pen"]}
    assert ann.open().owner == "ann"
    store.close()
