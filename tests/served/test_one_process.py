"""Seven frameworks under one middleware, on Redis, gunicorn with two workers: one session."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.served.one_process.site import MOUNTS
from tests.servers.redis import RedisServer
from tests.support.patience import patient_url
from tests.support.serving import ROOT, Browser, gunicorn

SERVED = "from tests.served.one_process.site import create_app\napp = create_app()\n"


class Visitor(Browser):
    """Of all frameworks."""

    def who(self) -> set[str]:
        """What all frameworks say of who is logged in."""
        return {self.get(f"/{mount}/who") for mount in MOUNTS}


@pytest.fixture(scope="module")
def url(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("one_process")
    (directory / "served.py").write_text(SERVED)
    environment = {
        "STORE": patient_url(f"{redis_server.url}?prefix=one_process:"),
        "USERS": str(directory / "users.db"),
    }
    users = [sys.executable, "-m", "tests.served.one_process.django_project"]
    subprocess.run(users, cwd=ROOT, env=os.environ | environment, check=True)
    with gunicorn("served:app", directory, "-w", "2", "--threads", "8", **environment) as served:
        yield served


@pytest.mark.parametrize("mount", MOUNTS)
def test_an_untouched_page_sends_no_header_of_ours(mount: str, url: str) -> None:
    """To a visitor with a session."""
    browser = Visitor(url)
    browser.post("/wsgi/put", key="a-1")
    [cookie] = browser.jar
    request = urllib.request.Request(f"{url}/{mount}/nothing")
    request.add_header("Cookie", f"{cookie.name}={cookie.value}")
    with urllib.request.urlopen(request) as response:
        assert response.read() == b"ok"
        assert not {"Set-Cookie", "Vary", "Cache-Control"} & set(response.headers)


@pytest.mark.parametrize("mount", MOUNTS)
def test_who_logs_in_in_one_is_logged_in_in_all(mount: str, url: str) -> None:
    """And the cookie from before is dead in all."""
    browser = Visitor(url)
    browser.post("/wsgi/put", key="a-1")
    before = browser.twin()
    assert browser.who() == {"nobody"}
    browser.post(f"/{mount}/login", user="7")
    assert browser.who() == {"7"}
    assert before.who() == {"nobody"}


@pytest.mark.parametrize(("logs_in", "logs_out"), list(product(MOUNTS, repeat=2)))
def test_who_logs_out_in_one_is_logged_out_in_all(logs_in: str, logs_out: str, url: str) -> None:
    """And so is who has kept the cookie."""
    browser = Visitor(url)
    browser.post(f"/{logs_in}/login", user="7")
    kept = browser.twin()
    browser.post(f"/{logs_out}/logout")
    assert browser.who() == kept.who() == {"nobody"}


@pytest.mark.parametrize(("first", "second"), list(product(MOUNTS, repeat=2)))
def test_another_user_who_logs_in_is_that_one_in_all(first: str, second: str, url: str) -> None:
    """Whoever was logged in before, and wherever."""
    browser = Visitor(url)
    browser.post(f"/{first}/login", user="7")
    former = browser.twin()
    browser.post(f"/{second}/login", user="8")
    assert browser.who() == {"8"}
    assert former.who() == {"nobody"}


def test_140_overlapping_changes_from_seven_frameworks_are_140(url: str) -> None:
    """Each puts a key of its own and counts once more."""
    browser = Visitor(url)
    browser.post("/wsgi/login", user="7")
    [cookie] = browser.jar
    assert cookie.value
    twins = [(browser.twin(), mount, number) for mount in MOUNTS for number in range(20)]

    def change(one: tuple[Visitor, str, int]) -> None:
        twin, mount, number = one
        twin.post(f"/{mount}/put", key=f"{mount}-{number}")

    with ThreadPoolExecutor(14) as threads:
        list(threads.map(change, twins))
    assert browser.get("/wsgi/all") == "140 140"
