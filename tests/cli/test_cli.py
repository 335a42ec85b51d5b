"""The command ``wsgi-sessions``: what it finds out of order at real servers and files."""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

import wsgi_sessions.cli.checks.checks as checks
import wsgi_sessions.cli.checks.disk as disk_checks
import wsgi_sessions.cli.checks.mongodb as mongodb_checks
from tests.servers.dynamodb import DynamoDBServer
from tests.servers.memcached import MemcachedServer
from tests.servers.process import silent_port
from tests.servers.redis import PASSWORD, RedisServer, documented_rights
from tests.support.patience import patient_url
from tests.support.store_urls import STORE_URLS
from wsgi_sessions.cli.checks import Level, check_store
from wsgi_sessions.cli.checks.dispatch import CHECKS
from wsgi_sessions.cli.commands import commands
from wsgi_sessions.cookie.token import new_id
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import (
    Listable,
    MemoryStore,
    OwnerIndex,
    Store,
    close_store,
    open_store,
)
from wsgi_sessions.stores.file.store import FileStore
from wsgi_sessions.stores.mongodb import MongoDBStore
from wsgi_sessions.stores.redis.store import RedisStore
from wsgi_sessions.stores.sqlite.store import SQLiteStore

SECRET = {"WSGI_SESSIONS_SECRET": "a secret of the tests, long enough"}
SCRIPT = Path(sys.executable).with_name("wsgi-sessions")
LONG_AGO = time.time() - 30 * 86_400


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no finding."""
    monkeypatch.setattr(checks, "SLOW_SECONDS", 30.0)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with silent_port() as port:
        yield port


def run(*arguments: str, env: dict[str, str | None] | None = None) -> tuple[int, str]:
    """Exit status and output."""
    result = CliRunner().invoke(commands, arguments, env=SECRET if env is None else env)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def check(url: str, status: int, env: dict[str, str | None] | None = None) -> str:
    """What ``check`` says, whose exit status is *status*."""
    code, output = run("check", "--store", patient_url(url), env=env)
    assert code == status, output
    return output


def lines(output: str, level: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(f"{level:<8} ")]


def the_line(output: str, level: str, words: str) -> str:
    """The only finding of that level with these words in it; it has a reason and a remedy."""
    [line] = [line for line in lines(output, level) if words in line]
    return line


def used(url: str) -> Any:
    """The store of *url*, with one session in it."""
    store: Any = open_store(patient_url(url))
    end = time.time() + 600
    assert store.save(new_id(), b"data", expires_at=end, replacing=None) is not None
    if isinstance(store, OwnerIndex):
        end = {"expires_at": end, "replacing": None}
        assert store.save_owned(new_id(), b"data", **end, owner="owner", was=None) is not None
    return store


def elsewhere(url: str) -> str:
    """The same server under an address that is not one of the loopback."""
    return url.replace("127.0.0.1", "0.0.0.0")


# The command


def test_a_new_secret_is_random_and_good_enough() -> None:
    """256 bits, that ``check`` is content with."""
    secrets_made = {run("new-secret")[1].strip() for _ in range(5)}
    assert len(secrets_made) == 5
    assert {len(secret) for secret in secrets_made} == {43}
    output = run("check", "--store", "memory://", env={"WSGI_SESSIONS_SECRET": secrets_made.pop()})
    assert "WSGI_SESSIONS_SECRET is set" in output[1]


def test_without_click_the_command_says_what_to_install() -> None:
    """Exit status 1 and no traceback; all else of the package works."""
    program = "import sys; sys.modules['click'] = None\nfrom wsgi_sessions.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == 'wsgi-sessions needs click: pip install "wsgi-sessions[cli]"\n'


def test_the_installed_script(tmp_path: Path, redis_server: RedisServer) -> None:
    """The store is that of the option, else of the environment, else the default; what is not there
    is not made."""
    redis = patient_url(redis_server.url)

    def script(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        rest = {name: value for name, value in os.environ.items() if "WSGI_SESSIONS" not in name}
        return subprocess.run(
            [SCRIPT, *arguments], env=rest | env, cwd=tmp_path, capture_output=True, text=True
        )

    result = script("check")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{tmp_path}/wsgi-sessions.db is not there" in result.stdout
    assert list(tmp_path.iterdir()) == []
    assert "Redis 7" in script("check", WSGI_SESSIONS_STORE=redis).stdout
    result = script("check", "--store", "memory://", WSGI_SESSIONS_STORE=redis)
    assert result.returncode == 1
    assert "memory of one process" in result.stdout
    assert len(script("new-secret").stdout.strip()) == 43


@pytest.mark.parametrize("kind", STORE_URLS)
def test_a_sound_deployment_has_nothing_to_warn_of(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Exit status 0, and nothing is left behind."""
    url = STORE_URLS[kind](request)
    store = used(url)
    code, output = run("check", "--store", url)
    bad = lines(output, "warning") + lines(output, "error")
    if kind == "mongodb" and bad:  # FerretDB keeps no TTL indexes
        [line] = bad
        assert "TTL" in line
    else:
        assert (code, bad) == (0, []), output
    assert "a record was created, loaded, replaced and deleted" in output
    if isinstance(store, Listable):
        assert set(map(len, store.keys())) == {22}
    close_store(store)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:geheim@127.0.0.1:{port}",
        "memcached://127.0.0.1:{port}",
        "postgresql://user:geheim@127.0.0.1:{port}/database",
        "mysql://user:geheim@127.0.0.1:{port}/database",
        "mongodb://user:geheim@127.0.0.1:{port}/database?timeoutMS=500",
    ],
)
def test_a_store_that_cannot_be_reached_is_status_2(url: str, closed_port: int) -> None:
    """And says where it was looked for, without the password."""
    output = check(url.format(port=closed_port), 2)
    assert "Error: cannot ask the store: " in output
    assert "geheim" not in output


