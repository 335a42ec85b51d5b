"""What FileStore alone has."""

from __future__ import annotations

import fcntl
import os
import resource
import secrets
import signal
import socket
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import wsgi_sessions.stores.file.directory as file_directory
from tests.support.owners import listed
from tests.support.patience import PATIENT, answered
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.file import descriptors, paths
from wsgi_sessions.stores.file.layout import UNFINISHED
from wsgi_sessions.stores.file.store import FileStore
from wsgi_sessions.testing import ManualClock, StoreContract
from wsgi_sessions.testing.forks import forked

LATER = 4e9
NOBODY = 65534
WAYS = {"descriptors": descriptors, "paths": paths}


@pytest.fixture(autouse=True, params=WAYS)
def way(request, monkeypatch):
    """How shards are worked in: as on POSIX, and as on Windows."""
    monkeypatch.setattr(file_directory, "shards", WAYS[request.param])
    return request.param


class TestContract(StoreContract):
    """FileStore keeps the rules of every store."""

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def store(self, clock, tmp_path):
        return FileStore(tmp_path / "sessions", timeouts=PATIENT, clock=clock)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "sessions"


@pytest.fixture
def store(directory):
    return FileStore(directory, timeouts=PATIENT)


def save(store, key="key", data=b"data", replacing=None):
    return store.save(key, data, expires_at=LATER, replacing=replacing)


def record_of(directory: Path) -> Path:
    """The only record's file."""
    [path] = [path for path in directory.glob("*/*") if path.name not in (UNFINISHED, paths.LOCK)]
    return path


def content_of(shard: Path) -> list[str]:
    """What is in a shard besides its lock."""
    return [name for name in os.listdir(shard) if name != paths.LOCK]


def open_below(directory: Path) -> list[str]:
    """What this process has open there; other tests' threads may open and close other things."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(str(directory))]


def modes(directory: Path) -> set[tuple[bool, int]]:
    paths = [directory, *directory.rglob("*")]
    return {(path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in paths}


# -- the directory


def test_building_and_reading_make_nothing(store, directory):
    """The directory is made by the first creation."""
    assert store.load("key") is None
    assert save(store, replacing=b"x" * 16) is None
    store.delete("key")
    assert store.purge() == 0
    assert list(store.keys()) == []
    assert not directory.exists()
    save(store)
    assert directory.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_everything_is_for_the_owner_alone(directory, monkeypatch, umask):
    """0700 and 0600, whatever the umask. (Windows has no modes.)"""
    monkeypatch.setattr(file_directory, "shards", descriptors)
    store = FileStore(directory, timeouts=PATIENT)
    before = os.umask(umask)
    try:
        version = save(store)
        save(store, data=b"again", replacing=version)
    finally:
        os.umask(before)
    assert modes(directory) == {(True, 0o700), (False, 0o600)}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_that_others_may_write_to_is_refused(store, directory, mode):
    """They could have put records there for us to find."""
    directory.mkdir()
    directory.chmod(mode)
    for operation in (lambda: store.load("key"), lambda: save(store)):
        with pytest.raises(StoreUnavailable, match="chmod"):
            operation()


def test_a_directory_made_by_the_operator_is_used(store, directory):
    """Readable by others is no danger: the files in it are not."""
    directory.mkdir(mode=0o755)
    save(store)
    assert store.load("key").data == b"data"


def test_a_removed_directory_is_made_again(store, directory, tmp_path):
    """Without a restart; the sessions are gone."""
    save(store)
    directory.rename(tmp_path / "away")
    assert store.load("key") is None
    assert save(store) is not None
    assert store.load("key").data == b"data"


def test_a_relative_directory_is_that_of_the_time_of_building(tmp_path, monkeypatch):
    """A later chdir, as daemons do, changes nothing."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("below/sessions")
    monkeypatch.chdir("/")
    save(store)
    assert record_of(tmp_path / "below/sessions").is_file()


# -- what is not ours


def put_symlink(path, elsewhere):
    path.symlink_to(elsewhere)


def put_fifo(path, elsewhere):
    os.mkfifo(path)


def put_socket(path, elsewhere):
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(path.parent)  # the whole path is too long for a socket's name
        server.bind(path.name)
        os.chdir(before)


def put_text(path, elsewhere):
    path.write_bytes(b"not a record, but longer than the header of one")


def put_short(path, elsewhere):
    path.write_bytes(b"wss1")


