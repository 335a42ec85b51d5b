"""Old data is hostile data: whoever can write to the old place must not reach the process, and the
old session's id, which opens it, must not be in the log."""

from __future__ import annotations

import hashlib
import logging
import pickle
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from markupsafe import Markup
from pymongo.errors import OperationFailure

from tests.servers.redis import RedisServer
from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, SessionManager, StoreUnavailable
from wsgi_sessions.migration import (
    DjangoDatabaseReader,
    FlaskSessionFileReader,
    FlaskSessionMemcachedReader,
    FlaskSessionMongoDBReader,
    FlaskSessionRedisReader,
    FlaskSessionSQLAlchemyReader,
)

SECRET = "the signing secret of the tests"
ID = "Q" * 43


class Returning(Visitor):
    """Who has a cookie of the old library."""

    @property
    def header(self) -> str:
        return f"session={ID}; sessionid={'q' * 32}"


def returning(reader: Any) -> Returning:
    return Returning(SessionManager(MemoryStore(), secret=SECRET, migrate_from=reader))


def planted(directory: Path, data: bytes) -> FlaskSessionFileReader:
    """As whoever can write to the old place can do it."""
    directory.mkdir()
    name = hashlib.sha256(f"session:{ID}".encode()).hexdigest()
    (directory / name).write_bytes(bytes(4) + data)
    return FlaskSessionFileReader(directory, allow_pickle=True)


def test_an_old_record_cannot_switch_off_escaping(tmp_path: Path) -> None:
    """BUILD with a "state with slots" sets attributes of a class, for the whole process."""
    markup = b"cmarkupsafe\nMarkup\n"
    evil = b"\x80\x02" + markup + b"N}X\x06\x00\x00\x00escape" + markup + b"s\x86b0}."
    before = dict(vars(Markup))

    with returning(planted(tmp_path / "old", evil)).request() as session:
        assert dict(session) == {}

    assert dict(vars(Markup)) == before
    assert str(Markup("<p>%s</p>") % "<script>") == "<p>&lt;script&gt;</p>"


def test_an_old_record_cannot_kill_the_process() -> None:
    """To hash a tuple that is nested a hundred thousand deep overflows the stack of C."""
    program = (
        "from wsgi_sessions.migration.values import decode\n"
        "for depth in (5_000, 99_000, 900_000):\n"
        "    data = b'\\x80\\x02})' + b'\\x85' * depth + b'K\\x01s.'\n"
        "    assert decode(data, allow_pickle=True) is None\n"
        "    data = b'\\x81' + b'\\x91' * depth + b'\\x01\\x01'\n"
        "    assert decode(data, allow_pickle=False) is None\n"
        "    assert decode(b'[' * depth, allow_pickle=False) is None\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-300:]


def test_what_flask_session_pickled_is_migrated(tmp_path: Path) -> None:
    """The ordinary contents, in every protocol."""
    values = {
        "_permanent": True, "_user_id": "7", "cart": [(1, {"when": datetime(2026, 1, 2)})],
        "aware": datetime(2026, 1, 2, tzinfo=UTC), "id": uuid.UUID(int=7),
        "_flashes": [("message", Markup("<b>hi</b>"))], "seen": {1, 2},
    }  # fmt: skip
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(values, protocol)
        with returning(planted(tmp_path / str(protocol), data)).request() as session:
            assert dict(session) == {k: v for k, v in values.items() if k != "_permanent"}
            assert session.owner == "7"


# The old place fails


def flask_table(url: Any) -> FlaskSessionSQLAlchemyReader:
    return FlaskSessionSQLAlchemyReader(url)


def django_table(url: Any) -> DjangoDatabaseReader:
    return DjangoDatabaseReader(url, SECRET)


def fails(reader: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What is raised, and whatever of it may be logged, holds no id of the old session."""
    visitor = returning(reader)
    with caplog.at_level(logging.DEBUG, "wsgi_sessions"):
        session = visitor.open()
        with pytest.raises(StoreUnavailable, match="could not read an old session") as caught:
            session.get("x")
        logging.getLogger("wsgi_sessions").error("as an application logs it", exc_info=caught.value)
    for line in (caplog.text, *(repr(record.args) for record in caplog.records)):
        assert ID not in line
        assert "q" * 32 not in line
    caplog.clear()


@pytest.mark.parametrize("reader_of", [flask_table, django_table])
@pytest.mark.parametrize("handed_in", [False, True], ids=["URL", "engine"])
def test_a_table_that_cannot_be_read_leaves_no_id_in_the_log(
    reader_of: Callable[[Any], Any],
    handed_in: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """SQLAlchemy's errors show the parameters of the statement, unless the engine hides them."""
    url = f"sqlite+pysqlite:///{tmp_path}/old.db"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for table in ("sessions", "django_session"):
            connection.execute(sa.text(f"CREATE TABLE {table} (other TEXT)"))
    fails(reader_of(engine if handed_in else url), caplog)
    engine.dispose()


def test_a_redis_that_quotes_the_command_leaves_no_id_in_the_log(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy without GET, a key of another kind, and a user who may not read the key."""

    class Proxied(redis.Redis):
        def get(self, name: Any) -> Any:
            return self.execute_command("GETT", name)

    with Proxied.from_url(redis_server.url) as client:
        with suppress(redis.ResponseError):
            client.get(ID)
        fails(FlaskSessionRedisReader(client), caplog)
    with redis.Redis.from_url(redis_server.url) as client:
        client.rpush(f"session:{ID}", "x")
        fails(FlaskSessionRedisReader(client), caplog)
        client.delete(f"session:{ID}")


def test_a_mongodb_that_quotes_the_command_leaves_no_id_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its refusal of a user without rights shows the whole filter."""

    class Refusing:
        def find_one(self, criteria: dict[str, Any]) -> Any:
            raise OperationFailure(f'not authorized to execute command {{ find: "s", {criteria} }}')

    client: Any = {"flask_session": {"sessions": Refusing()}}
    fails(FlaskSessionMongoDBReader(client), caplog)


def test_a_memcached_that_is_gone_leaves_no_id_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A key with a blank is refused by pymemcache, which shows it."""
    fails(FlaskSessionMemcachedReader("127.0.0.1:1", key_prefix="with blank:"), caplog)


def test_a_directory_that_cannot_be_read_leaves_no_id_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The path has its hash, which opens nothing."""
    directory = tmp_path / "old"
    reader = planted(directory, b"N.")
    (name,) = directory.iterdir()
    name.unlink()
    name.mkdir()
    fails(reader, caplog)


def test_one_that_cannot_be_deleted_leaves_no_id_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The session is migrated; what is left in the old place expires there."""
    reader = planted(tmp_path / "old", pickle.dumps({"x": 1}))

    def delete(key: str) -> None:
        raise RuntimeError(f"parameters: {key}")

    reader.delete = delete  # type: ignore[method-assign]
    with caplog.at_level(logging.DEBUG, "wsgi_sessions"), returning(reader).request() as session:
        assert session["x"] == 1
    assert "could not be deleted" in caplog.text
    assert ID not in caplog.text