@pytest.mark.parametrize(
    "url",
    [
        "geheim",
        "ftp://user:geheim@host",
        "redis://:ge/geheim@host",
        "redis://[geheim@host",
        "redis://:x@geheim@host",
        "redis://:x#geheim@host",
        "memcached://user:geheim@host",
        "postgresql://user:x/geheim@host/database",
        "postgresql://user:x@geheim@host/database",
        "postgresql://user:x?geheim@host/database",
        "mysql://user:x#geheim@host/database",
        "mongodb://user:x/geheim@host/database",
        "mongodb://user:x@geheim@host/database",
    ],
)
def test_a_wrong_url_is_status_2_and_not_shown(url: str) -> None:
    """Wherever a password with special characters puts its halves."""
    code, output = run("check", "--store", url)
    assert code == 2
    assert "geheim" not in output
    assert "Usage: " in output


def test_a_wrong_password_is_not_shown(
    request: pytest.FixtureRequest, secured_redis: RedisServer
) -> None:
    """Nor a right one."""
    servers = [request.getfixturevalue(f"{name}_server") for name in ("postgresql", "mariadb")]
    for url in (
        f"redis://:geheim@127.0.0.1:{secured_redis.port}",
        *(server.url(password="geheim") for server in servers),
    ):
        assert "geheim" not in check(url, 2)
    right = f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{secured_redis.port}"
    output = check(right, 0)
    assert PASSWORD not in output
    assert quote(PASSWORD, safe="") not in output


def test_the_signing_secret(tmp_path: Path, memcached: MemcachedServer) -> None:
    """Not set, it is shared through the store, but not through Memcached; a short one is bad."""
    url, none = f"sqlite:///{tmp_path}/s.db", {"WSGI_SESSIONS_SECRET": None}
    assert "new-secret" in the_line(check(url, 0, none), "note", "WSGI_SESSIONS_SECRET is not set")
    the_line(check(url, 1, {"WSGI_SESSIONS_SECRET": "geheim"}), "warning", "is short")
    output = check(f"memcached://{memcached.address}", 1, none)
    the_line(output, "error", "WSGI_SESSIONS_SECRET is not set")


def test_who_shares_logins(tmp_path: Path, memcached: MemcachedServer) -> None:
    """Applications without a secret, on a store that can keep one."""
    url, none = f"sqlite:///{tmp_path}/s.db", {"WSGI_SESSIONS_SECRET": None}
    line = the_line(check(url, 0, none), "note", "share their logins")
    assert "feature" in line
    assert "prefix=" in line
    assert "share their logins" not in check(url, 0)
    assert "share their logins" not in check(f"memcached://{memcached.address}", 1, none)


