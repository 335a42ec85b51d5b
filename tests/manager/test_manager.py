"""The policy: which cookies are accepted, what is logged, what a store's faults do."""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.breaker_clock import set_breaker_clock
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    ConfigurationError,
    ConflictError,
    MemoryStore,
    Session,
    SessionManager,
    SessionTooLarge,
    StoreError,
    StoreUnavailable,
)
from wsgi_sessions.cookie.shared_key import SHARED_KEY_NAME
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


def fill(visitor: Visitor, **values: Any) -> Visitor:
    with visitor.request() as session:
        session.update(values or {"x": 1})
    return visitor


# Cookies


def test_a_worker_remembers_headers_in_a_bounded_room(visitor: Visitor) -> None:
    """What is in them is read again after that; long ones are never kept."""
    manager = fill(visitor).manager
    kept = manager.resolve.__self__._values  # type: ignore[attr-defined]
    for number in range(350):
        header = f"{visitor.header}; other={number}"
        assert manager.open(header)["x"] == manager.open(header)["x"] == 1
        assert manager.open(f"{header}; long={'x' * 5000}")["x"] == 1
        assert 0 < len(kept) <= 100
    assert max(map(len, kept)) < 4096


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: "",
        lambda value: "x" * 95,
        lambda value: value[:-1] + ("A" if value[-1] != "A" else "E"),
        lambda value: value[1:] + "A",
        lambda value: value.replace(".", ".A", 1),
    ],
)
def test_a_forged_cookie_costs_no_store_call(
    visitor: Visitor, store: RecordingStore, forge: Callable[[str], str]
) -> None:
    """It is refused before the store is asked."""
    fill(visitor)
    store.pop_calls()
    forged = Visitor(visitor.manager, forge(visitor.cookie))
    with forged.request() as session:
        assert session.copy() == {}
    assert (store.pop_calls(), forged.set_cookie) == ([], None)


