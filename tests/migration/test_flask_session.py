"""Sessions that the real Flask-Session has written are ours after the change of one import."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_session
import pymemcache
import pytest
import redis
from cachelib import RedisCache
from cachelib.mongodb import MongoDbCache
from flask import Flask, session
from markupsafe import Markup
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure
from werkzeug.http import parse_cookie

from tests.servers.memcached import MemcachedServer
from tests.servers.redis import RedisServer
from tests.support.flask_session_places import PLACES, add_pages, configured, patient  # noqa: F401
from wsgi_sessions import ConfigurationError, MemoryStore
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.flask_session import Session
from wsgi_sessions.migration import (
    FlaskSessionFileReader,
    FlaskSessionMemcachedReader,
    FlaskSessionMongoDBReader,
    FlaskSessionRedisReader,
)

SECRET = "BAD_SECRET_KEY"


class Move:
    """An application that had Flask-Session; after :meth:`finish` it has ours."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with warnings.catch_warnings(), ttl_indexes_optional():
            warnings.simplefilter("ignore")  # Flask-Session warns of itself
            flask_session.Session(app)
        self._old = app.session_interface

    def finish(self, **options: Any) -> None:
        Session(self.app, **options)

    def visit(self, path: str, cookie: str = "") -> tuple[Any, str]:
        return visit(self.app, path, cookie)

    def visit_old(self, path: str, cookie: str) -> tuple[Any, str]:
        """What Flask-Session still finds."""
        ours, self.app.session_interface = self.app.session_interface, self._old
        answer = self.visit(path, cookie)
        self.app.session_interface = ours
        return answer


def visit(app: Flask, path: str, cookie: str = "") -> tuple[Any, str]:
    """The page, and the visitor's cookie afterwards."""
    client = app.test_client()
    if cookie:
        client.set_cookie("session", cookie)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        response = client.get(path)
    assert response.status_code == 200
    new = parse_cookie(response.headers.get("Set-Cookie", "")).get("session", cookie)
    return response.get_json(silent=True), new


@contextmanager
def ttl_indexes_optional() -> Iterator[None]:
    """FerretDB has none, and Flask-Session cannot do without. It is all that is changed."""
    create = Collection.create_index

    def create_index(self: Any, keys: Any, expireAfterSeconds: int | None = None) -> str:
        try:
            return create(self, keys, expireAfterSeconds=expireAfterSeconds)
        except OperationFailure:
            return create(self, keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collection, "create_index", create_index)
        yield


@pytest.fixture(params=PLACES)
def move(request: pytest.FixtureRequest) -> Iterator[Move]:
    with configured(request, request.param) as app:
        add_pages(app)
        yield Move(app)


def test_a_visitor_stays_logged_in(move: Move) -> None:
    """The session goes on under a new cookie, and is gone for Flask-Session."""
    _, old_cookie = move.visit("/set_email/ada@example.org")
    move.finish(allow_pickle=True)
    page, new_cookie = move.visit("/get_email", old_cookie)
    assert page == {"email": "ada@example.org", "permanent": True}
    assert new_cookie != old_cookie
    assert move.visit("/get_email", new_cookie)[0] == page
    assert move.visit_old("/get_email", old_cookie)[0]["email"] is None


def test_a_logout_after_the_move_is_final(move: Move) -> None:
    """Whichever cookie is tried again."""
    _, old_cookie = move.visit("/set_email/ada@example.org")
    move.finish(allow_pickle=True)
    _, new_cookie = move.visit("/get_email", old_cookie)
    move.visit("/delete_email", new_cookie)
    for cookie in (old_cookie, new_cookie):
        assert move.visit("/all", cookie)[0] == {}


def test_where_flask_session_never_was(move: Move) -> None:
    """No table, no directory, no collection: an unknown cookie is a new visitor."""
    move.finish(allow_pickle=True)
    unknown = "A" * 43
    assert move.visit("/all", unknown)[0] == {}