@pytest.mark.parametrize("kind", ["redis", "memcached", "postgresql", "mariadb", "mongodb"])
def test_a_server_with_another_clock(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By more than 5 seconds. It is this machine's that is moved."""
    url = STORE_URLS[kind](request)
    used(url).close()
    fast = SimpleNamespace(time=lambda: time.time() + 100, perf_counter=time.perf_counter)
    monkeypatch.setattr(checks, "time", fast)
    line = the_line(check(url, 1), "warning", "the server's clock is")
    assert " s behind that of this machine" in line


def test_a_slow_store(monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> None:
    """Is felt in each request."""
    monkeypatch.setattr(checks, "SLOW_SECONDS", 0.0)
    the_line(check(redis_server.url, 1), "warning", "Redis answers in")


def test_a_version_that_is_too_old() -> None:
    """Compared by numbers."""
    assert checks.check_version("Redis", "5.0.14", "6.0").level is Level.ERROR
    assert checks.check_version("Redis", "10.0", "6.0.1").level is Level.OK
    assert checks.check_version("MariaDB", "10.11.2", "10.1.1").level is Level.OK


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *[(host, True) for host in ("", "localhost", "127.1.2.3", "::1", "[::1]", "/run/s")],
        *[(host, False) for host in ("db", "10.0.0.1", "localhost.example.org", "0.0.0.0")],
    ],
)
def test_which_hosts_are_this_machine(host: str, local: bool) -> None:
    """Sockets and the loopback."""
    assert checks.is_local(host) is local


# Which check is made


class Custom:
    """A store of somebody else, with the three methods only."""

    def __init__(self) -> None:
        store = MemoryStore()
        self.load, self.save, self.delete = store.load, store.save, store.delete