def put_zeros(path, elsewhere):
    path.write_bytes(bytes(500))


@pytest.mark.parametrize("put", [put_symlink, put_fifo, put_socket, put_text, put_short, put_zeros])
def test_what_is_not_a_record_is_missing_and_gives_way(store, directory, tmp_path, put):
    """Never followed, never waited for: missing for all, and save puts the record in its place."""
    version = save(store)
    path = record_of(directory)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    os.utime(elsewhere, (LATER, LATER))
    put(path, elsewhere)
    with suppress(OSError):
        os.utime(path, (LATER, LATER), follow_symlinks=False)
    content = elsewhere.read_bytes()
    assert store.load("key") is None
    assert save(store, data=b"lost", replacing=version) is None
    assert save(store, data=b"new") is not None
    assert store.load("key").data == b"new"
    assert stat.S_ISREG(path.lstat().st_mode)
    path.unlink()
    put(path, elsewhere)
    store.delete("key")
    assert not os.path.lexists(path)
    assert elsewhere.read_bytes() == content
    assert elsewhere.stat().st_mtime == LATER


@pytest.mark.parametrize("what", ["record", UNFINISHED])
def test_a_directory_in_place_of_a_record(store, directory, what):
    """Missing; and since it may hold anything, it is moved aside by the next save. The same where a
    writer's unfinished file would be."""
    save(store)
    path = record_of(directory)
    shard = path.parent
    path.unlink()
    place = path if what == "record" else path.with_name(UNFINISHED)
    place.mkdir()
    (place / "something").write_text("else")
    os.utime(place, (LATER, LATER))
    assert store.load("key") is None
    store.delete("key")
    save(store)
    assert store.load("key").data
    [aside] = [entry for entry in shard.iterdir() if entry.is_dir()]
    assert (aside / "something").read_text() == "else"
    assert list(store.keys()) == ["key"]


def test_a_shard_that_is_a_symbolic_link_is_refused(store, directory, tmp_path):
    """What is behind it is not read, written or deleted."""
    save(store)
    shard = record_of(directory).parent
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    operations = [
        lambda: store.load("key"),
        lambda: save(store),
        lambda: store.delete("key"),
        lambda: store.purge(),
        lambda: list(store.keys()),
    ]
    for operation in operations:
        with pytest.raises(StoreUnavailable):
            operation()
    assert len(content_of(tmp_path / "elsewhere")) == 1


def test_names_differ_on_file_systems_that_ignore_case(store, directory):
    """No two keys have file names that differ in case only."""
    for key in ("abc", "ABC", "aBC"):
        save(store, key)
    names = [path.name for path in directory.glob("*/*") if path.name != paths.LOCK]
    assert len({name.lower() for name in names}) == 3


def test_foreign_files_are_neither_listed_nor_purged(store, directory):
    """purge and keys pass over what has no name of ours."""
    save(store)
    shard = record_of(directory).parent
    for name in ("README", "AB", "a b", "6b65", "c3a9"):
        (shard / name).write_bytes(b"")
        os.utime(shard / name, (1, 1))
    (shard / "6b65").unlink()
    (shard / "6b65").symlink_to("README")
    assert list(store.keys()) == ["key"]
    assert store.purge() == 0
    assert len(content_of(shard)) == 6


# -- faults


def test_no_space_leaves_the_old_record(store, directory):
    """All or nothing; the unfinished file is gone, and a smaller record can be saved."""
    version = save(store, data=b"old")

    def child():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(StoreUnavailable):
            save(store, data=b"x" * 10_000, replacing=version)

    with forked(child):
        pass
    assert store.load("key").data == b"old"
    assert content_of(record_of(directory).parent) == [record_of(directory).name]
    assert save(store, data=b"new", replacing=version) is not None


@pytest.mark.parametrize("closed", ["directory", "shard", "record"])
def test_no_permission_is_a_fault(closed):
    """It is not "missing", and nothing changes."""
    with tempfile.TemporaryDirectory() as place:
        if os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)

        def child():
            if os.geteuid() == 0:  # permissions do not concern the superuser
                os.setresuid(NOBODY, NOBODY, NOBODY)
            store = FileStore(f"{place}/sessions")
            save(store)
            record = record_of(Path(place, "sessions"))
            path = {"directory": record.parents[1], "shard": record.parent, "record": record}
            path[closed].chmod(0)
            with pytest.raises(StoreUnavailable, match="Permission"):
                store.load("key")
            with pytest.raises(StoreUnavailable, match=r"Permission|unable to open"):  # SQLite's
                save(store)
            path[closed].chmod(0o700)
            assert store.load("key").data == b"data"

        with forked(child):
            pass