def test_an_expired_session_stays_dead(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Also where nothing has removed it."""
    for place in ("sqlite", "filesystem", "mongodb", "dynamodb"):
        with configured(request, place) as app:
            app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(microseconds=1)
            add_pages(app)
            move = Move(app)
            _, cookie = move.visit("/set_email/x")
            if place == "filesystem":
                age(tmp_path / "files")
            move.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=1)
            move.finish(allow_pickle=True)
            assert move.visit("/all", cookie)[0] == {}


def age(directory: Path) -> None:
    """Let cachelib's files have ended in 1970; it keeps whole seconds, and 0 is for ever."""
    for path in directory.iterdir():
        if path.is_file():
            path.write_bytes(b"\1\0\0\0" + path.read_bytes()[4:])


def test_migrate_from_none_takes_nothing_over(request: pytest.FixtureRequest) -> None:
    """For those who want everybody to log in again."""
    with configured(request, "redis") as app:
        add_pages(app)
        move = Move(app)
        _, cookie = move.visit("/set_email/x")
        move.finish(migrate_from=None)
        assert move.visit("/all", cookie)[0] == {}
        assert move.visit_old("/get_email", cookie)[0]["email"] == "x"


# What is in a session


VALUES = {
    "user": "ä",
    "n": 2**63,
    "when": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "raw": b"\xff\0",
    "cart": [{"id": 1, "price": 1.5}],
    "none": None,
    "_user_id": "7",
}


@pytest.mark.parametrize("format", ["msgpack", "json"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_both_formats_and_the_signer(format: str, signed: bool, redis_server: RedisServer) -> None:
    """What Flask-Session would have read is what is there."""
    with redis.from_url(redis_server.url) as client:
        prefix = f"{uuid4().hex}:"
        old = Flask("old")
        old.config.update(
            SECRET_KEY=SECRET,
            SESSION_TYPE="redis",
            SESSION_REDIS=client,
            SESSION_KEY_PREFIX=prefix,
            SESSION_USE_SIGNER=signed,
            SESSION_SERIALIZATION_FORMAT=format,
        )

        @old.get("/")
        def put() -> str:
            session.update(VALUES)
            session.permanent = False
            return "put"

        _, cookie = Move(old).visit("/")
        assert ("." in cookie) is signed
        reader = FlaskSessionRedisReader(client, key_prefix=prefix, secrets=[SECRET][: int(signed)])
        key = reader.key(cookie)
        assert key is not None
        found = reader.read(key)
        assert found is not None
        expected = (
            VALUES if format == "msgpack" else found.values | {"user": "ä", "cart": VALUES["cart"]}
        )
        assert found.values == expected
        assert (found.permanent, found.owner) == (False, "7")


def test_only_signed_ids_where_ids_were_signed(redis_server: RedisServer) -> None:
    """By Flask-Session's signer, with the key of then or an older one."""
    reader = FlaskSessionRedisReader(redis_server.url, secrets=["new", SECRET])
    unsigned = "A" * 43
    from itsdangerous import Signer

    def sign(secret: str, salt: str = "flask-session") -> str:
        return Signer(secret, salt=salt, key_derivation="hmac").sign(unsigned).decode()

    assert reader.key(sign(SECRET)) == reader.key(sign("new")) == unsigned
    for refused in (unsigned, sign("other"), sign(SECRET, salt="other"), sign(SECRET)[:-1]):
        assert reader.key(refused) is None


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("A" * 43, True),
        ("6f1c2b34-8d1e-4c55-9a3b-0f6f0c1d2e3f", True),
        ("A" * 22, False),
        ("A" * 42, False),
        ("A" * 42 + "ä", False),
        ("A" * 42 + "\n", False),
        ("signing-secret", False),
        ("", False),
    ],
)
def test_what_can_be_an_id(value: str, known: bool, redis_server: RedisServer) -> None:
    """``token_urlsafe(32)``, or a UUID as before 0.6. No name of a record of ours."""
    assert (FlaskSessionRedisReader(redis_server.url).key(value) is not None) is known


def test_ids_of_another_length(redis_server: RedisServer) -> None:
    """``SESSION_ID_LENGTH``."""
    reader = FlaskSessionRedisReader(redis_server.url, sid_length=16)
    assert reader.key("A" * 22) == "A" * 22
    assert reader.key("A" * 43) is None


def test_a_record_of_ours_is_no_old_session(redis_server: RedisServer) -> None:
    """Not even where both have one prefix and ids of one length: the id of a session is public, and
    nobody may end a session who knows no more."""
    with redis.from_url(redis_server.url) as client:
        app = Flask("app")
        app.config.update(
            SECRET_KEY=SECRET,
            SESSION_TYPE="redis",
            SESSION_REDIS=client,
            SESSION_KEY_PREFIX=f"{uuid4().hex}:",
            SESSION_ID_LENGTH=16,
        )
        add_pages(app)
        Session(app, allow_pickle=True)
        _, cookie = visit(app, "/set_email/x")
        assert visit(app, "/all", cookie[:22])[0] == {}
        assert visit(app, "/get_email", cookie)[0]["email"] == "x"


# Pickles


def test_a_pickle_is_not_read_unless_allowed(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what would read it."""
    with configured(request, "filesystem") as app:
        add_pages(app)
        move = Move(app)
        _, cookie = move.visit("/set_email/x")
        move.finish()
        assert move.visit("/all", cookie)[0] == {}
        assert "set allow_pickle=True" in caplog.text


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles_of_before_0_6(protocol: int, redis_server: RedisServer) -> None:
    """With a UUID for an id, and values that only pickle keeps."""
    sid, values = str(uuid4()), VALUES | {"flash": Markup("<b>"), "set": {1, 2}, "tuple": (1, "2")}
    with redis.from_url(redis_server.url) as client:
        data = pickle.dumps(values | {"_permanent": True}, protocol)
        client.set(f"session:{sid}", data, ex=60)
        reader = FlaskSessionRedisReader(client, allow_pickle=True)
        found = reader.read(sid)
        assert found is not None
        assert (found.values, found.permanent) == (values, True)
        assert type(found.values["flash"]) is Markup
        assert FlaskSessionRedisReader(client).read(sid) is None


def test_a_pickle_that_would_execute_something(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Is left alone, and logged."""
    import os

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "executed"),)

    sid = str(uuid4())
    with redis.from_url(redis_server.url) as client:
        client.set(f"session:{sid}", pickle.dumps({"user": Evil()}), ex=60)
        assert FlaskSessionRedisReader(client, allow_pickle=True).read(sid) is None
    assert not (tmp_path / "executed").exists()
    assert "more than plain values" in caplog.text


