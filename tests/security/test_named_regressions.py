"""Published weaknesses of session libraries, cookie parsers and their surroundings, one test each.

Each docstring says in a sentence what the weakness was; the test shows that it is not here.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable
from hmac import compare_digest
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask
import pytest

from tests.security.wsgi_client import ask, work
from tests.served.test_shared_cache import SharedCache
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    CookieStore,
    FileStore,
    MemcachedStore,
    MemoryStore,
    RedisStore,
    Session,
    SessionManager,
    SessionMiddleware,
)
from wsgi_sessions.cookie.request_header import cookie_values
from wsgi_sessions.cookie.token import TokenSigner, hash_secret, new_id, new_secret
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


def saying(use: Callable[[Session], object]) -> WSGIApplication:
    """An application whose page shows what *use* makes of the session."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        shown = str(use(environ["wsgi.session"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [shown.encode()]

    return app


@pytest.fixture
def ann(visitor: Visitor) -> Visitor:
    with visitor.request() as session:
        session["x"] = 1
        session.login("ann")
    return visitor


def test_cve_2025_46336_a_request_in_flight_restores_a_deleted_session(ann: Visitor) -> None:
    """rack-session's Pool wrote a session back that a concurrent request had deleted."""
    stolen, in_flight = ann.twin(), ann.open()
    in_flight["x"] += 1
    with ann.request() as session:
        session.invalidate()
    assert stolen.respond(in_flight) is None
    assert stolen.open().owner is None


def test_cve_2026_39324_what_cannot_be_decrypted_is_decoded_in_another_way(
    clock: ManualClock,
) -> None:
    """rack-session's Cookie took what it could not decrypt for a cookie that is not encrypted."""
    manager = SessionManager(CookieStore(), secret=SECRET, clock=clock)
    codec = manager.repository.codec
    encrypted = SessionManager(
        store := MemoryStore(clock=clock), secret=SECRET, encryption_keys=["11" * 32], clock=clock
    )
    plain = Visitor(SessionManager(store, secret=SECRET, clock=clock))
    with plain.request() as session:
        session.login("admin")
    forged = [
        codec.dumps({"owner": "admin"}).hex(), "e30", "eyJvd25lciI6ImFkbWluIn0", plain.cookie,
    ]  # fmt: skip
    for value in forged:
        assert Visitor(manager, value).open().owner is None
    assert Visitor(encrypted, plain.cookie).open().owner is None