class Forgetful(Custom):
    """Refuses nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.save = lambda key, data, **_: 1  # type: ignore[assignment]


def test_a_store_of_somebody_else_is_loaded_from_and_its_operations_are_tried() -> None:
    """Whatever it is, it keeps the rules or is an error."""
    sound, broken = [*check_store(Custom())], [*check_store(Forgetful())]
    assert [finding.level for finding in sound] == [Level.OK, Level.OK]
    assert sound[0].what.startswith("Custom answers in")
    assert sound[1].what == "a record was created, loaded, replaced and deleted"
    assert [finding.level for finding in broken] == [Level.OK, Level.ERROR]
    assert broken[1].what == "the store did not refuse to create it twice"


def test_a_subclass_is_checked_like_the_store_it_is_made_of() -> None:
    """The nearest one counts."""

    class Mine(MemoryStore):
        """With a method more."""

    assert [*check_store(Mine())] == [*check_store(MemoryStore())]


@pytest.mark.parametrize("kind", CHECKS, ids=lambda kind: kind.__name__)
def test_each_store_of_the_library_has_a_check(kind: type[Store]) -> None:
    """In the module that the table names."""
    assert callable(import_module(f"wsgi_sessions.cli.checks.{CHECKS[kind]}").check)


# Redis


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru"])
def test_redis_that_drops_sessions(policy: str, start_redis: Callable[..., RedisServer]) -> None:
    """The policy, and what was dropped already."""
    server = start_redis("--maxmemory", "3mb", "--maxmemory-policy", policy)
    line = the_line(check(server.url, 1), "warning", f"maxmemory-policy is {policy}")
    assert "noeviction" in line
    none: dict[str, str | None] = {"WSGI_SESSIONS_SECRET": None}
    words = "a key that this server may drop"
    the_line(check(server.url, 1, none), "error", words)
    assert words not in check(server.url, 1)
    with server.admin() as client:
        for number in range(40):
            client.set(f"filler{number}", b"x" * 100_000, ex=1000)
    assert "may have been among them" in the_line(check(server.url, 1), "warning", "evicted")
    server.ask("CONFIG", "SET", "maxmemory", "0")
    server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    server.ask("CONFIG", "RESETSTAT")
    the_line(check(server.url, 0), "ok", "maxmemory-policy is volatile-ttl")


def test_redis_that_forgets_at_a_restart(start_redis: Callable[..., RedisServer]) -> None:
    """A note; snapshots or the append-only file make it none."""
    server = start_redis()
    the_line(check(server.url, 0), "note", "no persistence")
    server.ask("CONFIG", "SET", "save", "3600 1")
    the_line(check(server.url, 0), "ok", "snapshots on")
    server.ask("CONFIG", "SET", "appendonly", "yes")
    the_line(check(server.url, 0), "ok", "append-only file on")
    server.process.kill()  # asked to stop, it would write its files first


def test_redis_in_the_open(redis_server: RedisServer, secured_redis: RedisServer) -> None:
    """Neither TLS nor password; TLS that verifies nothing; and as it should be."""
    output = check(elsewhere(redis_server.url), 1)
    the_line(output, "warning", "no TLS on the way to 0.0.0.0")
    the_line(output, "warning", "no password at 0.0.0.0")
    password = quote(PASSWORD, safe="")
    output = check(f"redis://:{password}@0.0.0.0:{secured_redis.port}", 1)
    assert len(lines(output, "warning")) == 1
    tls = f"rediss://:{password}@0.0.0.0:{secured_redis.tls_port}?ssl_check_hostname=false"
    output = check(f"{tls}&ssl_cert_reqs=none", 1)
    the_line(output, "warning", "does not verify the certificate")
    output = check(f"{tls}&ssl_ca_certs={secured_redis.certificate}", 0)
    the_line(output, "ok", "TLS to 0.0.0.0")


def test_redis_with_a_user_of_little_rights(start_redis: Callable[..., RedisServer]) -> None:
    """With the documented ones all works, and what may not be asked is a note. With less it is an
    error."""
    server = start_redis()
    server.ask("ACL", "SETUSER", "sessions", *documented_rights())
    url = f"redis://sessions:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}"
    output = check(url, 0)
    the_line(output, "note", "INFO) not checked")
    the_line(output, "note", "TIME) not checked")
    server.ask("ACL", "SETUSER", "sessions", "+info", "+time")
    the_line(check(url, 0), "note", "CONFIG GET save) not checked")
    server.ask("ACL", "SETUSER", "sessions", "-rename")
    the_line(check(url, 1), "warning", "the user may not RENAME")
    server.ask("ACL", "SETUSER", "sessions", "+rename")
    for right in ("set", "evalsha", "zadd", "zrem", "exists", "del"):
        server.ask("ACL", "SETUSER", "sessions", f"-{right}")
        the_line(check(url, 1), "error", "does not permit this user the command")
        server.ask("ACL", "SETUSER", "sessions", f"+{right}")
    assert check(url, 0)


def test_redis_that_lets_anybody_in(start_redis: Callable[..., RedisServer]) -> None:
    """Although we come with a password."""
    server = start_redis()
    server.ask("ACL", "SETUSER", "admin", "on", ">geheim", "~*", "+@all")
    url = f"redis://admin:geheim@127.0.0.1:{server.port}"
    the_line(check(url, 0), "note", "'default' has no password")
    the_line(check(elsewhere(url), 1), "warning", "'default' has no password")
    server.ask("ACL", "SETUSER", "default", "resetpass", ">another")
    assert "'default'" not in check(url, 0)


def test_redis_of_another_kind(redis_cluster: Any, redis_sentinel: Any) -> None:
    """A node of a cluster and a Sentinel need a client; a master has replicas to tell of."""
    the_line(check(redis_cluster.nodes[0].url, 1), "error", "cluster mode")
    the_line(check(f"redis://127.0.0.1:{redis_sentinel.port}", 1), "error", "sentinel mode")
    the_line(check(redis_sentinel.first.url, 0), "note", "1 replicas")


@pytest.mark.parametrize("kind", ["one", "cluster"])
def test_redis_through_a_client(kind: str, redis_server: RedisServer, redis_cluster: Any) -> None:
    """A store that was made in a program can be asked too."""
    with redis_server.admin() if kind == "one" else redis_cluster.client() as client:
        found = list(check_store(RedisStore(client)))
    assert [finding.what for finding in found if finding.level is not Level.OK] == [
        "no persistence"
    ], found
    assert any("Redis 7" in finding.what for finding in found)


# Memcached


def test_memcached_that_drops_sessions(start_memcached: Callable[..., MemcachedServer]) -> None:
    """It counts what it has evicted."""
    server = start_memcached("-m", "4")
    with server.client() as client:
        for number in range(60):
            client.set(f"filler{number}", b"x" * 200_000)  # type: ignore[attr-defined]
    line = the_line(check(f"memcached://{server.address}", 1), "warning", " evictions since")
    assert "4 MiB" in line


def test_memcached_with_small_items(start_memcached: Callable[..., MemcachedServer]) -> None:
    """The store has to be told, or the server to take more."""
    server = start_memcached("-I", "512k")
    url = f"memcached://{server.address}"
    the_line(check(url, 1), "warning", "items of up to 524,288 bytes")
    check(f"{url}?max_bytes={512 * 1024 - 512}", 0)


def test_memcached_that_cannot_compare(start_memcached: Callable[..., MemcachedServer]) -> None:
    """It was started with -C."""
    the_line(check(f"memcached://{start_memcached('-C').address}", 1), "error", "started with -C")


def test_several_memcached(three_memcached: list[MemcachedServer], closed_port: int) -> None:
    """Each is asked; one that is down is an error, for its sessions only."""
    addresses = [server.address for server in three_memcached]
    output = check(f"memcached://{','.join(addresses)}", 0)
    assert all(f"memcached at {address} answers" in output for address in addresses)
    the_line(output, "note", "3 servers")
    down = f"127.0.0.1:{closed_port}"
    the_line(check(f"memcached://{addresses[0]},{down}", 1), "error", f"memcached at {down}")


def test_memcached_in_the_open(memcached: MemcachedServer) -> None:
    """It has neither TLS nor users."""
    url = elsewhere(f"memcached://{memcached.address}")
    the_line(check(url, 1), "warning", "neither TLS nor a password at 0.0.0.0")


# Databases


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> tuple[Any, str, Callable[[str], Any]]:
    """A server, the store's URL for an empty place in it, and a function that runs statements."""
    server = request.getfixturevalue(f"{request.param}_server")
    place = f"c{secrets.token_hex(4)}"
    url = server.new_place(place)

    def execute(text: str) -> None:
        for statement in filter(str.strip, text.split(";\n")):
            if request.param == "mariadb":
                server.execute(statement, place)
            else:
                server.execute(f"SET search_path TO {place}; {statement}")

    return server, url, execute


