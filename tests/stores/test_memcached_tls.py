"""MemcachedStore over TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pymemcache import Client  # type: ignore[import-untyped]

from tests.servers.memcached import MemcachedServer
from tests.servers.proxy import FaultProxy
from wsgi_sessions import ConfigurationError, MemcachedStore, StoreUnavailable, open_store
from wsgi_sessions.cli.checks.memcached import check
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.testing import StoreContract
from wsgi_sessions.testing.contract import new_key

Encrypted = tuple[MemcachedServer, Path]
PATIENT = "connect_timeout=10&answer_timeout=20"
IN_TIME = 4.5
LATER = time.time() + 86_400


class TestContract(StoreContract):
    """By URL."""

    test_what_has_expired_is_missing_for_every_operation = None
    test_the_last_accepted_time_counts = None
    test_nothing_expires_early = None
    test_threads_after_fork = None  # OpenSSL's own locks, if held in that moment, stay held

    @pytest.fixture
    def store(self, encrypted_memcached: Encrypted) -> Iterator[MemcachedStore]:
        server, certificate = encrypted_memcached
        store = open_store(f"memcacheds://{server.address}?ca_file={certificate}&{PATIENT}")
        assert isinstance(store, MemcachedStore)
        yield store
        store.close()


def test_a_certificate_that_is_not_trusted_is_an_outage_and_nothing_is_sent(
    encrypted_memcached: Encrypted,
) -> None:
    server, _ = encrypted_memcached
    with closing(MemcachedStore.from_url(f"memcacheds://{server.address}?{PATIENT}")) as store:
        with pytest.raises(StoreUnavailable, match="certificate") as caught:
            store.save(new_key(), b"data", expires_at=LATER, replacing=None)
        assert caught.value.applied is False


def test_a_server_that_speaks_no_tls_or_hangs_is_an_outage_in_time(
    memcached: MemcachedServer, encrypted_memcached: Encrypted
) -> None:
    server, certificate = encrypted_memcached
    context = ssl.create_default_context(cafile=str(certificate))
    with FaultProxy(server.port) as proxy:
        proxy.stall()
        for address in (memcached.address, f"127.0.0.1:{proxy.port}"):
            with closing(MemcachedStore(address, tls_context=context)) as store:
                begun = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    store.load(new_key())
                assert time.monotonic() - begun < IN_TIME
        proxy.restore()


def test_a_kept_connection_that_was_closed_is_noticed_before_a_save(
    encrypted_memcached: Encrypted,
) -> None:
    server, certificate = encrypted_memcached
    context = ssl.create_default_context(cafile=str(certificate))
    timeouts = Timeouts(connect=10, answer=20)
    with FaultProxy(server.port) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        with closing(MemcachedStore(address, tls_context=context, timeouts=timeouts)) as store:
            version = store.save(key := new_key(), b"1", expires_at=LATER, replacing=None)
            for data in (b"2", b"3"):
                before = proxy.accepted
                version = store.save(key, data, expires_at=LATER, replacing=version)
                assert version is not None
                assert proxy.accepted == before  # kept, although TLS brings its own records
            proxy.cut()
            version = store.save(key, b"4", expires_at=LATER, replacing=version)
            assert version is not None
            found = store.load(key)
            assert found is not None
            assert found.data == b"4"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: open_store("memcached://host?ca_file=x"), "memcacheds://"),
        (lambda: open_store("memcacheds://host?ca_file=/nowhere"), "/nowhere"),
        (lambda: open_store("memcacheds:///run/memcached.sock"), "TCP"),
        (
            lambda: MemcachedStore(Client("host"), tls_context=ssl.create_default_context()),
            "handed in",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_once(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match=said):
        make()


def test_check_sees_the_tls(encrypted_memcached: Encrypted) -> None:
    server, certificate = encrypted_memcached
    url = f"memcacheds://{server.address}?ca_file={certificate}&{PATIENT}"
    with closing(MemcachedStore.from_url(url)) as store:
        assert store.route().encrypted
        assert store.route().verified
        assert not [one for one in check(store) if "TLS" in one.what and one.level.name == "ERROR"]