def test_a_file_in_place_of_the_directory_is_a_fault(store, directory):
    """Neither "missing" nor overwritten."""
    directory.write_text("mine")
    for operation in (lambda: store.load("key"), lambda: save(store)):
        with pytest.raises(StoreUnavailable):
            operation()
    assert directory.read_text() == "mine"


def hold_lock(shard: Path, way: str) -> Callable[[], None]:
    """Lock the shard as another process does; gives what releases it."""
    if way == "paths":
        lock = sqlite3.connect(shard / paths.LOCK, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        return lock.close
    descriptor = os.open(shard, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return partial(os.close, descriptor)


def test_a_lock_that_is_not_released_is_a_fault(directory, way):
    """After half a second, also if it is held by a process that was stopped. Loads go on."""
    store = FileStore(directory)
    version = save(store)
    release = hold_lock(record_of(directory).parent, way)
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            save(store, data=b"new", replacing=version)
        assert 0.4 < time.monotonic() - began < 10  # forever, if it waited for the lock itself
        assert store.load("key").data == b"data"
    finally:
        release()
    assert answered(lambda: save(store, data=b"new", replacing=version)) is not None


def test_the_time_for_an_answer_is_that_for_a_lock(directory, way):
    """*timeouts* of the store."""
    store = FileStore(directory, timeouts=Timeouts(answer=0.01))
    save(store)
    release = hold_lock(record_of(directory).parent, way)
    began = time.monotonic()
    try:
        with pytest.raises(StoreUnavailable):
            store.delete("key")
        with pytest.raises(StoreUnavailable):
            FileStore(directory, timeouts=Timeouts(answer=1.5)).delete("key")
        assert time.monotonic() - began > 1.5
    finally:
        release()


def test_messages_name_the_directory_and_no_key(store, directory):
    """An operator sees where and why."""
    directory.write_text("")
    with pytest.raises(StoreUnavailable) as caught:
        store.load("a-key")
    assert str(directory) in str(caught.value)
    assert b"a-key".hex() not in str(caught.value)


def test_no_descriptor_stays_open(store, directory):
    """After success, refusal and fault."""

    def use_all():
        version = save(store)
        save(store)
        save(store, data=b"x" * 50_000, replacing=version)
        store.load("key")
        store.purge()
        list(store.keys())
        store.delete("key")

    use_all()
    assert open_below(directory) == []


# -- killed writers


def write_forever(store, key, ready):
    """Replace the record by complete ones of different sizes: one letter, many times."""
    found = store.load(key)
    version = found and found.version
    os.write(ready, b"x")
    while True:
        data = bytes([secrets.choice(range(65, 91))]) * (1 + secrets.randbelow(60_000))
        version = store.save(key, data, expires_at=LATER, replacing=version)
        assert version is not None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # other tests' threads may run
def test_a_killed_writer_leaves_a_complete_record(store, directory):
    """Killed at any point: the old or the new, no lock, and the next save works."""
    for _ in range(40):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                write_forever(store, "key", writer)
            finally:
                os._exit(1)
        os.close(writer)
        assert os.read(reader, 1)
        time.sleep(secrets.randbelow(3000) / 1e6)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        os.close(reader)
        found = store.load("key")
        if found is not None:
            assert found.data == found.data[:1] * len(found.data)
        assert save(store, data=b"!!", replacing=found and found.version) is not None
    store.purge()
    assert content_of(record_of(directory).parent) == [record_of(directory).name]


def test_what_a_killed_writer_left_is_purged(store, directory):
    """It is not counted, and not listed."""
    save(store)
    left = record_of(directory).with_name(UNFINISHED)
    left.write_bytes(b"half")
    assert list(store.keys()) == ["key"]
    assert store.purge() == 0
    assert not left.exists()
    assert store.load("key").data == b"data"


def test_the_time_of_a_file_is_its_expiry(store, directory):
    """It keeps fractions of a second."""
    store.save("key", b"data", expires_at=LATER + 0.25, replacing=None)
    assert record_of(directory).stat().st_mtime == LATER + 0.25


# -- as on Windows


class InUse(PermissionError):
    """What Windows raises for a file that another process has open."""

    winerror = 32


@pytest.mark.parametrize("call", ["replace", "open", "unlink"])
def test_a_file_that_another_process_has_open_is_tried_again(directory, monkeypatch, call):
    """Windows refuses to replace, to open and to remove it for that moment."""
    monkeypatch.setattr(file_directory, "shards", paths)
    store, refused = FileStore(directory, timeouts=PATIENT), []
    save(store)
    real = getattr(os, call)

    def busy(*arguments, **options):
        if len(refused) < 3:
            refused.append(call)
            raise InUse
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, busy)
        assert store.load("key").data == b"data"
        assert save(store, "other") is not None
        store.delete("key")
    assert len(refused) == 3
    assert store.load("key") is None
    assert store.load("other").data == b"data"


def test_a_refusal_that_is_no_matter_of_others_is_not_tried_again(directory, monkeypatch):
    """No permission stays no permission."""
    monkeypatch.setattr(file_directory, "shards", paths)
    store, calls = FileStore(directory, timeouts=PATIENT), []

    def refuse(*arguments):
        calls.append(arguments)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreUnavailable, match="Permission"):
        save(store)
    assert len(calls) == 1