def statements(output: str) -> str:
    """The statements among the findings."""
    blocks = output.split("\n\n")
    return "\n".join(block for block in blocks if block.startswith(("CREATE", "db."))) + "\n"


def test_tables_that_are_missing(database: tuple[Any, str, Callable[[str], Any]]) -> None:
    """With ``create=false`` an error; what is printed makes them. Without, a note. Neither makes
    them."""
    _, url, execute = database
    the_line(check(url, 0), "note", "no table ")
    by_hand = f"{url}{'&' if '?' in url else '?'}create=false"
    output = check(by_hand, 1)
    the_line(output, "error", "no table ")
    execute(statements(output))
    assert lines(check(by_hand, 0), "note") == []


def test_an_index_that_is_missing(database: tuple[Any, str, Callable[[str], Any]]) -> None:
    """What is printed makes it."""
    _, url, execute = database
    used(url).close()
    on = "" if "postgresql" in url else " ON sessions"
    execute(f"DROP INDEX sessions_expires_at{on}")
    execute("CREATE INDEX another ON sessions (version, expires_at)")
    output = check(url, 1)
    the_line(output, "warning", "has no index on expires_at")
    execute(statements(output).replace(f"{url.rpartition('=')[2]}.", ""))
    check(url, 0)


def test_columns_of_another_type(database: tuple[Any, str, Callable[[str], Any]]) -> None:
    """Text for bytes, an expiry that ends in 2038, a data column for 64 KB, another engine."""
    _, url, execute = database
    used(url).close()
    execute("DELETE FROM sessions")
    if "postgresql" in url:
        execute("ALTER TABLE sessions ALTER expires_at TYPE integer, ALTER data TYPE text")
        words = ["expires_at INTEGER", "data TEXT"]
    else:
        execute("ALTER TABLE sessions MODIFY data BLOB, MODIFY expires_at INT, ENGINE=MyISAM")
        words = ["expires_at INTEGER", "data BLOB", "engine MyISAM"]
    line = the_line(check(url, 1), "error", "table ").split(": ")[0]
    assert all(word in line for word in words), line


