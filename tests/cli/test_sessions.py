"""``wsgi-sessions list``, ``show``, ``stats``, ``revoke`` and ``purge``, over every store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.site import Site, run
from tests.support.store_urls import STORE_URLS
from wsgi_sessions.cli import ending, manager_commands
from wsgi_sessions.cookie import new_id
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.stores import MemoryStore, OwnerIndex, Purgeable

LISTING = [kind for kind in STORE_URLS if kind != "memcached"]
KEY, OTHER_KEY = "11" * 32, "22" * 32

Sites = Callable[..., Site]


@pytest.fixture
def site_on(request: pytest.FixtureRequest) -> Iterator[Sites]:
    """Makes a site on a kind of store, without a session."""
    sites: list[Site] = []

    def make(kind: str = "sqlite", **options: Any) -> Site:
        sites.append(Site(STORE_URLS[kind](request), **options))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


def assert_no_index(result: Result) -> None:
    """A store that lists no owners is one line, which names stores that do."""
    assert result.exit_code == 2, result.output
    assert "does not list sessions by owner" in result.stderr
    assert result.stderr.count("\n") == 1


# list, show and stats


@pytest.mark.parametrize("kind", LISTING)
def test_every_live_session_is_listed_and_nothing_else(kind: str, site_on: Sites) -> None:
    site = site_on(kind, secret=None)  # so that the store holds a signing key too
    ids = {site.visit(), site.visit("ann"), site.visit("bob")}

    rows = site.rows("list")

    assert {row["id"] for row in rows} == ids
    assert sorted(row["owner"] or "" for row in rows) == ["", "ann", "bob"]
    listed = site.run("list")
    assert listed.exit_code == 0
    assert {line[:22] for line in listed.stdout.splitlines()[1:]} == ids


@pytest.mark.parametrize("kind", LISTING)
def test_an_owners_sessions_are_listed_oldest_first(kind: str, site_on: Sites) -> None:
    now = [time.time()]
    site = site_on(kind, clock=lambda: now[0])
    ids = []
    for _ in range(3):
        now[0] += 60
        ids.append(site.visit("ann"))
    site.visit("bob")
    if not isinstance(site.manager.store, OwnerIndex):
        assert_no_index(site.run("list", "--owner", "ann"))
        return

    assert [row["id"] for row in site.rows("list", "--owner", "ann")] == ids
    assert site.rows("list", "--owner", "nobody") == []


@pytest.mark.parametrize("kind", STORE_URLS)
def test_show_names_the_values_and_their_sizes_but_not_the_values(
    kind: str, site_on: Sites
) -> None:
    site = site_on(kind)
    id = site.visit("ann", note="very private", cart=["tea" * 400])

    shown = site.run("show", id)
    [row] = site.rows("show", id)

    assert shown.exit_code == 0, shown.output
    assert "ann" in shown.stdout
    assert "note" in shown.stdout
    assert "private" not in shown.stdout + str(row)
    assert row["values"]["cart"]["bytes"] > 1200
    assert row["values"].keys() == {"note", "cart"}
    assert "'very private'" in site.run("show", id, "--values").stdout
    assert site.rows("show", id, "--values")[0]["values"]["note"]["value"] == "very private"


@pytest.mark.parametrize("kind", LISTING)
def test_stats_counts_sessions_and_their_bytes(kind: str, site_on: Sites) -> None:
    now = [time.time() - 3 * 86_400]
    site = site_on(kind, clock=lambda: now[0], lifetime=30 * 86_400)
    site.visit("ann")
    now[0] = time.time()
    site.visit("ann")
    site.visit()

    [counts] = site.rows("stats")

    assert {name: counts[name] for name in counts if "bytes" not in name} == {
        "sessions": 3,
        "logged_in": 2,
        "permanent": 0,
        "unreadable": 0,
        "seen_last_hour": 2,
        "seen_last_day": 2,
        "seen_last_week": 3,
        "interrupted": False,
    }
    assert 0 < counts["largest_bytes"] < counts["bytes"]
    assert site.run("stats").stdout.startswith("3 sessions\n")


def test_no_command_prints_a_sid_or_a_secret(site_on: Sites) -> None:
    site = site_on()
    id = site.visit("ann")
    secret = site.sid[22:]
    [record, _] = site.manager.repository.load(id) or (None, None)

    printed = "".join(
        site.run(*arguments).output
        for arguments in (
            ("list",),
            ("show", id, "--values"),
            ("show", id, "--values", "--json"),
            ("show", site.sid),
            ("revoke", "--yes", site.sid),
            ("revoke", "--yes", id),
        )
    )

    assert id in printed
    assert secret not in printed
    assert record is not None
    assert record.secret_hash.hex() not in printed


def test_an_argument_that_is_no_id_is_not_repeated(site_on: Sites) -> None:
    """It may be a sid that was pasted."""
    result = site_on().run("show", "x" * 44)
    assert result.exit_code == 2
    assert "xxx" not in result.output
    assert "22 characters" in " ".join(result.output.split())


@pytest.mark.parametrize("front", ["-h", "-x", "-xh", "--", "--all-", "---", "_"])
def test_an_id_that_looks_like_an_option_is_an_id(front: str, site_on: Sites) -> None:
    """One in 64 begins with a hyphen."""
    site = site_on()
    stored = site.manager.store.load(site.visit("ann"))
    id = front + new_id()[len(front) :]
    site.manager.store.save(id, stored.data, expires_at=time.time() + 60, replacing=None)
    assert site.run("show", id, "--json").exit_code == 0
    result = site.run("revoke", "--store", site.url, id, "--yes")
    assert (result.exit_code, result.stdout) == (0, "1 session ended.\n"), result.output
    assert not site.is_alive(id)


def test_a_sid_that_looks_like_an_option_is_not_repeated(site_on: Sites) -> None:
    result = site_on().run("show", "--" + "x" * 42)
    assert result.exit_code == 2
    assert "xxx" not in result.output


def test_what_visitors_chose_cannot_steer_the_terminal(site_on: Sites) -> None:
    """Owners and names of values are shown with their control characters escaped."""
    site = site_on()
    id = site.visit("ann\x1b[2J\r", **{"\x1b]0;x\x07": "\x1b[31m"})
    for arguments in (("list",), ("show", id), ("show", id, "--values")):
        output = site.run(*arguments).stdout
        assert "\x1b" not in output
        assert "ann\\x1b[2J\\r" in output


def test_values_that_json_does_not_have_are_shown_as_python_writes_them(site_on: Sites) -> None:
    site = site_on()
    id = site.visit(points={(1, 2): 3}, ratio=float("nan"), blob=b"\x00")
    [row] = site.rows("show", id, "--values")
    values = {name: about["value"] for name, about in row["values"].items()}
    assert values == {"points": "{(1, 2): 3}", "ratio": "nan", "blob": "b'\\x00'"}


def test_a_session_that_does_not_exist_is_exit_status_1(site_on: Sites) -> None:
    site, id = site_on(), new_id()
    site.visit()
    shown = site.run("show", id)
    assert (shown.exit_code, shown.stderr) == (1, f"Error: there is no session {id}\n")
    ended = site.run("revoke", id, "--yes")
    assert (ended.exit_code, ended.stdout) == (1, "0 sessions ended.\n")
    assert ended.stderr == f"There is no session {id}.\n"


# Encrypted records


@pytest.mark.parametrize("keys", ["", OTHER_KEY])
def test_an_encrypted_session_without_its_key_is_said_to_be_one(keys: str, site_on: Sites) -> None:
    site = site_on(encryption_keys=[KEY])
    id = site.visit("ann", note="private")
    env = {"WSGI_SESSIONS_ENCRYPTION_KEYS": keys}

    shown = site.run("show", id, **env)

    assert shown.exit_code == 1
    assert "encrypted with key" in shown.stdout
    assert "ann" not in shown.output.replace(id, "")
    assert "encrypted with key" in site.rows("list", **env)[0]["problem"]
    assert site.rows("stats", **env)[0]["unreadable"] == 1
    assert site.run("list", **env).exit_code == 0


def test_an_encrypted_session_with_its_key_is_shown_whole(site_on: Sites) -> None:
    """The key may be any of several, and plain records are read beside them."""
    site = site_on(encryption_keys=[KEY])
    plain = Site(site.url)
    ids = [site.visit("ann", note="private"), plain.visit("bob", note="open")]
    env = {"WSGI_SESSIONS_ENCRYPTION_KEYS": f"{OTHER_KEY} {KEY}"}
    shown = [site.rows("show", id, "--values", **env)[0] for id in ids]
    plain.close()
    assert [row["values"]["note"]["value"] for row in shown] == ["private", "open"]
    assert [row["encrypted"] for row in shown] == [True, False]


def test_a_wrong_encryption_key_in_the_environment_is_one_line(site_on: Sites) -> None:
    site = site_on()
    result = site.run("list", WSGI_SESSIONS_ENCRYPTION_KEYS="not-a-key")
    assert result.exit_code == 2
    assert "WSGI_SESSIONS_ENCRYPTION_KEYS: an encryption key has 32" in result.stderr
    assert "not-a-key" not in result.output


def test_a_damaged_record_is_named_and_costs_the_list_nothing(site_on: Sites) -> None:
    site = site_on()
    alive, damaged = site.visit("ann"), new_id()
    site.manager.store.save(damaged, b"junk", expires_at=time.time() + 60, replacing=None)
    rows = {row["id"]: row for row in site.rows("list")}
    assert rows[damaged]["problem"] == "damaged"
    assert rows[alive]["owner"] == "ann"
    shown = site.run("show", damaged)
    assert (shown.exit_code, "damaged" in shown.stdout) == (1, True)


# revoke


@pytest.mark.parametrize("kind", STORE_URLS)
def test_revoke_ends_the_sessions_named_and_no_other(kind: str, site_on: Sites) -> None:
    site = site_on(kind)
    ended, kept = [site.visit("ann"), site.visit()], site.visit("ann")

    result = site.run("revoke", "--yes", *ended)

    assert (result.exit_code, result.stdout) == (0, "2 sessions ended.\n")
    assert [site.is_alive(id) for id in (*ended, kept)] == [False, False, True]


@pytest.mark.parametrize("kind", LISTING)
def test_revoke_owner_ends_that_owners_sessions(kind: str, site_on: Sites) -> None:
    site = site_on(kind)
    anns, bobs = [site.visit("ann"), site.visit("ann")], site.visit("bob")
    if not isinstance(site.manager.store, OwnerIndex):
        assert_no_index(site.run("revoke", "--owner", "ann", "--yes"))
        return

    result = site.run("revoke", "--owner", "ann", "--yes")

    assert (result.exit_code, result.stdout) == (0, "2 sessions ended.\n")
    assert [site.is_alive(id) for id in (*anns, bobs)] == [False, False, True]
    assert site.rows("list", "--owner", "ann") == []


def test_revoke_owner_ends_what_cannot_be_read_too(site_on: Sites) -> None:
    """The store lists it under the owner; without the key nothing else is known of it."""
    site = site_on(encryption_keys=[KEY])
    anns, bobs = site.visit("ann"), site.visit("bob")
    assert site.run("revoke", "--owner", "ann", "--dry-run").stdout == "1 session would be ended.\n"
    result = site.run("revoke", "--owner", "ann", "--yes")
    assert (result.exit_code, result.stdout) == (0, "1 session ended.\n")
    assert [site.is_alive(anns), site.is_alive(bobs)] == [False, True]


@pytest.mark.parametrize("kind", LISTING)
def test_revoke_idle_ends_what_was_not_used_for_so_long(kind: str, site_on: Sites) -> None:
    now = [time.time() - 16 * 60]
    site = site_on(kind, clock=lambda: now[0])
    old = site.visit()
    now[0] += 2 * 60
    recent = site.visit()

    result = site.run("revoke", "--idle", "15m", "--yes")

    assert (result.exit_code, result.stdout) == (0, "1 session ended.\n")
    assert [site.is_alive(old), site.is_alive(recent)] == [False, True]


@pytest.mark.parametrize("kind", LISTING)
def test_revoke_all_ends_every_session_and_leaves_the_signing_key(
    kind: str, site_on: Sites
) -> None:
    """Those that cannot be read too."""
    site = site_on(kind, secret=None, encryption_keys=[None, KEY])
    ids = [site.visit("ann"), site.visit()]
    encrypted = Site(site.url, secret=None, encryption_keys=[KEY])
    ids.append(encrypted.visit("bob"))
    encrypted.close()

    result = site.run("revoke", "--all", "--yes")

    assert (result.exit_code, result.stdout) == (0, "3 sessions ended.\n")
    assert not any(map(site.is_alive, ids))
    assert site.manager.store.load("signing-secret") is not None
    assert site.rows("list") == []


def test_revoke_idle_leaves_what_it_cannot_read_and_says_so(site_on: Sites) -> None:
    site = site_on(encryption_keys=[KEY], clock=lambda: time.time() - 3600)
    id = site.visit()
    result = site.run("revoke", "--idle", "15m", "--yes")
    assert (result.exit_code, result.stdout) == (1, "0 sessions ended.\n")
    assert "Left as it cannot be read: 1 session." in result.stderr
    assert site.is_alive(id)


def test_revoke_idle_leaves_a_session_that_is_used_in_this_moment(
    site_on: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_on(clock=lambda: time.time() - 3600)
    id = site.visit()
    find = ending.find
    cookie = f"sid={site.cookie}"

    def find_and_use(manager: Any, id: str) -> Any:
        found = find(manager, id)
        session = site.manager.open(cookie)
        session["used"] = True
        site.manager.commit(session)
        return found

    monkeypatch.setattr(ending, "find", find_and_use)
    result = site.run("revoke", "--idle", "15m", "--yes")
    assert (result.exit_code, result.stdout) == (0, "0 sessions ended.\n")
    assert site.is_alive(id)


@pytest.mark.parametrize(
    "which", [("ID",), ("--owner", "ann"), ("--idle", "0"), ("--all",)], ids=lambda which: which[0]
)
def test_a_dry_run_ends_nothing_and_needs_no_yes(which: tuple[str, ...], site_on: Sites) -> None:
    site = site_on()
    id = site.visit("ann")
    which = (id,) if which == ("ID",) else which
    result = site.run("revoke", *which, "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "1 session would be ended.\n")
    assert site.is_alive(id)


@pytest.mark.parametrize("which", [(), ("--all", "--owner", "ann"), ("--all", "--idle", "1h")])
def test_revoke_wants_exactly_one_choice(which: tuple[str, ...], site_on: Sites) -> None:
    result = site_on().run("revoke", "--yes", *which)
    assert result.exit_code == 2
    assert "say which" in result.stderr


def test_without_a_terminal_revoke_needs_yes(site_on: Sites) -> None:
    site = site_on()
    id = site.visit()
    result = site.run("revoke", id, input="y\n")
    assert (result.exit_code, "say --yes" in result.stderr) == (2, True)
    assert site.is_alive(id)


def test_a_duration_that_is_none_is_a_usage_error(site_on: Sites) -> None:
    result = site_on().run("revoke", "--idle", "soon", "--yes")
    assert result.exit_code == 2
    assert "soon" in result.stderr


# purge


@pytest.mark.parametrize("kind", STORE_URLS)
def test_purge_removes_what_expired_and_nothing_that_lives(kind: str, site_on: Sites) -> None:
    """A store that needs no purge says so, and cron is content."""
    site = site_on(kind)
    alive = site.visit()
    store = site.manager.store
    result = site.run("purge")
    assert result.exit_code == 0
    assert site.is_alive(alive)
    if isinstance(store, Purgeable):
        assert result.stdout == "0 expired sessions removed.\n"
    else:
        name = type(store).__name__
        assert result.stdout == f"{name} drops what has expired by itself: nothing to do.\n"


@pytest.mark.parametrize("kind", ["sqlite", "file"])
def test_purge_goes_on_until_nothing_is_left(kind: str, site_on: Sites) -> None:
    """Over several batches, which a clock in the future stands for."""
    site = site_on(kind)
    for _ in range(1003):
        site.visit()
    future = pytest.MonkeyPatch()
    later = time.time() + 2 * 86_400
    try:
        future.setattr(time, "time", lambda: later)
        [purged] = site.rows("purge")
    finally:
        future.undo()
    assert purged == {"purged": 1003, "needed": True, "interrupted": False}


# Stores that cannot

ALL = (("--all",), ("--idle", "0"))


def test_memcached_cannot_list_and_says_which_can(site_on: Sites) -> None:
    site = site_on("memcached")
    id = site.visit("ann")
    for arguments in (
        ("list",),
        ("stats",),
        ("revoke", "--all", "--yes"),
        ("revoke", "--idle", "0", "--yes"),
    ):
        result = site.run(*arguments)
        assert result.exit_code == 2, result.output
        assert "MemcachedStore cannot enumerate its sessions" in result.stderr
    for arguments in (("list", "--owner", "ann"), ("revoke", "--owner", "ann", "--yes")):
        result = site.run(*arguments)
        assert_no_index(result)
    assert site.is_alive(id)


def test_memory_is_of_one_process_and_the_command_says_so() -> None:
    result = run("list", "--store", "memory://")
    assert result.exit_code == 0
    assert "MemoryStore keeps the sessions of one process" in result.stderr


COMMANDS = (
    ("list",),
    ("list", "--owner", "ann"),
    ("show", "a" * 22),
    ("stats",),
    ("revoke", "--yes", "a" * 22),
    ("revoke", "--yes", "--owner", "ann"),
    ("revoke", "--yes", "--all"),
    ("revoke", "--yes", "--idle", "1h"),
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "postgresql://127.0.0.1:1/x",
        "mysql://127.0.0.1:1/x",
        "mongodb://127.0.0.1:1/x",
        "sqlite:////nowhere/s.db",
        "file:///dev/null/x",
        "nothing://x",
    ],
)
def test_a_store_that_is_down_is_one_line_and_exit_status_2(
    url: str, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments, "--store", url)
    assert result.exit_code == 2, result.output
    [_] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in result.output


def test_the_store_in_the_option_wins_over_the_environment(site_on: Sites, tmp_path: Path) -> None:
    site = site_on()
    id = site.visit()
    other = f"sqlite:///{tmp_path}/other.db"
    assert (
        run("list", "--json", "--store", site.url, WSGI_SESSIONS_STORE=other).stdout.count(id) == 1
    )
    assert run("list", "--json", WSGI_SESSIONS_STORE=other).exit_code == 2


def test_the_memory_store_of_this_process_is_served() -> None:
    """As by ``flask sessions`` in a test."""
    manager = SessionManager(MemoryStore())
    session = manager.open(None)
    session["x"] = 1
    manager.commit(session)
    result = CliRunner().invoke(manager_commands(manager)["list"], ["--json"])
    assert session.id in result.stdout
    assert "one process" in result.stderr


@pytest.mark.parametrize("scheme", ["sqlite:///", "sqlite+pysqlite:///", "file://"])
def test_a_path_that_does_not_exist_is_an_error_and_is_not_made(
    scheme: str, tmp_path: Path
) -> None:
    """It would belong to the user of the command, and the application could not use it."""
    path = tmp_path / "mistyped"
    for arguments in (*COMMANDS, ("purge",)):
        result = run(*arguments, "--store", f"{scheme}{path}")
        assert result.exit_code == 2, result.output
        assert f"{path} does not exist" in result.stderr
    assert not path.exists()