# -- owners


def lists_of(directory: Path) -> list[Path]:
    return [path for path in directory.glob("owners-*/*") if not path.name.startswith(paths.LOCK)]


def test_a_list_is_for_the_owner_alone_and_names_nobody(store, directory):
    listed(store, "key", "ann@example.org")
    [path] = lists_of(directory)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "ann" not in path.name
    assert b"ann" not in path.read_bytes()
    assert list(store.keys()) == ["key"]


def test_what_has_expired_is_not_listed_and_its_list_is_purged(tmp_path):
    clock = ManualClock(time.time())
    store = FileStore(tmp_path / "sessions", timeouts=PATIENT, clock=clock, purge_every=0)
    listed(store, "short", left=60)
    listed(store, "long", left=600)
    clock.advance(100)
    assert store.keys_of("ann") == ["long"]
    clock.advance(700)
    assert store.purge() == 2
    assert lists_of(tmp_path / "sessions") == []


def test_a_process_killed_between_the_writes_leaves_what_reading_removes(store, directory):
    """It has listed a record that it did not write; its lock went with it."""
    listed(store, "before")
    child = os.fork()
    if child == 0:
        store._save = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        listed(store, "ghost")
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    [path] = lists_of(directory)
    assert b"ghost" in path.read_bytes()
    assert store.keys_of("ann") == ["before"]
    assert b"ghost" not in path.read_bytes()
    assert listed(store, "after")
    assert store.keys_of("ann") == ["before", "after"]


def test_a_save_that_fails_leaves_the_list_as_it_was(store, monkeypatch):
    listed(store, "kept")
    version = listed(store, "key", "bob")

    def fail(*_, **__):
        raise StoreUnavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_save", fail)
        with pytest.raises(StoreUnavailable):
            listed(store, "key", "ann", replacing=version, was="bob")
    assert (store.keys_of("ann"), store.keys_of("bob")) == (["kept"], ["key"])


@pytest.mark.parametrize("content", [b"", b"half", bytes(100), b"wss1" + bytes(16) + b"x y\n\xff"])
def test_what_is_no_list_is_an_empty_one(store, directory, content):
    listed(store, "key")
    [path] = lists_of(directory)
    path.write_bytes(content)
    os.utime(path, (LATER, LATER))
    assert store.keys_of("ann") == []
    listed(store, "next")
    assert store.keys_of("ann") == ["next"]


def test_a_list_that_nobody_reads_is_cleaned_by_logins(tmp_path):
    """Of what has ended; a session that is alive stays listed, in its place."""
    clock = ManualClock(time.time())
    store = FileStore(tmp_path / "sessions", timeouts=PATIENT, clock=clock)
    ends = {"replacing": None, "owner": "ann", "was": None}
    assert store.save_owned("alive", b"", expires_at=clock() + 9e6, **ends)
    for number in range(500):
        assert store.save_owned(f"key{number}", b"", expires_at=clock() + 100, **ends)
        clock.advance(10)
    [path] = lists_of(tmp_path / "sessions")
    assert path.stat().st_size < 5000
    assert store.keys_of("ann") == ["alive", *(f"key{number}" for number in range(491, 500))]
