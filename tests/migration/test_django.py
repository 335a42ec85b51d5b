"""Sessions that the real Django has written, in its table and in its signed cookies."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PASSWORD, PostgreSQL
from tests.support.django_site import OLDER_SECRET, SECRET, VALUES
from tests.support.patience import PATIENT
from wsgi_sessions import MemoryStore, SessionManager, StoreUnavailable
from wsgi_sessions.migration import DjangoCookieReader, DjangoDatabaseReader
from wsgi_sessions.migration.django import Signed

ROOT = Path(__file__).parents[2]
LOGGED_IN = VALUES | {"_auth_user_id": "7"}


def site(backend: str, database: dict[str, Any], *expiry: int) -> str:
    """The cookie that the site has sent."""
    program = [sys.executable, "-W", "ignore", "-m", "tests.support.django_site", backend]
    arguments = [json.dumps(database), *map(str, expiry)]
    result = subprocess.run(
        [*program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def in_sqlite(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
    path = request.getfixturevalue("tmp_path") / "site.db"
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}, f"sqlite:///{path}"


def in_postgresql(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
    server: PostgreSQL = request.getfixturevalue("postgresql_server")
    name = f"site_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    settings = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": "tester",
        "PASSWORD": PASSWORD,
        "HOST": "127.0.0.1",
        "PORT": server.port,
    }
    return settings, server.url(name)


@pytest.fixture(params=[in_sqlite, in_postgresql], ids=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
    """Django's settings for a database of its own, and the URL of it."""
    found: tuple[dict[str, Any], str] = request.param(request)
    return found


@pytest.fixture
def reading() -> Iterator[Callable[..., DjangoDatabaseReader]]:
    readers: list[DjangoDatabaseReader] = []

    def read(url: str, secret: str = SECRET, **options: Any) -> DjangoDatabaseReader:
        readers.append(DjangoDatabaseReader(url, secret, timeouts=PATIENT, **options))
        return readers[-1]

    yield read
    for reader in readers:
        reader._table._engine.dispose()


def visit(store: MemoryStore, reader: Any, cookie: str) -> tuple[dict[str, Any], str | None]:
    """What is in the session, and the header that is sent."""
    manager = SessionManager(store, secret="ours", migrate_from=reader)
    session = manager.open(f"sessionid={cookie}")
    values = session.copy()
    headers = manager.commit(session)
    return values, headers[0][1] if headers else None


def test_a_visitor_of_the_site_keeps_the_session(
    database: tuple[dict[str, Any], str], reading: Callable[..., DjangoDatabaseReader]
) -> None:
    """Values and permanence; the row is deleted, and another cookie opens nothing."""
    cookie = site("db", database[0])
    reader, store = reading(database[1]), MemoryStore()
    values, header = visit(store, reader, cookie)
    assert values == LOGGED_IN
    assert "Max-Age" in str(header)
    assert reader._table.read(cookie) is None
    assert visit(store, reader, cookie)[0] == LOGGED_IN
    assert visit(store, reader, "a" * 32)[0] == {}


def test_who_was_logged_in_is_the_owner(
    tmp_path: Path, request: pytest.FixtureRequest, reading: Callable[..., DjangoDatabaseReader]
) -> None:
    """And ``cached_db`` keeps the same rows."""
    settings, url = in_sqlite(request)
    found = reading(url).read(site("cached_db", settings))
    assert found is not None
    assert (found.owner, found.permanent) == ("7", True)


@pytest.mark.parametrize(("expiry", "permanent"), [(0, False), (3600, True)])
def test_an_expiry_of_its_own(
    expiry: int,
    permanent: bool,
    request: pytest.FixtureRequest,
    reading: Callable[..., DjangoDatabaseReader],
) -> None:
    """``set_expiry(0)`` is until the browser is closed."""
    settings, url = in_sqlite(request)
    found = reading(url, permanent=not permanent).read(site("db", settings, expiry))
    assert found is not None
    assert found.permanent is permanent


def test_an_expired_row_is_no_session(
    database: tuple[dict[str, Any], str], reading: Callable[..., DjangoDatabaseReader]
) -> None:
    """Django removes them by ``clearsessions`` only."""
    cookie = site("db", database[0])
    engine = sqlalchemy.create_engine(reading(database[1])._table._engine.url)
    with engine.begin() as connection:
        past = "UPDATE django_session SET expire_date = '2020-01-01 00:00:00'"
        connection.execute(sqlalchemy.text(past))
    engine.dispose()
    assert reading(database[1]).read(cookie) is None


