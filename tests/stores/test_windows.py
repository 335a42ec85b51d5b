"""The stores without what only POSIX has. The programs take it away before the library is imported,
in processes of their own."""

from __future__ import annotations

import secrets
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.memcached import MemcachedServer
from tests.servers.redis import RedisServer
from tests.support.patience import patient_url

ROOT = Path(__file__).parents[2]

WITHOUT_POSIX = """
import os, socket, sys
for module in ("fcntl", "grp", "pwd", "resource"):
    sys.modules[module] = None
for name in ("register_at_fork", "fork", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC",
             "geteuid", "getuid", "fchmod", "posix_fallocate", "statvfs"):
    delattr(os, name)
os.supports_dir_fd.clear()
os.supports_fd.clear()
del socket.AF_UNIX
"""

EXERCISE = """
import time
import wsgi_sessions
from wsgi_sessions import open_store
from wsgi_sessions.stores import Listable, OwnerIndex, Purgeable, close_store

for name in wsgi_sessions.__all__:
    getattr(wsgi_sessions, name)
later = time.time() + 60
for url in sys.argv[1:]:
    store = open_store(url)
    for size in (0, 3, 100_000):
        key = f"key{size}"
        data = b"\\r\\n\\x1a"[:size] * (size // 3 or 1)
        version = store.save(key, data, expires_at=later, replacing=None)
        assert version is not None, url
        assert store.save(key, b"again", expires_at=later, replacing=None) is None, url
        assert store.load(key).data == data, url
        newer = store.save(key, b"new" + data, expires_at=later, replacing=version)
        assert store.save(key, b"lost", expires_at=later, replacing=version) is None, url
        assert store.load(key).data == b"new" + data, url
        if size:
            store.delete(key)
        else:
            assert store.save(key, b"", expires_at=0, replacing=newer) is not None, url
        assert store.load(key) is None, url
    store.save("live", b"live", expires_at=later, replacing=None)
    store.save("soon", b"gone", expires_at=time.time() + 0.05, replacing=None)
    if isinstance(store, Listable):
        assert "live" in store.keys(), url
    if isinstance(store, Purgeable):
        time.sleep(0.1)
        assert store.purge() == 1, url
        assert [*store.keys()] == ["live"], url
    if isinstance(store, OwnerIndex):
        end = {"expires_at": later, "replacing": None}
        assert store.save_owned("owned", b"", **end, owner="ann", was=None) is not None, url
        assert [*store.keys_of("ann")] == ["owned"], url
        store.delete("owned")
        assert [*store.keys_of("ann")] == [], url
    store.delete("live")
    close_store(store)
print("works")
"""

COUNT = """
import time
from wsgi_sessions import open_store

store, later = open_store(sys.argv[1]), time.time() + 600
for _ in range(int(sys.argv[2])):
    saved = None
    while saved is None:
        found = store.load("counter")
        count = b"%d" % (int(found.data) + 1) if found else b"1"
        saved = store.save(
            "counter", count, expires_at=later, replacing=found and found.version
        )
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_POSIX + program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_stores_of_one_host_work(tmp_path: Path) -> None:
    """Import, and all that a store can do."""
    result = run(
        EXERCISE,
        "memory://",
        patient_url(f"file://{tmp_path}/sessions"),
        patient_url(f"sqlite:///{tmp_path}/sessions.db"),
    )
    assert (result.stdout, result.stderr) == ("works\n", "")


def test_redis_and_memcached_work(redis_server: RedisServer, memcached: MemcachedServer) -> None:
    """Over TCP; there are no Unix sockets."""
    places = (redis_server.url, f"memcached://{memcached.address}")
    prefix = secrets.token_hex(4)  # the servers are those of other tests too
    result = run(EXERCISE, *(patient_url(f"{place}?prefix={prefix}:") for place in places))
    assert (result.stdout, result.stderr) == ("works\n", "")


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_nothing_is_lost_among_processes(scheme: str, tmp_path: Path) -> None:
    """Four processes count; the lock of none lets another one in."""
    url = patient_url(f"{scheme}:///{tmp_path}/sessions".replace("file:////", "file:///"))
    command = [sys.executable, "-c", WITHOUT_POSIX + COUNT, url, "50"]
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(command, cwd=ROOT)) for _ in range(4)]
    assert [process.returncode for process in processes] == [0] * 4
    result = run(
        "from wsgi_sessions import open_store\nprint(open_store(sys.argv[1]).load('counter').data)",
        url,
    )
    assert result.stdout == "b'200'\n", result.stderr


def test_a_process_that_is_killed_releases_its_lock(tmp_path: Path) -> None:
    """The next writer need not wait for it."""
    url = f"file://{tmp_path}/sessions"
    holding = """
import time
import wsgi_sessions.stores.file.directory as file_directory
from wsgi_sessions import open_store

store = open_store(sys.argv[1])
store.save("counter", b"0", expires_at=time.time() + 600, replacing=None)
def hold(*_):
    print("holding", flush=True)
    time.sleep(600)
file_directory.shards.write_record = hold
store.save("counter", b"1", expires_at=time.time() + 600, replacing=store.load("counter").version)
"""
    command = [sys.executable, "-c", WITHOUT_POSIX + holding, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"
            shown = run(COUNT, url, "1")
            assert "Resource temporarily unavailable" in shown.stderr
        finally:
            process.kill()
    assert run(COUNT, patient_url(url), "1").stderr == ""


def test_a_url_may_name_a_drive() -> None:
    """After the slash that begins a path."""
    program = """
from wsgi_sessions.stores import urls
from urllib.parse import urlsplit
os.name = "nt"
print(urls._path(urlsplit("file:///C:/My%20Sessions")), urls._path(urlsplit("sqlite:///C:/s.db")))
"""
    assert run(program).stdout == "['C:/My Sessions'] ['C:/s.db']\n"
