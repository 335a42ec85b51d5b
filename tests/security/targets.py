"""What is fuzzed: functions of any bytes that fail if the bytes do harm."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment
from zlib import crc32

from tests.security import old_data
from tests.security.wsgi_client import ask
from tests.support.recording import RecordingStore
from tests.support.visitor import UNSIGNED
from wsgi_sessions import CookieStore, MemoryStore, SessionMiddleware
from wsgi_sessions.record.record import unpack
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
clock = ManualClock()
store = RecordingStore(MemoryStore(clock=clock))


def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    session = environ["wsgi.session"]
    if environ["PATH_INFO"] == "/login":
        session["x"] = ["a", ("tuple", 1.5)]
        session.login("ann")
    shown = f"{session.owner or 'nobody'} {session.get('x')!r}"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [shown.encode("utf-8", "replace")]


app = SessionMiddleware(page, store, secret=SECRET, clock=clock)
sealed_app = SessionMiddleware(page, CookieStore(), secret=SECRET, clock=clock)
ask(app, f"sid={UNSIGNED}")
first = ask(app, path="/login")
COOKIE = first.cookie
SEALED = ask(sealed_app, path="/login").cookie
ID = COOKIE[:22]
_stored = store.inner.load(ID)
assert _stored is not None
RECORD = _stored.data
VALUE = unpack(RECORD).values["x"]


def cookie(data: bytes) -> None:
    """A ``Cookie`` header: nobody's, without a store command, unless the real one is in it."""
    header = data.decode("latin-1")
    put(RECORD)
    store.pop_calls()
    answer = ask(app, header)
    assert answer.status == "200 OK"
    assert answer.cookie == ""
    if COOKIE not in header:
        assert answer.body == b"nobody None"
        assert store.pop_calls() == []


def encrypted(data: bytes) -> None:
    """The same where the session is in the cookie."""
    header = data.decode("latin-1")
    answer = ask(sealed_app, header)
    assert answer.status == "200 OK"
    assert SEALED in header or answer.body == b"nobody None"


def record(data: bytes) -> None:
    """A record in the store: nobody's, and the visitor can go on."""
    put(data)
    answer = ask(app, f"sid={COOKIE}")
    assert answer.status == "200 OK"
    assert data == RECORD or answer.body == b"nobody None"
    assert ask(app, f"sid={COOKIE}", "/login").body == first.body


def body(data: bytes) -> None:
    """What follows a right checksum: read as a record or refused, and never an error."""
    put(b"\x01" + crc32(data).to_bytes(4, "big") + data)
    assert ask(app, f"sid={COOKIE}").status == "200 OK"


def value(data: bytes) -> None:
    """A value in a sound record: itself, or it costs the session."""
    packed = RECORD[5:].replace(_bin(VALUE), _bin(data))
    assert len(packed) == len(RECORD) - 5 + len(_bin(data)) - len(_bin(VALUE))
    body(packed)


def old_pickle(data: bytes) -> None:
    """An old session that is to be unpickled: plain values or nothing, and no class is changed."""
    old_data.check(old_data.unpickle, data)
    old_data.check_nothing_is_changed()


def old_msgpack(data: bytes) -> None:
    """The same for msgpack with keys of any kind."""
    old_data.check(old_data.unpack, data)


def _bin(data: bytes) -> bytes:
    if len(data) < 256:
        return b"\xc4%c%b" % (len(data), data)
    return b"\xc6" + len(data).to_bytes(4, "big") + data


def put(data: bytes) -> None:
    """Make *data* the visitor's record, as who can write to the store can."""
    there = store.inner.load(ID)
    version = None if there is None else there.version
    assert store.inner.save(ID, data, expires_at=clock() + 1000, replacing=version) is not None


TARGETS = [cookie, encrypted, record, body, value, old_pickle, old_msgpack]
SEEDS = {
    cookie: f"sid={COOKIE}".encode(),
    encrypted: f"sid={SEALED}".encode(),
    record: RECORD,
    body: RECORD[5:],
    value: VALUE,
    old_pickle: old_data.PICKLES[-1],
    old_msgpack: old_data.MSGPACK[0],
}
"""A good input for each, to begin with."""