def test_a_cookie_older_than_browsers_keep_one_costs_no_store_call(
    visitor: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    """Its signed date says so."""
    fill(visitor)
    store.pop_calls()
    clock.advance(timedelta(days=400))
    assert visitor.read() == {}
    assert store.pop_calls() == []


def test_two_living_sessions_are_none(
    manager: SessionManager, store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Which of them is the visitor's cannot be told. Both are loaded, as both may be dead."""
    one, other = fill(Visitor(manager)), fill(Visitor(manager))
    store.pop_calls()
    with caplog.at_level(logging.INFO):
        session = manager.open(f"sid={one.cookie}; sid={other.cookie}")
        assert session.copy() == {}
    assert store.pop_calls() == ["load", "load"]
    assert "the cookies of 2 living sessions" in caplog.text


def test_the_same_cookie_twice_is_one(manager: SessionManager) -> None:
    """As a browser sends it that has it under two paths, signed at two times perhaps."""
    visitor = fill(Visitor(manager))
    assert manager.open(f"sid={visitor.cookie}; sid={visitor.cookie}").copy() == {"x": 1}


@pytest.mark.parametrize("junk", ["", "x", "y" * 95, '"'])
def test_worthless_cookies_of_our_name_do_not_hide_ours(manager: SessionManager, junk: str) -> None:
    """The valid one counts, wherever it stands."""
    visitor = fill(Visitor(manager))
    header = "; ".join([f"sid={junk}"] * 50 + [f"sid={visitor.cookie}"] + [f"sid={junk}"] * 50)
    assert manager.open(header).copy() == {"x": 1}


@pytest.mark.parametrize("header", ["sid={}; sid=x", "sid=x; sid={}"])
def test_one_worthless_cookie_does_not_hide_ours(manager: SessionManager, header: str) -> None:
    """Neither before it nor after it."""
    visitor = fill(Visitor(manager))
    assert manager.open(header.format(visitor.cookie)).copy() == {"x": 1}


@pytest.mark.parametrize("secret", [SECRET, None])
def test_a_cookie_is_worth_nothing_under_another_name(
    store: RecordingStore, clock: ManualClock, secret: str | None
) -> None:
    """Although the secret is the same: the signature is bound to the name."""
    visitor = fill(Visitor(SessionManager(store, secret=secret, clock=clock)))
    other = SessionManager(store, secret=secret, clock=clock, cookie_name="admin")
    assert other.open(f"admin={visitor.cookie}").copy() == {}


@pytest.mark.parametrize("header", [None, "", "other=1", "sidx=1"])
def test_a_visitor_without_a_cookie_costs_nothing(
    store: RecordingStore, caplog: pytest.LogCaptureFixture, header: str | None
) -> None:
    """No call, not even for the shared secret, and no line in the log."""
    with caplog.at_level(logging.DEBUG, logger="wsgi_sessions"):
        assert SessionManager(store).open(header).copy() == {}
    assert (store.pop_calls(), caplog.messages) == ([], [])


def test_a_refused_cookie_is_logged(
    manager: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    """By the logger for that; what was in it is not."""
    with caplog.at_level(logging.INFO):
        session = manager.open("sid=bad")
        assert (session.copy(), session.created_at) == ({}, manager.repository.now())
    assert caplog.record_tuples == [
        ("wsgi_sessions.security", logging.INFO,
         "a cookie was refused: not signed by us, or too old")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "secure"), [({}, False), ({"secure": False}, False), ({"secure": True}, True)]
)
@pytest.mark.parametrize("way", ["commit", "unavailable"])
def test_a_logout_expires_the_cookie_as_it_was_set(
    visitor: Visitor, way: str, asked: dict[str, bool], secure: bool
) -> None:
    """Carried out or not, with Secure if the request came over https."""
    session = fill(visitor).open()
    session.invalidate()
    headers = getattr(visitor.manager, way)(session, **asked)
    [line] = [value for name, value in getattr(headers, "headers", headers) if name == "Set-Cookie"]
    assert line.startswith("sid=; ")
    assert ("; Secure" in line) is secure


def test_a_permanent_cookie_is_not_expired_by_rounding(
    store: RecordingStore, clock: ManualClock
) -> None:
    """Max-Age=0 would end the session at once."""
    manager = SessionManager(store, secret=SECRET, clock=clock, permanent_lifetime=0.5)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["x"], session.permanent = 1, True
    assert visitor.set_cookie is not None
    assert "; Max-Age=1;" in visitor.set_cookie


def test_an_id_that_was_not_issued_is_never_adopted(
    manager: SessionManager, store: RecordingStore
) -> None:
    """Rightly signed, but of no record: the new session has another id."""
    visitor = fill(Visitor(manager))
    old = visitor.open().id
    store.inner.delete(old)
    fill(visitor, y=2)
    assert visitor.read() == {"y": 2}
    assert visitor.open().id != old


def test_a_wrong_secret_opens_nothing(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    """The id alone proves nothing; the log names the id."""
    fill(visitor)
    id = visitor.open().id
    signer = visitor.manager._signer.get()
    assert signer is not None
    forged = Visitor(visitor.manager, signer.sign(id + "A" * 22, visitor.manager.repository.now()))
    assert forged.read() == {}
    assert caplog.messages == [f"session {id}: a cookie with another secret was refused"]


# The signing secret


def test_rotation_keeps_everybody_logged_in(store: RecordingStore, clock: ManualClock) -> None:
    """While the old secret is a fallback."""
    old = fill(Visitor(SessionManager(store, secret="old", clock=clock)))
    new = SessionManager(store, secret=b"new", fallback_secrets=["older", "old"], clock=clock)
    assert Visitor(new, old.cookie).read() == {"x": 1}
    without = SessionManager(store, secret="new", clock=clock)
    assert Visitor(without, old.cookie).read() == {}


@pytest.mark.parametrize("lone", ["secret", b"secret"])
def test_a_lone_fallback_secret_is_a_type_error(lone: Any) -> None:
    """Its characters would be taken for secrets."""
    with pytest.raises(TypeError, match="list"):
        SessionManager(MemoryStore(), secret="x", fallback_secrets=lone)


@pytest.mark.parametrize("wrong", [1, ["x"], object()])
def test_a_secret_is_text_or_bytes(wrong: Any) -> None:
    """As a fallback too."""
    with pytest.raises(TypeError, match="str or bytes"):
        SessionManager(MemoryStore(), secret=wrong)
    with pytest.raises(TypeError, match="str or bytes"):
        SessionManager(MemoryStore(), secret="x", fallback_secrets=[wrong])


@pytest.mark.parametrize("empty", ["", b""])
def test_an_empty_secret_is_refused(empty: Any) -> None:
    """With the command that makes a good one."""
    with pytest.raises(ConfigurationError, match="token_hex"):
        SessionManager(MemoryStore(), secret=empty)


def test_the_environment_gives_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program gives none."""
    monkeypatch.setenv("WSGI_SESSIONS_SECRET", "from the environment")
    store = RecordingStore()
    visitor = fill(Visitor(SessionManager(store)))
    assert store.pop_calls() == ["load", "save", "save"]  # the key's hint, once
    fill(Visitor(visitor.manager))
    assert store.pop_calls() == ["save"]
    explicit = SessionManager(store, secret="from the environment")
    assert Visitor(explicit, visitor.cookie).read() == {"x": 1}


def test_without_a_secret_workers_share_one_through_the_store() -> None:
    """Each asks once."""
    store = RecordingStore()
    one = fill(Visitor(SessionManager(store)))
    assert store.pop_calls() == ["load", "save", "save"]
    other = Visitor(SessionManager(store), one.cookie)
    assert other.read() == {"x": 1}
    assert store.pop_calls() == ["load", "load"]
    assert other.read() == {"x": 1}
    assert store.pop_calls() == ["load"]


def test_workers_that_start_at_once_agree_on_one_secret() -> None:
    """Each accepts the cookies of all others."""
    store = MemoryStore()
    barrier = threading.Barrier(8)
    visitors = [Visitor(SessionManager(store)) for _ in range(8)]

    def start(visitor: Visitor) -> None:
        barrier.wait()
        fill(visitor)

    threads = [threading.Thread(target=start, args=[visitor]) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in visitors:
        for other in visitors:
            assert Visitor(other.manager, one.cookie).read() == {"x": 1}


def test_a_store_that_lost_the_secret_gets_it_back(clock: ManualClock) -> None:
    """Workers that are running and one that starts later accept each other's cookies."""
    store = MemoryStore(clock=clock)
    running = SessionManager(store, clock=clock)
    fill(Visitor(running))
    store.delete(SHARED_KEY_NAME)
    clock.advance(61)
    visitor = fill(Visitor(running))
    assert Visitor(SessionManager(store, clock=clock), visitor.cookie).read() == {"x": 1}


def test_a_worker_takes_over_the_secret_that_another_put_there(clock: ManualClock) -> None:
    """And goes on accepting its own."""
    store = MemoryStore(clock=clock)
    running = SessionManager(store, clock=clock)
    before = fill(Visitor(running))
    store.delete(SHARED_KEY_NAME)
    started_later = SessionManager(store, clock=clock)
    theirs = fill(Visitor(started_later))
    clock.advance(61)
    after = fill(Visitor(running))
    assert Visitor(started_later, after.cookie).read() == {"x": 1}
    assert Visitor(running, theirs.cookie).read() == {"x": 1}
    assert before.read() == {"x": 1}


def test_a_store_that_was_emptied_has_the_old_key_again_after_the_first_missing_session(
    store: RecordingStore, clock: ManualClock
) -> None:
    """The worker that misses a session a second later puts its key back, with no new session, so
    that one that starts after it needs none of its own. It asks at most once a second."""
    running = SessionManager(store, clock=clock)
    visitor = fill(Visitor(running))
    for key in list(store.inner.keys()):  # type: ignore[attr-defined]
        store.delete(key)
    clock.advance(1)
    assert visitor.read() == {}
    theirs = fill(Visitor(SessionManager(store, clock=clock)))
    assert Visitor(running, theirs.cookie).read() == {"x": 1}
    store.pop_calls()
    visitor.read()
    assert store.pop_calls() == ["load"]


def test_a_worker_that_misses_a_session_adopts_the_key_of_another(clock: ManualClock) -> None:
    store = MemoryStore(clock=clock)
    running = SessionManager(store, clock=clock)
    visitor = fill(Visitor(running))
    for key in list(store.keys()):
        store.delete(key)
    theirs = fill(Visitor(SessionManager(store, clock=clock)))
    clock.advance(1)
    assert visitor.read() == {}
    assert Visitor(running, theirs.cookie).read() == {"x": 1}


def test_a_store_that_fails_when_the_key_is_looked_for_fails_no_request(
    store: RecordingStore, clock: ManualClock
) -> None:
    running = SessionManager(store, clock=clock)
    visitor = fill(Visitor(running))
    for key in list(store.inner.keys()):  # type: ignore[attr-defined]
        store.delete(key)
    clock.advance(1)
    store.failing = {"save"}
    assert visitor.read() == {}


def test_a_damaged_shared_secret_is_replaced() -> None:
    """It costs the sessions, and is no permanent error."""
    store = MemoryStore()
    store.save(SHARED_KEY_NAME, b"short", expires_at=1e10, replacing=None)
    visitor = fill(Visitor(SessionManager(store)))
    assert Visitor(SessionManager(store), visitor.cookie).read() == {"x": 1}


def test_a_store_that_evicts_needs_a_secret() -> None:
    """The error says so before the first request."""

    class Evicting(MemoryStore):
        evicts = True

    with pytest.raises(ConfigurationError, match=r"^Evicting .* WSGI_SESSIONS_SECRET"):
        SessionManager(Evicting())
    SessionManager(Evicting(), secret="x")


# Options


def test_an_unknown_option_is_a_type_error() -> None:
    """Named."""
    with pytest.raises(TypeError, match="cookie_nam"):
        SessionManager(MemoryStore(), cookie_nam="sid")


@pytest.mark.parametrize("name", ["lifetime", "permanent_lifetime", "absolute_lifetime"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ConfigurationError), (-1, ConfigurationError), (timedelta(0), ConfigurationError),
     (float("nan"), ConfigurationError), (float("inf"), ConfigurationError), ("1", TypeError),
     (True, TypeError)],
)  # fmt: skip
def test_durations_are_positive(name: str, value: Any, error: type[Exception]) -> None:
    """Seconds or a timedelta."""
    with pytest.raises(error, match=name):
        SessionManager(MemoryStore(), secret="x", **{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_store_error": "ignore"}, "'raise' or 'anonymous'"),
        ({"max_bytes": 0}, "positive"),
    ],
)
def test_other_options_are_checked_too(options: dict[str, Any], message: str) -> None:
    """At construction."""
    with pytest.raises(ConfigurationError, match=message):
        SessionManager(MemoryStore(), secret="x", **options)


def test_no_secret_shows_in_a_repr() -> None:
    """Of manager or options."""
    manager = SessionManager(MemoryStore(), secret="hunter2", fallback_secrets=["hunter3"])
    assert "hunter" not in repr(manager) + repr(manager.options) + repr(vars(manager))


# Size


def test_a_record_over_max_bytes_is_refused_before_it_is_sent(
    store: RecordingStore, clock: ManualClock
) -> None:
    """What was stored is intact."""
    visitor = Visitor(SessionManager(store, secret=SECRET, max_bytes=1000, clock=clock))
    fill(visitor, small=1)
    session = visitor.open()
    session["large"] = "x" * 1000
    store.pop_calls()
    with pytest.raises(SessionTooLarge, match="limit is 1000") as caught:
        visitor.respond(session)
    assert store.pop_calls() == ["load"]
    assert (caught.value.size > 1000, caught.value.limit) == (True, 1000)
    assert pickle.loads(pickle.dumps(caught.value)).size == caught.value.size
    assert visitor.read() == {"small": 1}


def test_a_record_of_just_max_bytes_is_kept(store: RecordingStore, clock: ManualClock) -> None:
    """Written, and read again."""
    options: dict[str, Any] = {"secret": SECRET, "clock": clock}
    data = "x" * (3 << 19)
    with pytest.raises(SessionTooLarge) as caught:
        fill(Visitor(SessionManager(store, max_bytes=1, **options)), data=data)
    size = caught.value.size
    visitor = fill(Visitor(SessionManager(store, max_bytes=size, **options)), data=data)
    assert visitor.read() == {"data": data}


def test_a_store_with_a_smaller_limit_sets_it() -> None:
    """It knows what it can hold."""

    class Small(MemoryStore):
        max_bytes = 500

    session = SessionManager(Small(), secret="x").open("")
    session["large"] = "x" * 500
    with pytest.raises(SessionTooLarge, match="limit is 500"):
        session.save()


def test_a_lower_limit_does_not_end_larger_sessions(
    store: RecordingStore, clock: ManualClock
) -> None:
    """They can be read, and made smaller."""
    visitor = fill(Visitor(SessionManager(store, secret=SECRET, clock=clock)), large="x" * 2000)
    lowered = SessionManager(store, secret=SECRET, max_bytes=1000, clock=clock)
    smaller = Visitor(lowered, visitor.cookie)
    with smaller.request() as session:
        assert len(session["large"]) == 2000
        session["large"] = "x"
    assert smaller.read() == {"large": "x"}


# Damage and faults


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:20] + b"\x00" + data[21:],
        lambda data: b"\x00" + data[1:],
        lambda data: pickle.dumps({"x": 1}),
        lambda data: b"\x01" * (2 << 20),
    ],
)
def test_a_record_that_cannot_be_read_costs_that_session(
    visitor: Visitor,
    store: RecordingStore,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
) -> None:
    """Anonymous, logged by id, left in the store; the next session works."""
    fill(visitor)
    id = visitor.open().id
    stored = store.inner.load(id)
    assert stored is not None
    damaged = damage(stored.data)
    store.inner.save(id, damaged, expires_at=1e10, replacing=stored.version)
    with visitor.request() as session:
        assert session.copy() == {}
        session["y"] = 2
    assert f"session {id}: the record cannot be used" in caplog.text
    assert visitor.read() == {"y": 2}
    left = store.inner.load(id)
    assert left is not None
    assert left.data == damaged