def test_secrets_of_the_table(
    request: pytest.FixtureRequest, reading: Callable[..., DjangoDatabaseReader]
) -> None:
    """A row that nobody of us has signed is no session; ``SECRET_KEY_FALLBACKS`` sign too."""
    settings, url = in_sqlite(request)
    cookie = site("db", settings)
    assert reading(url, "another").read(cookie) is None
    assert reading(url, "another", fallback_secrets=[OLDER_SECRET, SECRET]).read(cookie) is not None


def test_a_database_that_django_never_used(
    tmp_path: Path, reading: Callable[..., DjangoDatabaseReader]
) -> None:
    """No table: nobody has an old session."""
    assert visit(MemoryStore(), reading(f"sqlite:///{tmp_path}/new.db"), "a" * 32)[0] == {}


def test_a_database_that_is_down(
    mariadb_server: MariaDB, reading: Callable[..., DjangoDatabaseReader]
) -> None:
    """Is an error, not a logout; and it names no value."""
    reader = reading("mysql://tester:secret@127.0.0.1:1/site")
    with pytest.raises(StoreUnavailable, match=r"^DjangoDatabaseReader could not read") as caught:
        visit(MemoryStore(), reader, "a" * 32)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "A" * 32, "a" * 31, "a" * 33, "a" * 31 + "\n", "ä" * 32])
def test_what_can_be_a_session_key(value: str, tmp_path: Path) -> None:
    """32 small letters and digits; for all else the database is not asked."""
    assert DjangoDatabaseReader(f"sqlite:///{tmp_path}/x.db", SECRET).key(value) is None


# Signed cookies


@pytest.fixture(scope="module")
def cookie() -> str:
    return site("signed_cookies", {"ENGINE": "django.db.backends.dummy"})


def test_a_signed_cookie_is_taken_over_once(cookie: str) -> None:
    """A copy of it opens the same session, and after a logout nothing."""
    store, reader = MemoryStore(), DjangoCookieReader(SECRET)
    assert visit(store, reader, cookie)[0] == LOGGED_IN
    assert visit(store, reader, cookie)[0] == LOGGED_IN
    manager = SessionManager(store, secret="ours", migrate_from=reader)
    session = manager.open(f"sessionid={cookie}")
    session.invalidate()
    manager.commit(session)
    assert visit(store, reader, cookie)[0] == {}


def test_another_spelling_of_a_cookie_is_the_same_cookie(cookie: str) -> None:
    """The last character of a signature has bits that do not count: they make no second claim."""
    reader = DjangoCookieReader(SECRET)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    keys = {reader.key(cookie[:-1] + last) for last in alphabet}
    assert keys == {None, reader.key(cookie)}
    for odd in ("=", "\n", " "):
        assert reader.key(cookie + odd) in (None, reader.key(cookie))


@pytest.mark.parametrize("value", ["", "x", ":", "::", "a:b:c", "a:1:", "é:1:x", "a:-1:AAAA"])
def test_what_django_has_not_signed(value: str, cookie: str) -> None:
    """It costs no round trip."""
    assert DjangoCookieReader(SECRET).key(value) is None
    assert DjangoCookieReader("another").key(cookie) is None
    salted = Signed([SECRET], "django.core.signing")
    assert salted.verify(cookie) is None


def test_an_old_cookie_is_too_old(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for Django, when ``SESSION_COOKIE_AGE`` has passed."""
    now = time.time()
    assert DjangoCookieReader(SECRET, lifetime=3600).key(cookie) is not None
    monkeypatch.setattr(time, "time", lambda: now + 14 * 86_400 + 1)
    assert DjangoCookieReader(SECRET).key(cookie) is None


def test_secrets_of_cookies(cookie: str) -> None:
    """``SECRET_KEY_FALLBACKS``, as text or bytes."""
    reader = DjangoCookieReader(OLDER_SECRET, fallback_secrets=[SECRET.encode()], permanent=False)
    key = reader.key(cookie)
    assert key is not None
    found = reader.read(key)
    assert found is not None
    assert (found.values, found.permanent, found.owner) == (LOGGED_IN, False, "7")
