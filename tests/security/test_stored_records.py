"""Records that somebody has damaged, replaced or made up in the store.

What the record's own check refuses is proven for every bit in ``tests/record/test_record.py``, what
a file may be in ``tests/stores/test_file.py``, what a value may be in
``tests/record/test_codec_hostile.py``, and encryption in ``tests/record/test_encryption.py``. Here
the bytes are written into each store, past the library, and a visitor comes with the cookie that
was good for what stood there before.
"""

from __future__ import annotations

import bz2
import io
import lzma
import math
import os
import pickle
import sqlite3
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import ormsgpack
import pytest

from tests.security.log_watch import LogWatch
from tests.security.raw_access import (
    InDynamoDB,
    InFiles,
    InMemcached,
    InMemory,
    InMongoDB,
    InRedis,
    InSQLite,
    InSQLiteBySQLAlchemy,
    InTables,
    RawAccess,
)
from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.record.record import unpack
from wsgi_sessions.testing import ManualClock

CONTENT = {"x": 1, "cart": [("a", 2)]}
SECRET = "the signing secret of the tests"


class BreakIn:
    """Leaves a file behind if somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def encrypted(body: bytes) -> bytes:
    """A record with a right checksum, whatever it holds."""
    return b"\x01" + crc32(body).to_bytes(4, "big") + body


def replaced(data: bytes, **fields: object) -> bytes:
    """The record with some fields changed."""
    return encrypted(ormsgpack.packb([*astuple(unpack(data).replace(**fields)), None]))


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("session", data)
    return buffer.getvalue()


@cache
def bomb(compress: Callable[[bytes], bytes]) -> bytes:
    """20 MB in a few bytes."""
    return compress(bytes(20_000_000))


MAPS = b"\xdf\xff\xff\xff\xff"
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "many zeros": lambda data: bytes(100_000),
    "more than max_bytes": lambda data: data + bytes(1 << 20),
    "itself twice": lambda data: data + data,
    "without checksum": lambda data: data[5:],
    "an older format": lambda data: b"\x00" + data[1:],
    "JSON": lambda data: b'{"x": 1, "owner": "admin"}',
    "YAML": lambda data: b"!!python/object/apply:os.system ['true']",
    "a YAML bomb": lambda data: b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n" * 20,
    "a zip bomb": lambda data: bomb(zipped),
    "a zlib bomb": lambda data: bomb(zlib.compress),
    "a bzip2 bomb": lambda data: bomb(bz2.compress),
    "an xz bomb": lambda data: bomb(lzma.compress),
    "a msgpack bomb": lambda data: encrypted(MAPS * 1000),
    "a nested msgpack bomb": lambda data: encrypted(b"\x91" * 200_000 + b"\xc0"),
    "long arrays": lambda data: encrypted(b"\x9b" + b"\xdd\xff\xff\xff\xff" * 11),
    "another shape": lambda data: encrypted(ormsgpack.packb({"owner": "admin"})),
    "an empty secret": lambda data: replaced(data, secret_hash=b""),
    "no secret": lambda data: replaced(data, secret_hash=None),
    "created in the far future": lambda data: replaced(data, created_at=1e12),
    "saved in the far future": lambda data: replaced(data, saved_at=math.inf),
    "created at a negative time": lambda data: replaced(data, created_at=-1.0),
    "saved at a negative time": lambda data: replaced(data, saved_at=-math.inf),
    "created at NaN": lambda data: replaced(data, created_at=math.nan),
    "saved at NaN": lambda data: replaced(data, saved_at=math.nan),
    "replaced at NaN": lambda data: replaced(data, superseded=[[b"h" * 32, math.nan]]),
    "saved long ago": lambda data: replaced(data, saved_at=0.0),
    "ended long ago": lambda data: replaced(data, ends_at=1.0),
}


class Victim(Visitor):
    """A visitor whose record somebody writes to."""

    def __init__(self, place: RawAccess, **options: Any) -> None:
        super().__init__(SessionManager(place.store, secret=SECRET, **options))
        with self.request() as session:
            session.update(CONTENT)
        self.place = place
        self.id = self.open().id
        self.before = place.raw(self.id)
        self.good = self.cookie

    @property
    def record(self) -> bytes:
        return self.before[self.place.front :]

    def plant(self, data: bytes) -> None:
        """Write *data* where the record is."""
        self.place.plant(self.id, self.before[: self.place.front] + data)

    def check_foreign(self, what: str) -> None:
        """Other workers can read it, so this one leaves it and its cookie alone; a login goes into
        a session of its own."""
        there = self.place.raw(self.id)
        with LogWatch() as log:
            with self.request() as session:
                assert session.copy() == {}, what
                assert session.owner is None, what
                session["y"] = 2
            assert self.set_cookie is None, what
            with self.request() as session:
                session.login("ann")
            assert self.open().owner == "ann", what
        assert self.cookie[:22] != self.id, what
        assert self.place.raw(self.id) == there, what
        assert f"session {self.id}" in log.text, what

    def check_lost(self, what: str, *, logged: bool = True) -> None:
        """Anonymous, with a line in the log; and the next request works."""
        with LogWatch() as log:
            with self.request() as session:
                assert session.copy() == {}, what
                assert session.owner is None, what
                session["y"] = 2
            assert self.read() == {"y": 2}, what
        if logged:
            assert f"session {self.id}" in log.text, what
        assert "Traceback" not in log.text, what
        self.cookie = self.good


def test_a_record_that_is_no_record_costs_the_session(place: RawAccess) -> None:
    """Anonymous, logged by id, and the visitor can go on."""
    for what, damage in DAMAGES.items():
        victim = Victim(place)
        data = damage(victim.record)
        if isinstance(place, (InMemcached, InDynamoDB)):
            data = data[: place.store.max_bytes]  # no item can hold more
        victim.plant(data)
        victim.check_lost(what, logged=not what.endswith("ed long ago"))


def test_nothing_that_is_stored_is_executed(place: RawAccess, tmp_path: Path) -> None:
    """A pickle of any protocol, as the record or as a value in it, is only bytes."""
    victim = Victim(place)
    witness = tmp_path / "witness"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(BreakIn(witness), protocol)
        for data in (pickled, encrypted(pickled), replaced(victim.record, values={"x": pickled})):
            victim.plant(data)
            assert victim.open().get("x") is None
    pickle.loads(pickled)
    assert witness.exists()  # it would have been noticed


def test_a_record_cut_anywhere_costs_the_session(place: RawAccess) -> None:
    """At every byte, the store's own in front included."""
    victim = Victim(place)
    for size in range(len(victim.before)):
        place.plant(victim.id, victim.before[:size])
        assert victim.read() == {}, size
    victim.check_lost("cut", logged=False)