# Places


def test_caches_of_cachelib(redis_server: RedisServer, mongodb: MongoClient[Any]) -> None:
    """Redis and MongoDB behind a cache, with the cache's own prefix."""
    with redis.from_url(redis_server.url) as client:
        for cache in (
            RedisCache(client, key_prefix=f"{uuid4().hex}_"),
            MongoDbCache(mongodb, "caches", uuid4().hex, key_prefix="cache_"),
        ):
            app = Flask("cached")
            app.config.update(SECRET_KEY=SECRET, SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
            add_pages(app)
            move = Move(app)
            _, cookie = move.visit("/set_email/x")
            move.finish(allow_pickle=True)
            assert move.visit("/get_email", cookie)[0]["email"] == "x"


def test_every_client_of_memcached_says_where_it_is(memcached: MemcachedServer) -> None:
    """The reader has connections of its own."""
    sid = "A" * 43
    with memcached.client() as client:
        client.set(f"session:{sid}", b'{"user": "u"}')
    host, port = memcached.address.split(":")
    clients = [
        memcached.address,
        pymemcache.Client(memcached.address),
        pymemcache.PooledClient((host, int(port))),
        pymemcache.HashClient([memcached.address]),
    ]
    for given in clients:
        with closing(FlaskSessionMemcachedReader(given)) as reader:
            assert reader.read(sid).values == {"user": "u"}  # type: ignore[union-attr]
    with closing(FlaskSessionMemcachedReader(pymemcache.Client(memcached.address))) as reader:
        reader.delete(sid)
        assert reader.read(sid) is None
    with pytest.raises(ConfigurationError, match="an address, 'host:port', or by a client of"):
        FlaskSessionMemcachedReader(object())


def test_several_memcached(three_memcached: list[MemcachedServer]) -> None:
    """A ``HashClient`` finds its own sessions again, and so does the reader."""
    addresses = [server.address for server in three_memcached]
    with closing(pymemcache.HashClient(addresses)) as client:
        sids = [uuid4().hex + uuid4().hex[:11] for _ in range(12)]
        for sid in sids:
            client.set(f"session:{sid}", b'{"user": "u"}', noreply=False)
        with closing(FlaskSessionMemcachedReader(client)) as reader:
            assert all(reader.read(sid) for sid in sids)
        client.disconnect_all()


def test_a_restart_of_memcached(start_memcached: Any) -> None:
    """Idle connections of before it are no error."""
    server = start_memcached()
    with closing(FlaskSessionMemcachedReader(server.address)) as reader:
        assert reader.read("A" * 43) is None
        server.kill()
        server.start()
        assert reader.read("A" * 43) is None


def test_urls(redis_server: RedisServer, mongodb_url: str) -> None:
    """In place of clients; the limits of time in them count."""
    limits = "socket_timeout=30&socket_connect_timeout=30"
    with redis.from_url(redis_server.url) as client:
        client.set("session:" + "B" * 43, b"\x81\xa4user\xa1u", ex=60)
        reader = FlaskSessionRedisReader(f"{redis_server.url}?{limits}")
        assert reader.read("B" * 43).values == {"user": "u"}  # type: ignore[union-attr]
        reader.delete("B" * 43)
        assert client.get("session:" + "B" * 43) is None
        reader._client.close()
    for options, seconds in (("", 1.0), ("/?timeoutMS=30000", 30.0)):
        mongo = FlaskSessionMongoDBReader(mongodb_url + options)
        assert mongo._documents.database.client.options.timeout == seconds
        if options:
            assert mongo.read("B" * 43) is None
        mongo._client.close()


def test_a_decoding_client_of_redis(redis_server: RedisServer) -> None:
    """JSON comes as text from a client with ``decode_responses=True``."""
    with redis.from_url(redis_server.url, decode_responses=True) as client:
        client.set("session:" + "C" * 43, '{"user": "ä"}', ex=60)
        reader = FlaskSessionRedisReader(client)
        assert reader.read("C" * 43).values == {"user": "ä"}  # type: ignore[union-attr]


def test_from_files_to_another_store(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Reader and store may be named each by itself."""
    with configured(request, "filesystem") as app:
        add_pages(app)
        _, cookie = Move(app).visit("/set_email/x")
    new = Flask("new")
    new.secret_key = SECRET
    add_pages(new)
    reader = FlaskSessionFileReader(tmp_path / "files", allow_pickle=True)
    FlaskSessions(new, store=MemoryStore(), migrate_from=reader)
    assert visit(new, "/get_email", cookie)[0] == {"email": "x", "permanent": True}


def test_files_by_the_hash_of_older_caches(tmp_path: Path) -> None:
    """cachelib named files by MD5 once."""
    import hashlib

    name = hashlib.md5(b"session:" + b"D" * 43).hexdigest()
    (tmp_path / name).write_bytes(b"\0\0\0\0" + pickle.dumps({"user": "u"}))
    reader = FlaskSessionFileReader(tmp_path, allow_pickle=True)
    assert reader.read("D" * 43).values == {"user": "u"}  # type: ignore[union-attr]
    reader.delete("D" * 43)
    reader.delete("D" * 43)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_needed_where_ids_were_signed(redis_server: RedisServer) -> None:
    """And one secret is not a sequence of them."""
    app = Flask("app")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis_server.url, SESSION_USE_SIGNER=True)
    with pytest.raises(ConfigurationError, match="SESSION_USE_SIGNER needs SECRET_KEY"):
        Session(app)
    with pytest.raises(TypeError, match="put the one into a list"):
        FlaskSessionRedisReader(redis_server.url, secrets=SECRET)
    with pytest.raises(ConfigurationError, match="lifetime is 0"):
        FlaskSessionRedisReader(redis_server.url, lifetime=0)