def test_cve_2019_16782_the_time_of_a_lookup_tells_of_session_ids(
    ann: Visitor, store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rack looked a session up by the secret itself, so a store's timing could reveal it.

    Here the store is asked by the public id only, and secrets are compared as hashes, in constant
    time.
    """
    asked: list[str] = []
    compared: list[tuple[object, object]] = []
    load = store.load
    monkeypatch.setattr(store, "load", lambda key: (asked.append(key), load(key))[1])
    monkeypatch.setattr(
        "wsgi_sessions.manager.resolver.compare_digest",
        lambda one, other: (compared.append((one, other)), compare_digest(one, other))[1],
    )
    session = ann.open()
    secret = session.sid[22:]
    assert asked == [session.id]
    assert compared == [(hash_secret(secret), hash_secret(secret))]
    asked.clear()
    signer = ann.manager._signer.get()
    assert signer is not None
    # Without a signature of ours nobody gets as far as the store at all.
    assert Visitor(ann.manager, session.id + "A" * 22 + ann.cookie[44:]).read() == {}
    assert asked == []


def permanent(session: Session) -> object:
    session.permanent = True
    return session.get("x")


def test_cve_2023_30861_a_refreshed_cookie_is_cached_for_others(clock: ManualClock) -> None:
    """Flask refreshed a permanent session's cookie without ``Vary: Cookie``, so a shared cache
    could give it to others."""
    store = MemoryStore(clock=clock)
    app = SessionMiddleware(
        saying(lambda session: permanent(session)), store, secret=SECRET, clock=clock
    )
    fill = SessionMiddleware(
        saying(lambda session: session.update(x=1)), store, secret=SECRET, clock=clock
    )
    cookie = ask(fill).cookie
    ask(app, f"sid={cookie}")
    clock.advance(5 * 86_400)
    refreshed = ask(app, f"sid={cookie}")
    assert refreshed.cookie
    assert ("Vary", "Cookie") in refreshed.headers
    assert ("Cache-Control", "no-store") in refreshed.headers


LOOKS: list[Callable[[Session], object]] = [
    lambda session: "x" in session,
    len,
    bool,
    list,
    lambda session: list(session.keys()),
    lambda session: session == {},
    lambda session: session.get("x"),
    lambda session: session.new,
    lambda session: session.permanent,
    lambda session: session.owner,
    lambda session: session.id,
]


@pytest.mark.parametrize("look", LOOKS)
def test_cve_2026_27205_a_look_at_the_keys_is_no_access(look: Callable[[Session], object]) -> None:
    """Flask did not send ``Vary: Cookie`` where only keys were looked at, as by ``in``."""
    application = SessionMiddleware(saying(look), MemoryStore(), secret=SECRET)
    answer = ask(application, "sid=of whom?")
    assert ("Vary", "Cookie") in answer.headers
    assert ("Cache-Control", "private") in answer.headers
    app = flask.Flask("application")
    app.config["SECRET_KEY"] = SECRET
    FlaskSessions(app, store=MemoryStore())
    app.add_url_rule("/", view_func=lambda: str(look(flask.session._get_current_object())))
    assert ("Vary", "Cookie") in ask(app).headers


def test_cve_2026_35192_a_session_saved_by_every_request_is_cached(clock: ManualClock) -> None:
    """Django with SESSION_SAVE_EVERY_REQUEST sent cookies with public pages that did not vary."""

    def page(session: Session) -> str:
        session.modified = True  # saved, without a look at it
        return "public"

    cache = SharedCache(
        SessionMiddleware(saying(page), store := MemoryStore(clock=clock), secret=SECRET,
                          clock=clock)
    )  # fmt: skip
    fill = saying(lambda session: session.update(x=1))
    cookie = ask(SessionMiddleware(fill, store, secret=SECRET, clock=clock)).cookie
    clock.advance(8 * 3600)  # a new cookie is due
    assert ask(cache, f"sid={cookie}").cookie
    assert ask(cache).cookie == ""
    assert cache.hits == 0


@pytest.mark.parametrize("way", ["manager", "flask"])
def test_cve_2025_47278_a_fallback_secret_signs(way: str) -> None:
    """Flask 3.1.0 signed sessions with the oldest fallback secret and not with the current one."""
    store = MemoryStore()
    set_x = saying(lambda session: session.update(x=1))
    if way == "manager":
        app: Any = SessionMiddleware(
            set_x, store, secret="current", fallback_secrets=["older", "oldest"]
        )
    else:
        app = flask.Flask("application")
        app.config.update(
            SECRET_KEY="current", SECRET_KEY_FALLBACKS=["older", "oldest"],
            SESSION_COOKIE_NAME="sid",
        )  # fmt: skip
        FlaskSessions(app, store=store)
        app.add_url_rule("/", view_func=lambda: flask.session.update(x=1) or "")
    value = ask(app).cookie
    assert TokenSigner(["current"], "sid").verify(value) is not None
    for secret in ("older", "oldest"):
        assert TokenSigner([secret], "sid").verify(value) is None


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_cve_2013_7489_a_stored_session_is_unpickled(
    ann: Visitor, store: RecordingStore, tmp_path: Path
) -> None:
    """Beaker unpickled what it found in its store, so who could write there could run code."""
    id, witness = ann.open().id, tmp_path / "witness"
    stored = store.inner.load(id)
    assert stored is not None
    store.inner.save(id, pickle.dumps(Touch(witness)), expires_at=1e10, replacing=stored.version)
    assert ann.read() == {}
    assert not witness.exists()


def test_cve_2021_33026_a_cached_file_is_unpickled(tmp_path: Path) -> None:
    """Flask-Caching, on which file sessions were kept, unpickled what lay in its directory."""
    visitor = Visitor(SessionManager(FileStore(tmp_path / "s"), secret=SECRET))
    with visitor.request() as session:
        session["x"] = 1
    name = visitor.open().id.encode().hex()
    [file] = (tmp_path / "s").rglob(name)
    end = file.stat().st_mtime
    for front in (b"", file.read_bytes()[:20]):
        file.write_bytes(front + pickle.dumps(Touch(tmp_path / "witness")))
        os.utime(file, (end, end))
        assert visitor.read() == {}
    assert not (tmp_path / "witness").exists()


def test_cve_2015_3982_an_empty_session_key_is_a_key(
    manager: SessionManager, store: RecordingStore
) -> None:
    """After ``flush()`` Django kept an empty key, under which anybody found what was stored."""
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["x"] = 1
    with visitor.request() as session:
        session.invalidate()
        session["after"] = "the flush"
    store.pop_calls()
    signer = manager._signer.get()
    assert signer is not None
    for value in ("", '""', ".", "..", signer.sign("", manager.repository.now())):
        assert Visitor(manager, value).read() == {}
    assert store.pop_calls() == []
    assert len(visitor.open().id) == 22
    assert store.inner.load("") is None


def test_cve_2024_7592_quotes_and_backslashes_take_quadratic_time() -> None:
    """Python's http.cookies took quadratic time for backslashes in a quoted value."""

    def cost(length: int) -> int:
        header = 'sid="' + "\\1" * length + '"; ' + 'a="\\"; ' * length
        return work(lambda: cookie_values(header, "sid"))

    assert cost(40_000) <= 4 * cost(10_000)


def test_cve_2023_23934_a_cookie_without_a_name_passes_for_another(ann: Visitor) -> None:
    """Werkzeug took ``=__Host-sid=value``, a cookie without a name, for ``__Host-sid=value``."""
    for header in (f"={ann.header}", f"=={ann.header}", f" = {ann.header}", f"a; ={ann.header}"):
        assert ann.manager.open(header).owner is None
    assert cookie_values("=__Host-sid=bad", "__Host-sid") == []
    assert ann.manager.open(ann.header).owner == "ann"


@pytest.mark.parametrize("end", [Session.invalidate, Session.clear])
def test_cve_2018_1000519_the_id_of_an_ended_session_is_used_again(
    ann: Visitor, store: RecordingStore, end: Callable[[Session], None]
) -> None:
    """aiohttp-session's Redis store went on with the id of a session that had been invalidated, so
    an attacker could plant a cookie of his own and wait for somebody to log in under it."""
    planted, id = ann.twin(), ann.open().id
    with ann.request() as session:
        end(session)
    victim = planted.twin()
    with victim.request() as session:
        assert session.new
        session.login("victim")
    assert victim.open().id != id
    assert store.inner.load(id) is None
    assert planted.open().owner is None


def test_cve_2021_34428_a_listener_that_raises_keeps_the_session_alive(
    ann: Visitor, store: RecordingStore
) -> None:
    """In Jetty an exception of a listener during the invalidation left the session valid.

    Nothing is called here between ``invalidate()`` and the deletion; and once ``save()`` has
    returned, nothing that raises afterwards brings the session back.
    """
    id, stolen = ann.open().id, ann.twin()

    def log_out() -> None:
        with ann.request() as session:
            session.invalidate()
            session.save()
            raise RuntimeError("a listener")

    with pytest.raises(RuntimeError):
        log_out()
    assert store.inner.load(id) is None
    assert stolen.open().owner is None


def test_cve_2015_5143_anonymous_requests_fill_the_store(
    manager: SessionManager, store: RecordingStore
) -> None:
    """Django stored an empty record for each unknown session key in a request."""
    signer = manager._signer.get()
    assert signer is not None
    for value in ("x", signer.sign(new_id() + new_secret(), manager.repository.now())):
        visitor = Visitor(manager, value)
        with visitor.request() as session:
            assert session.get("x") is None
        assert visitor.set_cookie is None
    assert "save" not in store.pop_calls()


def test_cve_2015_5963_a_logout_makes_a_new_record(
    manager: SessionManager, store: RecordingStore
) -> None:
    """Django's logout page stored a new, empty record for each anonymous visitor."""
    for end in (Session.invalidate, Session.clear):
        with Visitor(manager).request() as session:
            end(session)
    assert store.pop_calls() == []


def test_cve_2011_4136_sessions_share_a_name_space_with_other_data() -> None:
    """In Django's cache sessions stood under their plain keys, where an application's own entries
    could replace them."""
    for store in (RedisStore(), MemcachedStore()):
        assert store._prefix == "session:"
    manager = SessionManager(MemoryStore(), secret=SECRET)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["owner"] = session["signing-secret"] = "mallory"
    assert visitor.open().owner is None