def test_a_flipped_bit_is_noticed(place: RawAccess) -> None:
    """Each bit in memory, some of each byte elsewhere; the store's own bytes cannot do harm."""
    victim = Victim(place)
    every = isinstance(place.store, MemoryStore)
    for bit in range(0, 8 * len(victim.before), 1 if every else 9):
        damaged = bytearray(victim.before)
        damaged[bit // 8] ^= 1 << bit % 8
        place.plant(victim.id, bytes(damaged))
        found = victim.read()
        assert found == {} or (found == CONTENT and bit // 8 < place.front), bit


@pytest.mark.parametrize("keys", [None, ["11" * 32]], ids=["plain", "encrypted"])
def test_the_record_of_another_session_opens_nothing(place: RawAccess, keys: Any) -> None:
    """It has another secret; and if encrypted, it is bound to the other id."""
    options = {"encryption_keys": keys}
    victim, other = Victim(place, **options), Victim(place, **options)
    victim.plant(other.record)
    victim.check_lost("another's")
    assert other.read() == CONTENT


def test_a_plain_record_opens_nothing_where_encryption_is_on(place: RawAccess) -> None:
    """Whoever can write to the store could write one."""
    plain, mine = Victim(place), Victim(place, encryption_keys=["11" * 32])
    mine.plant(plain.record)
    mine.check_lost("plain")


def test_a_record_of_a_newer_format_is_left_to_other_workers(place: RawAccess) -> None:
    """During a deployment they stand side by side."""
    victim = Victim(place)
    victim.plant(b"\x02" + victim.record[1:])
    victim.check_foreign("newer")


def test_a_record_of_another_encryption_key_is_left_to_other_workers(place: RawAccess) -> None:
    """The name of its key says so."""
    plain, mine = Victim(place), Victim(place, encryption_keys=["11" * 32])
    other = Victim(place, encryption_keys=["22" * 32])
    for victim, data in (mine, other.record), (plain, mine.record), (mine, other.record[:-1]):
        victim.cookie = victim.good
        victim.plant(data)
        victim.check_foreign("another key")


def test_a_damaged_record_of_a_key_that_is_here_costs_the_session(place: RawAccess) -> None:
    """The name of its key fits, and the rest does not."""
    mine = Victim(place, encryption_keys=["11" * 32])
    for data in mine.record[:-1], mine.record + b"\x00":
        mine.plant(data)
        mine.check_lost("damaged")


@pytest.mark.parametrize("what", [name for name in DAMAGES if "bomb" in name or "max" in name])
def test_memory_is_bounded(request: pytest.FixtureRequest, what: str) -> None:
    """The size is checked before anything is decoded, and nothing is ever unpacked."""
    victim = Victim(InMemory(request))
    victim.plant(DAMAGES[what](victim.record))
    tracemalloc.start()
    try:
        victim.read()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_size_is_checked_before_anything_is_decoded(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is sound in all else, and larger than any that would have been saved."""
    victim = Victim(InMemory(request))
    large = replaced(victim.record, values={"x": bytes(16 << 20)})
    victim.plant(large)
    monkeypatch.setattr("wsgi_sessions.session.repository.unpack", pytest.fail)
    with LogWatch() as log:
        assert victim.read() == {}
    assert "larger than max_bytes" in log.text
    monkeypatch.undo()
    victim.manager.repository._most_loaded = len(large)
    assert victim.open().new is False


# What only one kind of store can hold


@pytest.mark.parametrize(
    "put",
    [("LPUSH", "x"), ("SADD", "x"), ("HSET", "x", "y"), ("ZADD", 1, "x"), ("XADD", "*", "x", "y")],
    ids=lambda put: put[0],
)
def test_another_type_in_redis_is_missing(
    request: pytest.FixtureRequest, put: tuple[object, ...]
) -> None:
    """For a request that reads, one that writes, and one that logs out."""
    place = InRedis(request)
    victim = Victim(place)
    late, leaving = victim.twin(), victim.twin()
    session = late.open()
    session["x"] = session["x"] + 1
    name = place.prefix + victim.id
    place.server.ask("DEL", name)
    place.server.ask(put[0], name, *put[1:])
    victim.check_lost("another type", logged=False)
    assert late.respond(session) is None
    with leaving.request() as session:
        session.invalidate()
    place.server.ask("DEL", name)


@pytest.mark.parametrize("kind", [InSQLite, InSQLiteBySQLAlchemy])
@pytest.mark.parametrize("value", ["text", "", 5, 1.5, 10**13, -1], ids=repr)
def test_another_type_in_a_column_of_sqlite(
    request: pytest.FixtureRequest, kind: type[InSQLite], value: object
) -> None:
    """SQLite keeps any type in any column."""
    place = kind(request)
    victim = Victim(place)
    place.plant(victim.id, value)
    victim.check_lost("another type", logged=kind is InSQLite)


@pytest.mark.parametrize("make", [InSQLite, InSQLiteBySQLAlchemy])
def test_null_in_a_table_of_sqlite_is_refused_by_it(
    request: pytest.FixtureRequest, make: type[InSQLite]
) -> None:
    """The tables that the stores make do not allow it."""
    place = make(request)
    victim = Victim(place)
    for column in ("data", "version", "expires_at"):
        with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
            place.execute(f"UPDATE sessions SET {column} = NULL")
    assert victim.read() == CONTENT


@pytest.mark.parametrize("make", [InSQLite, InSQLiteBySQLAlchemy])
def test_null_in_a_table_that_allows_it(
    request: pytest.FixtureRequest, make: type[InSQLite]
) -> None:
    """One that somebody else has made: the session is lost, and no error."""
    place = make(request)
    victim = Victim(place)
    rows = place.execute("SELECT key, version, expires_at FROM sessions WHERE length(key) = 22")
    place.execute("DROP TABLE sessions")
    columns = "key PRIMARY KEY, version, expires_at, data, owner, listed_at"
    place.execute(f"CREATE TABLE sessions ({columns})")
    place.execute("INSERT INTO sessions VALUES (?, ?, ?, NULL, NULL, NULL)", *rows[0])
    victim.check_lost("NULL", logged=make is InSQLite)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_null_in_a_table_of_a_server(request: pytest.FixtureRequest, server: str) -> None:
    """If somebody has allowed it."""
    place = InTables(request, server)
    victim = Victim(place)
    place.execute(
        f"ALTER TABLE {place.name}.sessions "
        + ("ALTER data DROP NOT NULL" if server == "postgresql" else "MODIFY data LONGBLOB NULL")
    )
    place.execute(f"UPDATE {place.name}.sessions SET data = NULL")
    victim.check_lost("NULL", logged=False)


@pytest.mark.parametrize("value", [None, "text", 5, [b"x"], {"x": b""}, 1e308, True], ids=repr)
@pytest.mark.parametrize("field", ["data", "version", "expires_at"])
def test_another_type_in_a_document_of_mongodb(
    request: pytest.FixtureRequest, field: str, value: object
) -> None:
    """Missing, or the version is none that a save could have; never an error."""
    place = InMongoDB(request)
    victim = Victim(place)
    place.documents.update_one({"_id": victim.id}, {"$set": {field: value}})
    assert victim.read() in ({}, CONTENT)
    with Visitor(victim.manager).request() as session:
        session["y"] = 2
    place.documents.update_one({"_id": victim.id}, {"$unset": {field: 1}})
    victim.check_lost("no such field", logged=False)


@pytest.mark.parametrize("end", ["'never'", "1e300", "-1e300", "-1", "9e999", "x'00'"])
def test_any_expiry_in_a_table_of_sqlite(
    request: pytest.FixtureRequest, clock: ManualClock, end: str
) -> None:
    """The session is there or over, whatever the column holds; and what has no end there has one
    in the cookie and the record."""
    place = InSQLite(request, clock)
    victim = Victim(place, clock=clock)
    place.execute(f"UPDATE sessions SET expires_at = {end}")
    assert victim.read() in ({}, CONTENT)
    clock.advance(86_400)
    assert victim.read() == {}


@pytest.mark.parametrize("end", [0, -1, 2.0**33, 2.0**34 - 1])
def test_any_expiry_of_a_file(
    request: pytest.FixtureRequest, clock: ManualClock, end: float
) -> None:
    """The same for what anybody can set a file's time to."""
    place = InFiles(request, clock)
    victim = Victim(place, clock=clock)
    os.utime(place.file(victim.id), (end, end))
    assert victim.read() == (CONTENT if end > clock() else {})
    clock.advance(86_400)
    assert victim.read() == {}


@pytest.mark.parametrize(
    "put",
    [
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to(path.parent),
    ],
    ids=["directory", "FIFO", "symlink to a device", "to a file", "to itself", "to a directory"],
)
def test_what_is_no_file_is_missing(
    request: pytest.FixtureRequest, put: Callable[[Path], object]
) -> None:
    """Not followed, not waited for; the visitor gets a session under another id."""
    place = InFiles(request)
    victim = Victim(place)
    file = place.file(victim.id)
    file.unlink()
    put(file)
    victim.check_lost("no file", logged=False)
    victim.check_lost("no file", logged=False)


def test_a_record_may_claim_a_time_in_the_future(
    request: pytest.FixtureRequest, clock: ManualClock
) -> None:
    """As one does that was saved before the clock was set back: it is served, and ends at the
    latest 400 days after the date that is signed in the cookie."""
    place = InMemory(request, clock)
    victim = Victim(place, clock=clock)
    later = clock() + 1e8
    victim.plant(replaced(victim.record, created_at=later, saved_at=later))
    assert victim.read() == CONTENT
    clock.advance(400 * 86_400)
    assert victim.read() == {}