@pytest.mark.parametrize(
    ("damaged", "why"), [("text", "not bytes"), (b"\x01" * (17 << 20), "larger than max_bytes")]
)
def test_the_log_says_why_a_record_cannot_be_used(
    visitor: Visitor,
    store: RecordingStore,
    caplog: pytest.LogCaptureFixture,
    damaged: Any,
    why: str,
) -> None:
    """What the store gives may be anything."""
    id = fill(visitor).open().id
    stored = store.inner.load(id)
    assert stored is not None
    store.inner.save(id, damaged, expires_at=1e10, replacing=stored.version)
    assert visitor.read() == {}
    assert caplog.messages == [f"session {id}: the record cannot be used: {why}"]


def test_a_record_that_is_damaged_meanwhile_costs_that_session(
    visitor: Visitor, store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The changes are dropped, and it stays where it is."""
    session = fill(visitor).open()
    id = session.id
    stored = store.inner.load(id)
    assert stored is not None
    store.inner.save(id, b"damaged", expires_at=1e10, replacing=stored.version)
    session["y"] = 2
    assert visitor.respond(session) is None
    assert caplog.messages[-1] == f"session {id}: changes of a superseded request were dropped"
    assert f"session {id}: the record cannot be used" in caplog.text
    left = store.inner.load(id)
    assert left is not None
    assert left.data == b"damaged"


def test_a_store_that_is_down_can_make_visitors_anonymous(
    store: RecordingStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """If so configured: empty, not saved, no cookie, logged."""
    manager = SessionManager(store, secret=SECRET, on_store_error="anonymous", clock=clock)
    visitor = fill(Visitor(manager))
    id = visitor.open().id
    store.failing = {"load"}
    with visitor.request() as session:
        assert session.copy() == {}
        assert session.created_at == clock()
    with visitor.request() as session:
        session["y"] = 2
    assert visitor.set_cookie is None
    [(name, level, message)] = caplog.record_tuples  # the second is within the same second
    assert (name, level) == ("wsgi_sessions", logging.WARNING)
    assert message.startswith(f"session {id} could not be loaded, the visitor is anonymous: Store")
    session = visitor.open()
    session.invalidate()
    with pytest.raises(StoreUnavailable):
        visitor.respond(session)
    store.failing = set()
    assert visitor.read() == {"x": 1}


@pytest.mark.parametrize("failing", ["load", "save", "delete"])
def test_a_failed_commit_leaves_what_was_stored(
    visitor: Visitor, store: RecordingStore, failing: str
) -> None:
    """And the error says so."""
    fill(visitor)
    session = visitor.open()
    if failing == "delete":
        session.invalidate()
    session["x"] = 2
    store.failing = {failing}
    with pytest.raises(StoreUnavailable):
        visitor.respond(session)
    store.failing = set()
    assert visitor.read() == {"x": 1}


def test_a_new_session_is_not_saved_to_a_store_that_hangs(
    manager: SessionManager, store: RecordingStore, clock: ManualClock
) -> None:
    """It has loaded nothing that would have told."""
    set_breaker_clock(manager, clock)
    store.failing = {"save"}
    for _ in range(8):
        store.before["save"] = lambda: clock.advance(0.5)
        with pytest.raises(StoreUnavailable):
            fill(Visitor(manager))
    assert store.pop_calls() == ["save"] * 5


def test_a_store_that_refuses_at_once_is_asked_every_time(
    visitor: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    """It holds nobody."""
    set_breaker_clock(visitor.manager, clock)
    fill(visitor)
    store.pop_calls()
    store.failing = {"load"}
    for _ in range(8):
        with pytest.raises(StoreUnavailable):
            visitor.read()
    assert store.pop_calls() == ["load"] * 8


def test_a_session_that_is_always_changed_by_others_is_a_conflict_error(
    visitor: Visitor, store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 32 attempts."""
    monkeypatch.setattr("wsgi_sessions.session.repository.uniform", lambda least, most: 0.0)
    fill(visitor)
    twin = visitor.twin()

    def interfere() -> None:
        theirs = SessionManager(store.inner, secret=SECRET, clock=visitor.manager.options.clock)
        with Visitor(theirs, twin.cookie).request() as session:
            session.increment("theirs")
        store.before["save"] = interfere

    session = visitor.open()
    session["mine"] = 1
    store.pop_calls()
    interfere()
    with pytest.raises(ConflictError, match="32 times"):
        visitor.respond(session)
    assert store.pop_calls().count("save") == 32
    store.before.clear()
    assert visitor.read() == {"x": 1, "theirs": 33}
    assert issubclass(ConflictError, StoreError)


@pytest.mark.parametrize(("took", "first"), [(0, 0.001), (1 / 64, 1 / 64)])
def test_conflicting_saves_wait_longer_and_longer(
    visitor: Visitor,
    store: RecordingStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    took: float,
    first: float,
) -> None:
    """The second attempt comes at once, the others after waits that grow, to half a second."""
    waits: list[Any] = []
    time = SimpleNamespace(monotonic=clock, sleep=waits.append)
    monkeypatch.setattr("wsgi_sessions.session.repository.time", time)
    monkeypatch.setattr("wsgi_sessions.session.repository.uniform", lambda low, high: (low, high))
    session = fill(visitor).open()
    session["x"] = 2
    monkeypatch.setattr(store.inner, "save", lambda *_, **__: clock.advance(took))
    with pytest.raises(ConflictError):
        visitor.respond(session)
    assert {low for low, _ in waits} == {0}
    longest = [high for _, high in waits]
    assert longest[:4] == pytest.approx([0, first, 4 * first, 9 * first])
    assert longest[23:] == [0.5] * 9


def test_an_id_that_exists_already_is_not_taken(
    visitor: Visitor, store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What is there stays, and the new session gets another id."""
    session = visitor.open()
    session["x"] = 1
    taken = session.id
    store.inner.save(taken, b"theirs", expires_at=1e10, replacing=None)
    visitor.respond(session)
    assert caplog.messages == [f"session {taken} existed already, a new id was taken"]
    assert visitor.read() == {"x": 1}
    assert visitor.open().id == session.id != taken
    there = store.inner.load(taken)
    assert there is not None
    assert there.data == b"theirs"


def test_a_store_that_takes_no_new_session_is_a_conflict_error(
    visitor: Visitor, store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 32 attempts."""
    monkeypatch.setattr(store.inner, "save", lambda *arguments, **options: None)
    with pytest.raises(ConflictError, match=r"^the store refuses every new session$"):
        fill(visitor)
    assert store.pop_calls() == ["save"] * 32


def test_bad_cookies_give_a_bounded_number_of_lines(
    manager: SessionManager,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten a second however many come, and one that says how many more there were."""
    monkeypatch.setattr("wsgi_sessions.log.time", SimpleNamespace(monotonic=clock))
    caplog.set_level(logging.INFO, logger="wsgi_sessions")
    for _ in range(2):
        caplog.clear()
        for number in range(5_000):
            assert not manager.open(f"sid=bad{number}").copy()
        refused = [line for line in caplog.messages if line.startswith("a cookie was refused")]
        assert len(refused) == 10
        clock.advance(1)
    assert caplog.messages[0].startswith("4990 more entries were left out: a cookie was refused")
    assert len(caplog.messages) == 11


# Owners


def test_a_login_is_listed_under_its_owner(clock: ManualClock) -> None:
    """Until it ends."""
    store = MemoryStore(clock=clock)
    visitor = Visitor(SessionManager(store, secret="x" * 16, clock=clock))
    with visitor.request() as session:
        session.login("42")
        id = session.id
    assert list(store.keys_of("42")) == [id]
    with visitor.request() as session:
        session["x"] = 1
        session.regenerate()
    assert list(store.keys_of("42")) == [id]
    with visitor.request() as session:
        session.invalidate()
    assert list(store.keys_of("42")) == []


def test_an_emptied_session_is_listed_no_more(clock: ManualClock) -> None:
    """As after invalidate()."""
    store = MemoryStore(clock=clock)
    visitor = Visitor(SessionManager(store, secret="x" * 16, clock=clock))
    with visitor.request() as session:
        session.login("42")
    with visitor.request() as session:
        session.clear()
    assert list(store.keys_of("42")) == []


def test_a_login_is_listed_once(clock: ManualClock) -> None:
    """Later requests of the session do not pay for it; another login does."""
    listed: list[str | None] = []

    class Listing(MemoryStore):
        def save_owned(self, key: str, data: bytes, **keywords: Any) -> Any:
            listed.append(keywords["owner"])
            return super().save_owned(key, data, **keywords)

    visitor = Visitor(SessionManager(Listing(clock=clock), secret="x" * 16, clock=clock))
    for change in (
        lambda s: s.update(x=1),
        lambda s: s.login("42"),
        lambda s: s.update(x=2),
        lambda s: s.regenerate(),
        lambda s: s.login("43"),
        lambda s: s.update(x=3),
        lambda s: s.clear(),
        lambda s: s.update(x=4),
    ):
        with visitor.request() as session:
            change(session)
        clock.advance(1)
    assert listed == ["42", "43", None]


@pytest.mark.parametrize(
    ("action", "calls"),
    [
        (lambda s: None, []),
        (lambda s: s.get("x"), ["load"]),
        (lambda s: s.update(y=1), ["load", "save"]),
        (lambda s: s.regenerate(), ["load", "save"]),
        (lambda s: s.login("o"), ["load", "save"]),
        (lambda s: s.invalidate(), ["load", "delete"]),
        (lambda s: (s.get("x"), s.invalidate()), ["load", "delete"]),
        (lambda s: (s.login("o"), s.update(y=1), s.get("x")), ["load", "save"]),
    ],
)
def test_round_trips(
    visitor: Visitor,
    store: RecordingStore,
    action: Callable[[Session], Any],
    calls: list[str],
) -> None:
    """Exactly as many as promised."""
    fill(visitor)
    store.pop_calls()
    with visitor.request() as session:
        action(session)
    assert store.pop_calls() == calls


def test_a_read_with_renewal_due_costs_two_round_trips(
    visitor: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    """The renewal is a compare-and-set, which proves that no newer login exists."""
    fill(visitor)
    store.pop_calls()
    clock.advance(timedelta(hours=2.5))
    with visitor.request() as session:
        assert session["x"] == 1
    assert store.pop_calls() == ["load", "save"]
    assert visitor.set_cookie is not None
    with visitor.request() as session:
        assert session["x"] == 1
    assert (store.pop_calls(), visitor.set_cookie) == (["load"], None)


def test_a_renewal_that_was_superseded_by_a_login_sends_no_cookie(
    visitor: Visitor, clock: ManualClock
) -> None:
    """It would overwrite the login's."""
    fill(visitor)
    clock.advance(timedelta(hours=2.5))
    twin = visitor.twin()
    session = twin.open()
    assert session["x"] == 1
    with visitor.request() as login:
        login.login("o")
    assert twin.respond(session) is None
    assert visitor.open().owner == "o"


def test_a_record_that_is_larger_than_a_lowered_limit_is_read(
    store: RecordingStore, clock: ManualClock
) -> None:
    """Also where it was larger than the limit that is the default; it cannot be saved any more."""
    options: Any = {"secret": "the signing secret of the tests", "clock": clock}
    generous = Visitor(SessionManager(store, max_bytes=8 << 20, **options))
    with generous.request() as session:
        session["x"] = b"x" * (3 << 20)
    strict = Visitor(SessionManager(store, max_bytes=1 << 20, **options), generous.cookie)
    assert strict.read() == {"x": b"x" * (3 << 20)}
    session = strict.open()
    session["y"] = 2
    with pytest.raises(SessionTooLarge):
        strict.respond(session)