def test_rows_that_nobody_purges(database: tuple[Any, str, Callable[[str], Any]]) -> None:
    """A thousand, for more than a day."""
    _, url, execute = database
    store = used(url)
    end = int(LONG_AGO * 1e6)
    rows = ", ".join(f"('key{number}', 1, {end}, '')" for number in range(1000))
    name = "`key`" if "mysql" in url else "key"
    execute(f"INSERT INTO sessions ({name}, version, expires_at, data) VALUES {rows}")
    the_line(check(url, 1), "warning", "1000 expired records wait for a purge, the oldest for 30")
    assert store.purge() == 1000
    check(url, 0)
    store.close()


def test_a_database_in_the_open(database: tuple[Any, str, Callable[[str], Any]]) -> None:
    """The connection is not encrypted."""
    _, url, _ = database
    the_line(check(elsewhere(url), 1), "warning", "no TLS on the way to 0.0.0.0")


def test_a_user_who_may_not_write(postgresql_server: Any) -> None:
    """Is an error, however well all else looks."""
    place, user = f"c{secrets.token_hex(4)}", f"reader{secrets.token_hex(4)}"
    url = postgresql_server.new_place(place)
    used(url).close()
    postgresql_server.execute(f"CREATE USER {user} PASSWORD 'geheim'")
    postgresql_server.execute(f"GRANT USAGE ON SCHEMA {place} TO {user}")
    postgresql_server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {place} TO {user}")
    theirs = f"postgresql://{user}:geheim@{url.partition('@')[2]}"
    the_line(check(theirs, 1), "error", "permission denied for table sessions")
    postgresql_server.execute(f"DROP OWNED BY {user}")
    postgresql_server.execute(f"DROP USER {user}")


