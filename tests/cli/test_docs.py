"""docs/operating.md: each command in it is run, and prints what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.site import Site, run
from wsgi_sessions.cli.commands import commands
from wsgi_sessions.cookie import new_secret

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
TEXT = PAGE.read_text()
NOW = 1_795_856_400.0  # 2026-11-28T09:00Z
IDS = ("Zq3vN0cXhT8mLw5sYd1kRA", "b7GfPpO2uJxVtEe4iK9aSQ", "m1WnC6yHrU0zDlB8gQ5oXg")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Version/17.5 Safari/604.1"
PATH = "/srv/shop/sessions.db"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def sessions_of_the_page(site: Site, at: list[float]) -> None:
    at[0] = NOW - 6 * 3600
    site.visit("ann", FIREFOX, user_id=7, cart=["Assam", "Darjeeling"])
    at[0] = NOW - 20 * 60
    site.visit("ann", SAFARI, user_id=7)
    at[0] = NOW - 60
    site.visit(cart=["Sencha"])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    at = [NOW]
    monkeypatch.setattr(time, "time", lambda: at[0])
    sids = ((id, new_secret()) for id in IDS)
    monkeypatch.setattr("wsgi_sessions.session.snapshot.new_sid", sids.__next__)
    site = Site(f"sqlite:///{tmp_path}/s.db")
    sessions_of_the_page(site, at)
    at[0] = NOW
    yield site
    site.close()


def transcript(site: Site, block: str) -> str:
    """The commands of *block*, each followed by what it prints."""
    printed = []
    for line in block.splitlines():
        if not line.startswith("$ "):
            continue
        printed.append(line)
        program, *arguments = shlex.split(line[2:])
        if program == "wsgi-sessions":
            result = site.run(*arguments)
            assert result.exit_code == 0, result.output
            assert result.stderr == ""
            printed += result.stdout.splitlines()
    return "\n".join(printed) + "\n"


def test_every_command_of_the_page_prints_what_the_page_shows(site: Site) -> None:
    for block in blocks("console"):
        assert transcript(site, block) == block


def test_every_command_has_its_place_in_the_page() -> None:
    page = re.sub(r"\s+", " ", TEXT)
    for name in commands.commands:
        if name not in ("new-secret", "demo"):
            assert re.search(rf"wsgi-sessions {name}|`{name}`", page), name


def purged(command: str, tmp_path: Path) -> None:
    """Run *command*, as a shell of cron does, on a store in *tmp_path*."""
    site = Site(f"sqlite:///{tmp_path}/s.db")
    site.visit()
    site.close()
    here = Path(sys.executable).parent
    result = subprocess.run(
        ["/bin/sh", "-c", command],
        env=os.environ | {"PATH": f"{here}:/usr/bin:/bin", "WSGI_SESSIONS_STORE": site.url},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_line_of_the_crontab_runs(tmp_path: Path) -> None:
    [block] = blocks("cron")
    variable, line = block.splitlines()
    assert variable == f"WSGI_SESSIONS_STORE=sqlite:///{PATH}"
    minute, hour, day, month, weekday, user, command = line.split(None, 6)
    assert (int(minute) < 60, int(hour) < 24, day, month, weekday) == (True, True, *"***")
    assert user == "shop"
    purged(command, tmp_path)


def test_the_command_of_the_systemd_service_runs(tmp_path: Path) -> None:
    service, _ = blocks("ini")
    [command] = re.findall(r"^ExecStart=/srv/shop/.venv/bin/(.*)$", service, re.MULTILINE)
    purged(command, tmp_path)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="apt-get install systemd")
def test_systemd_accepts_service_and_timer(tmp_path: Path) -> None:
    service, timer = blocks("ini")
    program = Path(sys.executable).with_name("wsgi-sessions")
    service = service.replace("/srv/shop/.venv/bin/wsgi-sessions", str(program))
    service = service.replace("User=shop", "User=root")
    for name, text in (("service", service), ("timer", timer)):
        (tmp_path / f"wsgi-sessions-purge.{name}").write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "wsgi-sessions-purge.timer",
         tmp_path / "wsgi-sessions-purge.service"],
        capture_output=True, text=True,
    )  # fmt: skip
    complaints = [line for line in result.stderr.splitlines() if "wsgi-sessions-purge" in line]
    assert (result.returncode, complaints) == (0, [])
    [calendar] = re.findall("^OnCalendar=(.*)$", timer, re.MULTILINE)
    subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)


def test_the_cron_job_of_kubernetes_is_one_and_its_command_runs(tmp_path: Path) -> None:
    [block] = blocks("yaml")
    job = yaml.safe_load(block)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    [variable] = container["env"]
    assert variable["name"] == "WSGI_SESSIONS_STORE"
    purged(shlex.join(container["command"]), tmp_path)


def test_the_exit_statuses_of_the_page_are_those_of_the_help() -> None:
    printed = re.sub(r"\s+", " ", run("--help").stdout)
    assert re.search("0 if all went well; 1 if .*; 2 if the store cannot be asked", printed)
