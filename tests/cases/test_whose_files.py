"""Whose the files of a store are: a group's, if the operator says so; nobody else's, whenever they
come; and no clock or purge is needed to keep them in order."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.visitor import Visitor
from wsgi_sessions import (
    ConfigurationError,
    FileStore,
    MemoryStore,
    SessionManager,
    SQLAlchemyStore,
    SQLiteStore,
    Store,
    StoreUnavailable,
    open_store,
)
from wsgi_sessions.stores import close_store
from wsgi_sessions.testing import ManualClock
from wsgi_sessions.testing.forks import forked

LATER = 4e9
GROUP, WEB, QUEUE = 65534, 33, 34
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")


def as_user(user: int, work: Callable[[], object]) -> None:
    """*work* in a child that is *user*, in the group."""

    def child() -> None:
        os.setgroups([])
        os.setgid(GROUP)
        os.setuid(user)
        os.umask(0o077)
        work()

    with forked(child):
        pass


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that an operator shares by a group, where everybody can get to."""
    directory = Path("/tmp") / f"wsgi-sessions-{secrets.token_hex(4)}"
    directory.mkdir()
    os.chown(directory, 0, GROUP)
    directory.chmod(0o2770)
    return directory


@root_only
@pytest.mark.parametrize(
    "made",
    [lambda path: FileStore(path, group=True), lambda path: SQLiteStore(path / "s.db", group=True)],
    ids=["file", "sqlite"],
)
def test_two_users_share_sessions_by_their_group(
    made: Callable[[Path], Store], shared: Path
) -> None:
    """Whatever their umask; both read, write and remove what the other has made."""

    def write(data: bytes) -> None:
        store = made(shared)
        for key in ("one", "two"):
            found = store.load(key)
            version = found and found.version
            assert store.save(key, data, expires_at=LATER, replacing=version) is not None
        close_store(store)

    def read() -> None:
        store = made(shared)
        found = store.load("one")
        assert found is not None
        assert found.data == b"queue"
        store.delete("one")
        close_store(store)

    try:
        as_user(WEB, lambda: write(b"web"))
        as_user(QUEUE, lambda: write(b"queue"))
        as_user(WEB, read)
        modes = {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in shared.rglob("*")}
        assert modes <= {0o770, 0o660}
    finally:
        shutil.rmtree(shared)


def test_a_group_is_trusted_only_if_the_operator_says_so(tmp_path: Path) -> None:
    """And the world never."""
    directory = tmp_path / "sessions"
    directory.mkdir()
    for mode, trusted in ((0o770, True), (0o707, False), (0o777, False)):
        directory.chmod(mode)
        with pytest.raises(StoreUnavailable, match="can be written to by other users"):
            FileStore(directory).load("key")
        if trusted:
            assert FileStore(directory, group=True).load("key") is None
        else:
            with pytest.raises(StoreUnavailable, match="other users"):
                FileStore(directory, group=True).load("key")


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("mode", [0o666, 0o660, 0o606])
@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_an_sqlite_file_that_others_may_write_is_refused(
    tmp_path: Path, scheme: str, mode: int, running: bool
) -> None:
    """As such a directory is; by a process that runs, too, if it is put in the place of its own."""
    path = tmp_path / "s.db"
    store: Any = open_store(f"{scheme}:///{path}")
    store.save("key", b"mine", expires_at=LATER, replacing=None)
    path.chmod(mode)
    if scheme != "sqlite" or not running:
        store.close()
        store = open_store(f"{scheme}:///{path}")
    with pytest.raises(StoreUnavailable, match="can be written to by other users"):
        store.load("key")
    path.chmod(0o600)
    assert store.load("key").data == b"mine"
    store.close()


@pytest.mark.parametrize("beside", ["-wal", "-journal"])
@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_what_others_may_write_beside_an_sqlite_file_is_refused(
    tmp_path: Path, scheme: str, beside: str
) -> None:
    """SQLite would take its content over, and who may write to the directory can put it there."""
    store: Any = open_store(f"{scheme}:///{tmp_path}/s.db")
    store.save("key", b"mine", expires_at=LATER, replacing=None)
    store.close()
    planted = tmp_path / f"s.db{beside}"
    planted.touch()
    planted.chmod(0o666)
    with pytest.raises(StoreUnavailable, match=f"s.db{beside} can be written to by other users"):
        store.load("key")
    planted.unlink()
    assert store.load("key").data == b"mine"
    store.close()


def test_a_directory_that_others_may_write_is_refused_by_a_process_that_runs(
    tmp_path: Path,
) -> None:
    """It may have been put in the place of ours, with records in it."""
    directory = tmp_path / "sessions"
    store = FileStore(directory)
    store.save("key", b"mine", expires_at=LATER, replacing=None)
    shutil.copytree(directory, planted := tmp_path / "planted")
    shutil.rmtree(directory)
    planted.rename(directory)
    directory.chmod(0o777)
    with pytest.raises(StoreUnavailable, match="other users"):
        store.load("key")
    directory.chmod(0o700)
    assert store.load("key") is not None


def test_sqlite_made_by_sqlalchemy_is_for_its_user_alone(tmp_path: Path) -> None:
    """With its log, whatever the umask."""
    path, before = tmp_path / "s.db", os.umask(0)
    try:
        store = SQLAlchemyStore(f"sqlite:///{path}")
        store.save("key", b"mine", expires_at=LATER, replacing=None)
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
        store.close()
    finally:
        os.umask(before)


def test_an_sqlite_file_made_by_others_tools_is_used(tmp_path: Path) -> None:
    """Others may read it: `check` warns of that."""
    path = tmp_path / "s.db"
    sqlite3.connect(path).close()
    path.touch()
    path.chmod(0o644)
    store = SQLiteStore(path)
    assert store.save("key", b"mine", expires_at=LATER, replacing=None) is not None
    store.close()


def test_files_that_expired_do_not_pile_up(tmp_path: Path) -> None:
    """Saves remove more than comes; none do if that is left to ``purge``."""
    left = {}
    for purge_every in (10, 0):
        clock = ManualClock()
        directory = tmp_path / str(purge_every)
        store = FileStore(directory, purge_every=purge_every, clock=clock)
        for number in range(3000):
            end = clock() + 60 if number < 1000 else clock() + 1e6
            store.save(f"{number}", b"", expires_at=end, replacing=None)
            if number == 1000:
                clock.advance(100)
        left[purge_every] = sum(1 for path in directory.glob("*/*"))
    assert left[0] == 3000
    assert left[10] < 2400
    with pytest.raises(ConfigurationError, match="purge_every"):
        FileStore(tmp_path, purge_every=-1)


@pytest.mark.parametrize("lifetime", [600, 86_400])
def test_hosts_whose_clocks_differ_by_minutes_do_not_renew_at_every_read(lifetime: int) -> None:
    """A visitor between two hosts, one five minutes ahead: about as many renewals as with one."""
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    behind, ahead = (
        SessionManager(store, secret="s" * 32, clock=host, lifetime=lifetime)
        for host in (clock, lambda: clock() + 300)
    )
    visitor = Visitor(behind)
    with visitor.request() as session:
        session["n"] = 1
    renewals = 0
    for number in range(100):
        clock.advance(1)
        visitor.manager = (behind, ahead)[number % 2]
        with visitor.request() as session:
            assert session["n"] == 1
        renewals += visitor.set_cookie is not None
    assert renewals <= 3