@pytest.mark.parametrize(("level", "found"), [("serializable", "note"), ("read committed", "ok")])
def test_transaction_isolation(level: str, found: str, postgresql_server: Any) -> None:
    """SERIALIZABLE costs more and gives nothing."""
    option = quote(f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')}")
    url = f"{postgresql_server.new_place(f'c{secrets.token_hex(4)}')}&options={option}"
    the_line(check(url, 0), found, f"transaction isolation is {level.upper()}")


def test_sqlite_over_sqlalchemy(tmp_path: Path) -> None:
    """The file is not made; others must not read it."""
    url = f"sqlite+pysqlite:///{tmp_path}/s.db"
    the_line(check(url, 0), "note", "no table sessions")
    assert list(tmp_path.iterdir()) == []
    used(url).close()
    (tmp_path / "s.db").chmod(0o600)
    check(url, 0)
    (tmp_path / "s.db").chmod(0o640)
    the_line(check(url, 1), "warning", "has mode 640")


# MongoDB


def test_mongodb_without_its_indexes(mongodb_url: str, mongodb: Any) -> None:
    """The collection, then the index on the expiry; the commands are those of the store."""
    name = f"c{secrets.token_hex(4)}"
    url = f"{mongodb_url}/{name}"
    the_line(check(url, 0), "note", "the collection is not there")
    output = check(f"{url}?create=false", 1)
    the_line(output, "error", "the collection is not there")
    assert f'db.getSiblingDB("{name}").getCollection("sessions").createIndex' in output
    assert mongodb[name].list_collection_names() == []
    used(url).close()
    mongodb[name]["sessions"].drop_indexes()
    output = check(url, 1)
    the_line(output, "warning", "no index on the expiry")
    the_line(output, "warning", "no index on the owner")
    mongodb.drop_database(name)


def test_mongodb_with_a_ttl_index() -> None:
    """By itself, because FerretDB keeps none."""
    plain, owner = {"key": [("expires_at", 1)]}, {"key": [("owner", 1)]}
    [finding] = mongodb_checks._check_indexes([plain, owner], "", True)
    assert finding.level is Level.WARNING
    with_ttl = {"expireAfterSeconds": 60, **plain}
    [finding] = mongodb_checks._check_indexes([with_ttl, owner], "", True)
    assert finding.level is Level.OK


def test_mongodb_that_does_not_tell_its_indexes(
    mongodb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To this user: a note. By a patch, because FerretDB knows no rights."""

    def refuse(*_: object) -> None:
        raise StoreUnavailable("MongoDB refused (Unauthorized, code 13)")

    url = f"{mongodb_url}/c{secrets.token_hex(4)}"
    used(url).close()
    monkeypatch.setattr(MongoDBStore, "indexes", refuse)
    the_line(check(url, 0), "note", "collection and indexes not checked: MongoDB refused")


def test_mongodb_in_the_open(mongodb_url: str) -> None:
    """Neither TLS nor password."""
    output = check(f"{elsewhere(mongodb_url)}/c{secrets.token_hex(4)}", 1)
    the_line(output, "warning", "no TLS on the way to 0.0.0.0")
    the_line(output, "warning", "no password at 0.0.0.0")


# DynamoDB


def test_dynamodb_without_its_table(dynamodb_server: DynamoDBServer) -> None:
    """The request that makes it is that of the store, and nothing is made."""
    url = dynamodb_server.url(f"c{secrets.token_hex(4)}")
    the_line(check(url, 0), "note", "does not exist: the first session makes it")
    output = check(f"{url}&create=false", 1)
    the_line(output, "error", "with create=false the store does not make it")
    assert '"GlobalSecondaryIndexes"' in output
    the_line(check(url, 0), "note", "does not exist")


def test_dynamodb_whose_table_lacks_index_time_to_live_and_payment_by_request(
    dynamodb_server: DynamoDBServer,
) -> None:
    """As Flask-Session or a person makes it: what each lacks, and the request that adds it."""
    name = f"c{secrets.token_hex(4)}"
    dynamodb_server.client().create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 2},
    )
    url = dynamodb_server.url(name)
    for words in ("no index of owners", "time to live is off"):
        the_line(check(url, 0), "note", f"{words}: the first new session adds it")
    output = check(f"{url}&create=false", 1)
    assert "a record was created, loaded, replaced and deleted" in output
    the_line(output, "warning", "no index of owners")
    assert '"GlobalSecondaryIndexUpdates"' in output
    the_line(output, "warning", "time to live is off")
    assert f"aws dynamodb update-time-to-live --table-name {name}" in output
    the_line(output, "note", "3 reads of 4 KB, 2 writes of 1 KB a second")


def test_dynamodb_whose_table_is_another_program_s(dynamodb_server: DynamoDBServer) -> None:
    """Its key is another, or its time to live looks at another attribute."""
    client, name = dynamodb_server.client(), f"c{secrets.token_hex(4)}"
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    output = check(dynamodb_server.url(name), 1)
    the_line(output, "error", "another key than the store's")
    the_line(output, "warning", "time to live looks at another attribute, ttl")


def test_dynamodb_that_does_not_show_its_table(dynamodb_server: DynamoDBServer) -> None:
    """To this role: a note; sessions are stored."""
    url = dynamodb_server.url(f"c{secrets.token_hex(4)}")
    used(url).close()
    dynamodb_server.fail("AccessDeniedException", 400)
    the_line(check(url, 0), "note", "table, index and time to live not checked: DynamoDB refused")


def test_dynamodb_in_the_open(dynamodb_server: DynamoDBServer) -> None:
    """No TLS on the way to a server elsewhere."""
    url = elsewhere(dynamodb_server.url(f"c{secrets.token_hex(4)}"))
    used(url).close()
    the_line(check(url, 1), "warning", "no TLS on the way to 0.0.0.0")


# Files


def sqlite_url(tmp_path: Path) -> tuple[str, Path]:
    path = tmp_path / "s.db"
    used(f"sqlite:///{path}").close()
    return f"sqlite:///{path}", path


def test_a_file_that_others_can_read(tmp_path: Path) -> None:
    """Of SQLite's."""
    url, path = sqlite_url(tmp_path)
    path.chmod(0o644)
    line = the_line(check(url, 1), "warning", "has mode 644")
    assert f"chmod 600 {path}" in line


def test_a_directory_that_others_can_read(tmp_path: Path) -> None:
    """A warning; one that they can write to is refused by the store itself."""
    url = f"file://{tmp_path}/sessions"
    the_line(check(url, 0), "note", "is not there")
    used(url)
    (tmp_path / "sessions").chmod(0o755)
    the_line(check(url, 1), "warning", "has mode 755")
    (tmp_path / "sessions").chmod(0o777)
    assert "can be written to by other users" in check(url, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
def test_files_of_another_user_are_not_tried(tmp_path: Path) -> None:
    """Root would leave what the application cannot open."""
    url, path = sqlite_url(tmp_path)
    os.chown(path, 1, 1)
    output = check(url, 1)
    the_line(output, "error", "belongs to user 1, and this is user 0")
    assert "a record was" not in output


def test_sqlite_tables_that_are_missing(tmp_path: Path) -> None:
    """As in other databases: what is printed makes them."""
    path = tmp_path / "s.db"
    url = f"sqlite:///{path}"
    by_hand = f"{url}?create=false"
    output = check(by_hand, 1)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection:
        path.chmod(0o600)
        the_line(check(by_hand, 1), "error", "table sessions, ")
        the_line(check(url, 0), "note", "table sessions, ")
        connection.executescript(statements(output))
        the_line(check(by_hand, 0), "note", "journal mode is delete")
        check(by_hand, 0)
        connection.execute("DROP INDEX sessions_expires_at")
        output = check(url, 1)
        the_line(output, "warning", "index sessions_expires_at not there")
        connection.executescript(statements(output))
        the_line(check(url, 0), "ok", "journal mode is wal")
        connection.execute("ALTER TABLE sessions RENAME COLUMN data TO value")
        the_line(check(url, 1), "error", "other columns")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Cannot be asked."""
    path = tmp_path / "s.db"
    path.write_text("no database " * 100)
    assert "file is not a database" in check(f"sqlite:///{path}", 2)


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_records_that_nobody_purges(kind: str, tmp_path: Path) -> None:
    """A thousand, for more than a day."""
    store: Any
    if kind == "file":
        url = f"file://{tmp_path}/sessions"
        store = FileStore(tmp_path / "sessions", clock=lambda: LONG_AGO - 1)
    else:
        url = f"sqlite:///{tmp_path}/s.db"
        store = SQLiteStore(tmp_path / "s.db", clock=lambda: LONG_AGO - 1, purge_every=0)
    for number in range(1000):
        store.save(f"key{number}", b"", expires_at=LONG_AGO, replacing=None)
    the_line(check(url, 1), "warning", "1000 expired records wait for a purge, the oldest for 30")
    store = open_store(url)
    assert store.purge() == 1000
    check(url, 0)
    if kind == "sqlite":
        store.close()


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_disk_that_is_nearly_full(kind: str, tmp_path: Path) -> None:
    """Here one of 2 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system takes root, and is not allowed here")
    try:
        url = STORE_URLS[kind](SimpleNamespace(getfixturevalue=lambda _: tmp_path))  # type: ignore[arg-type]
        store = used(url)
        the_line(check(url, 1), "warning", "MiB and ")
        if kind == "sqlite":
            store.close()
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_network_file_system_is_known_by_its_kind() -> None:
    """From what Linux tells; the deepest mount counts, the last of two at one place."""
    mounts = [
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        "2 1 0:5 / /srv rw shared:3 - xfs /dev/sdb1 rw",
        "3 1 0:6 / /srv/our\\040data rw - tmpfs tmpfs rw",
        "4 1 0:7 / /srv/our\\040data rw - nfs4 server:/x rw",
    ]
    assert disk_checks.kind_of("/srv/our data/s.db", mounts) == "nfs4"
    assert disk_checks.kind_of("/srv/our datas", mounts) == "xfs"
    assert disk_checks.kind_of("/home", mounts) == "ext4"
    network = [kind for kind in ("nfs4", "cifs", "fuse.sshfs", "9p", "ext4", "tmpfs", "fuse.ntfs")
               if disk_checks.NETWORK.fullmatch(kind)]  # fmt: skip
    assert network == ["nfs4", "cifs", "fuse.sshfs", "9p"]
