"""Ctrl-C, a terminal, and a store that fails in the middle."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.site import Site
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.stores.sqlite import SQLiteStore

SCRIPT = Path(sys.executable).with_name("wsgi-sessions")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(f"sqlite:///{tmp_path}/s.db")
    yield site
    site.close()


@pytest.fixture
def on_call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Something that happens within call *number* of an operation of the store, or of the
    manager's ``revoke``."""

    def arrange(operation: str, number: int, happens: Callable[[], object]) -> None:
        owner: type = SessionManager if operation == "revoke" else SQLiteStore
        method, calls = getattr(owner, operation), [0]

        def called(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                happens()
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, operation, called)

    return arrange


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Also where the tests run in the background, whose jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail() -> None:
    raise StoreUnavailable("the disk is gone")


@pytest.mark.parametrize("which", [("--all",), ("--owner", "ann"), ("--idle", "0"), ("IDS",)])
def test_ctrl_c_ends_the_session_in_hand_and_no_other(
    which: tuple[str, ...], site: Site, on_call: Callable[..., None]
) -> None:
    ids = [site.visit("ann") for _ in range(5)]
    which = tuple(ids) if which == ("IDS",) else which
    on_call("save" if "--idle" in which else "revoke", 2, interrupt)

    result = site.run("revoke", "--yes", *which)

    assert result.exit_code == 1
    assert result.stdout.startswith("2 sessions ended, then interrupted")
    assert len([id for id in ids if site.is_alive(id)]) == 3
    assert len(site.rows("list", "--owner", "ann")) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_the_command_at_once(site: Site, on_call: Callable[..., None]) -> None:
    ids = [site.visit() for _ in range(3)]
    on_call("revoke", 2, lambda: [interrupt(), interrupt()])
    result = site.run("revoke", "--yes", "--all")
    assert (result.exit_code, result.stderr.strip()) == (1, "Aborted!")
    assert len([id for id in ids if site.is_alive(id)]) == 2


def test_the_stop_of_a_service_is_as_ctrl_c(site: Site, on_call: Callable[..., None]) -> None:
    """systemd and Kubernetes send ``SIGTERM``."""
    for _ in range(3):
        site.visit()
    on_call("revoke", 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    [row] = site.rows("revoke", "--yes", "--all")
    assert (row["ended"], row["interrupted"]) == (1, True)


def test_an_interrupted_purge_says_how_many_it_removed(
    site: Site, on_call: Callable[..., None]
) -> None:
    on_call("purge", 1, interrupt)
    site.visit()
    result = site.run("purge")
    assert result.exit_code == 1
    assert result.stdout == "0 expired sessions removed, then interrupted.\n"


@pytest.mark.parametrize("command", ["list", "stats"])
def test_an_interrupted_list_is_exit_status_1(
    command: str, site: Site, on_call: Callable[..., None]
) -> None:
    for _ in range(3):
        site.visit()
    on_call("load", 2, interrupt)
    result = site.run(command)
    assert result.exit_code == 1
    assert "Aborted" not in result.output
    assert command == "list" or "counted so far" in result.stdout


def test_a_store_that_fails_in_the_middle_says_how_far_it_got(
    site: Site, on_call: Callable[..., None]
) -> None:
    for _ in range(3):
        site.visit()
    on_call("revoke", 3, fail)
    result = site.run("revoke", "--yes", "--all")
    assert result.exit_code == 2
    assert result.stdout == "2 sessions ended.\n"
    assert result.stderr == "Error: cannot ask the store: the disk is gone\n"


# At a terminal


def at_terminal(site: Site, *arguments: str, answer: str = "") -> tuple[int, str]:
    """Exit status, and what a person sees."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        env=os.environ | {"WSGI_SESSIONS_STORE": site.url},
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    os.write(parent, answer.encode())
    seen = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # Linux: nobody holds the other end any more
            break
        if not part:
            break
        seen += part
    os.close(parent)
    return process.wait(), seen.decode()


@pytest.mark.parametrize(("answer", "status", "alive"), [("y\n", 0, False), ("n\n", 1, True)])
def test_at_a_terminal_revoke_asks(answer: str, status: int, alive: bool, site: Site) -> None:
    id = site.visit("ann")
    code, seen = at_terminal(site, "revoke", "--owner", "ann", answer=answer)
    assert code == status, seen
    assert "End all sessions of ann in SQLiteStore? [y/N]" in seen
    assert site.is_alive(id) is alive


def test_at_a_terminal_there_is_a_progress_bar(site: Site) -> None:
    for _ in range(3):
        site.visit()
    code, seen = at_terminal(site, "revoke", "--all", "--yes")
    assert code == 0
    assert "Ending sessions" in seen
    assert "3 sessions ended." in seen


def test_without_a_terminal_there_is_no_progress_bar(site: Site) -> None:
    site.visit()
    result = site.run("stats", "--json")
    assert result.stderr == ""
    assert json.loads(result.stdout)["sessions"] == 1


def test_a_reader_that_goes_away_ends_the_list_without_a_traceback(site: Site) -> None:
    """As ``head`` does."""
    for _ in range(300):
        site.visit("owner" * 50)
    process = subprocess.Popen(
        [SCRIPT, "list"],
        env=os.environ | {"WSGI_SESSIONS_STORE": site.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert errors == b""
