"""What somebody can do who reads the store, or who writes to it.

That encryption hides, binds and authenticates records is proven in
``tests/record/test_encryption.py``.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from tests.security.raw_access import EMBEDDED, RawAccess
from tests.support.visitor import Visitor
from wsgi_sessions import SessionManager
from wsgi_sessions.cookie.shared_key import SHARED_KEY_NAME
from wsgi_sessions.cookie.token import TokenSigner, hash_secret, new_id, new_secret
from wsgi_sessions.record.record import Record, pack, unpack

SECRET = "the signing secret of the tests"
KEYS = ["11" * 32]


@pytest.fixture(params=EMBEDDED)
def embedded(request: pytest.FixtureRequest) -> RawAccess:
    return EMBEDDED[request.param](request)


def life_of_a_visitor(manager: SessionManager) -> tuple[list[str], list[str]]:
    """Cookies and sids of a session that is made, used, regenerated and logged in."""
    visitor = Visitor(manager)
    cookies, sids = [], []
    for step in ("make", "use", "regenerate", "login", "use", "save in between"):
        with visitor.request() as session:
            session[step] = step
            match step:
                case "regenerate":
                    session.regenerate()
                case "login":
                    session.login("ann")
                case "save in between":
                    session.save()
                    session.get_or_create("csrf", lambda: "token")
            sids.append(session.sid)
        cookies.append(visitor.cookie)
    return cookies, sids


def every_form(text: str) -> list[bytes]:
    """How a secret could stand in a dump: as text, as the bytes it is made of, or as their hex."""
    forms = [text.encode(), b64encode(text.encode()).rstrip(b"=")[:-1]]
    for part in (text[:22], text[22:44]) if len(text) >= 44 else (text,):
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        forms += [raw, raw.hex().encode()]
    return forms


@pytest.mark.parametrize("secret", [SECRET, None], ids=["explicit secret", "shared secret"])
def test_a_dump_holds_nothing_that_makes_a_cookie(place: RawAccess, secret: Any) -> None:
    """No secret half, sid, signature or cookie, in any form; nor an explicit signing secret."""
    if getattr(place.store, "evicts", False):
        secret = SECRET
    manager = SessionManager(place.store, secret=secret)
    cookies, sids = life_of_a_visitor(manager)
    dump = place.dump()
    assert sids[0][:22].encode() in dump  # the id: it is a dump of this store
    hidden = {SECRET, *cookies, *sids, *(cookie.rpartition(".")[2] for cookie in cookies)}
    for text in hidden:
        assert text.encode() not in dump
    for sid in set(sids):
        for form in every_form(sid[22:]):
            assert form not in dump


@pytest.mark.parametrize("keys", [KEYS, ["22" * 32, *KEYS]], ids=["one key", "rotated"])
def test_a_dump_of_encrypted_records_shows_no_content(place: RawAccess, keys: list[str]) -> None:
    """Ids, sizes and times can be seen, and under whose name a login is listed."""
    manager = SessionManager(place.store, secret=SECRET, encryption_keys=keys)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["password"] = "hunter2"
    dump = place.dump()
    for hidden in (b"password", b"hunter2", *map(bytes.fromhex, keys), *map(str.encode, keys)):
        assert hidden not in dump
    with Visitor(SessionManager(place.store, secret=SECRET)).request() as session:
        session["password"] = "hunter2"
    assert b"hunter2" in place.dump()  # where it is not encrypted
    assert visitor.read() == {"password": "hunter2"}


def test_who_reads_the_store_cannot_log_in(embedded: RawAccess) -> None:
    """Not even with the signing secret that workers share: there is nothing to sign but a hash."""
    manager = SessionManager(embedded.store)
    victim = Visitor(manager)
    with victim.request() as session:
        session.login("ann")
        id, secret = session.id, session.sid[22:]
    shared, record = embedded.raw(SHARED_KEY_NAME), unpack(embedded.raw(id)[embedded.front :])
    signer = TokenSigner([shared[embedded.front :]], "sid")
    hashed = urlsafe_b64encode(record.secret_hash).decode()
    for guess in (hashed[:21] + "A", hashed[-23:-2] + "A", record.secret_hash.hex()[:21] + "A", id):
        value = signer.sign(id + guess, manager.options.clock())
        assert Visitor(manager, value).open().owner is None
    # The signer is the right one: with the secret itself, which only the browser has, it opens.
    assert Visitor(manager, signer.sign(id + secret, manager.options.clock())).open().owner == "ann"


def planted(place: RawAccess, owner: str) -> tuple[str, str]:
    """Id and secret of a session that was made in the store, past the library."""
    id, secret = new_id(), new_secret()
    now = SessionManager(place.store, secret="x").options.clock()
    record = Record(hash_secret(secret), now, now, None, 0, 1000.0, owner, None, (), {})
    assert place.store.save(id, pack(record), expires_at=now + 1000, replacing=None) is not None
    return id, secret


def test_who_writes_to_the_store_cannot_log_in(embedded: RawAccess) -> None:
    """With an explicit secret: a planted record needs a cookie that only the application signs."""
    manager = SessionManager(embedded.store, secret=SECRET)
    id, secret = planted(embedded, "admin")
    for guess in ("", "secret", id, embedded.raw(id)):
        signer = TokenSigner([guess], "sid")
        assert (
            Visitor(manager, signer.sign(id + secret, manager.options.clock())).open().owner is None
        )
    assert Visitor(manager, id + secret).open().owner is None
    # With the secret it would open, so nothing but the signature keeps it closed.
    value = TokenSigner([SECRET], "sid").sign(id + secret, manager.options.clock())
    assert Visitor(manager, value).open().owner == "admin"


# What a writer can do, so that docs/security.md promises no more than is true


def test_who_writes_and_knows_the_secret_can_log_in(embedded: RawAccess) -> None:
    """A secret that is shared through the store is known to whoever reads it: set one."""
    manager = SessionManager(embedded.store)
    Visitor(manager).open().save()
    with Visitor(manager).request() as session:
        session["x"] = 1
    id, secret = planted(embedded, "admin")
    shared = embedded.raw(SHARED_KEY_NAME)[embedded.front :]
    value = TokenSigner([shared], "sid").sign(id + secret, manager.options.clock())
    assert Visitor(manager, value).open().owner == "admin"


@pytest.mark.parametrize(("keys", "owner"), [(None, "admin"), (KEYS, None)])
def test_who_writes_can_change_a_session_of_his_own(
    embedded: RawAccess, keys: Any, owner: str | None
) -> None:
    """Without encryption: a visitor who can also write to the store can be anybody."""
    manager = SessionManager(embedded.store, secret=SECRET, encryption_keys=keys)
    mallory = Visitor(manager)
    with mallory.request() as session:
        session["x"] = 1
        id, secret = session.id, session.sid[22:]
    now = manager.options.clock()
    record = Record(hash_secret(secret), now, now, None, 0, 1000.0, "admin", None, (), {})
    raw = embedded.raw(id)
    embedded.plant(id, raw[: embedded.front] + pack(record))
    assert mallory.open().owner == owner


@pytest.mark.parametrize("keys", [None, KEYS])
def test_who_writes_can_bring_back_what_was(embedded: RawAccess, keys: Any) -> None:
    """An old version of the same record, encrypted or not; and with it the cookie of then."""
    manager = SessionManager(embedded.store, secret=SECRET, encryption_keys=keys)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["credit"] = 10
    before = visitor.twin()
    id, old = visitor.open().id, embedded.raw(visitor.open().id)
    with visitor.request() as session:
        session["credit"] = 0
        session.regenerate()
    assert before.read() == {}
    embedded.plant(id, old)
    assert before.read() == {"credit": 10}
    assert visitor.read() == {}
