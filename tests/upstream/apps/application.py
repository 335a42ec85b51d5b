"""What the driver has to know of a real application, and how one is served."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from tests.servers.process import ServerProcess, free_port
from tests.support.serving import ROOT
from tests.upstream.apps.browser import Browser

USER, PASSWORD = "ann@example.org", "Correct-horse-7"
SECRET = "a signing key of the tests, long enough"

COOKIE = "Flask's own cookie is the data: a copy of it is as good after the logout as before"
LAST = "Flask's own cookie is the data: of overlapping answers the last one is kept"


class Database(NamedTuple):
    """Where a PostgreSQL server listens, and for whom."""

    port: int
    user: str
    password: str


class Application(ABC):
    """One application: how it is installed, and how a visitor takes the steps of the tests."""

    name: str
    requirements: tuple[str, ...]
    differs: dict[str, str] = {}
    """Tests that the application's own sessions fail, and why."""
    greets_guests = False
    """Whether the message is for who is nobody; else it is for users."""
    cannot_apply: dict[str, str] = {}
    """Tests that the application fails whatever its sessions are, and why."""

    needs_database = False
    database: Database
    """A PostgreSQL server, where it needs one."""

    def environment(self, directory: Path) -> dict[str, str]:
        """Variables that the application is run with."""
        return {}

    @abstractmethod
    def install(self, place: Place) -> None:
        """Make what it keeps in the directory: configuration, database, user."""

    @abstractmethod
    def begin(self, browser: Browser) -> None:
        """Something that gives a visitor who is nobody a session."""

    @abstractmethod
    def log_in(self, browser: Browser, password: str = PASSWORD) -> None:
        """As the user of the tests."""

    @abstractmethod
    def is_logged_in(self, browser: Browser) -> bool:
        """Ask for a page that only users get."""

    @abstractmethod
    def log_out(self, browser: Browser) -> None: ...

    @abstractmethod
    def leave_message(self, browser: Browser) -> None:
        """Do what makes the application flash a message, and do not look at it."""

    @abstractmethod
    def messages(self, browser: Browser) -> int:
        """How many of these messages the next page shows."""

    def change(self, browser: Browser, *, with_token: bool) -> bool:
        """Send a form that is protected by a CSRF token; whether it had its effect."""
        raise NotImplementedError(self.cannot_apply)

    def overlap(self, browser: Browser, tabs: int) -> int:
        """How much is left of what so many tabs leave in the session at once."""
        browser.in_tabs([self.leave_message] * tabs)
        return self.messages(browser)


class Place:
    """The directory of an installed application, and the Python that runs it."""

    def __init__(self, application: Application, python: Path, directory: Path) -> None:
        self.application, self.python, self.directory = application, python, directory
        variables = application.environment(directory)
        paths = [str(ROOT), *filter(None, [variables.pop("PYTHONPATH", "")])]
        self.environment = os.environ | variables
        self.environment |= {"PYTHONPATH": os.pathsep.join(paths), "HOME": str(directory)}

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of the environment."""
        result = subprocess.run(
            [self.python.parent / program, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, f"{program} {arguments}: {result.stdout} {result.stderr}"


class Served:
    """The application under gunicorn, with our sessions if there is a *store*."""

    def __init__(self, place: Place, store: str | None) -> None:
        self.application = place.application
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            *(str(place.python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"),
            *("--threads", "20", "--timeout", "300", "--graceful-timeout", "1"),
            *("--no-control-socket", "--log-level", "warning"),
            f"tests.upstream.apps.wsgi.{place.application.name}:application",
        ]
        environment = place.environment | ({"WSGI_SESSIONS_STORE": store} if store else {})
        self._process = ServerProcess(
            command, log=place.directory / "log", env=environment, cwd=str(place.directory)
        )

    def start(self) -> Served:
        self._process.start(lambda: self.visitor().get("/"), seconds=90)
        return self

    def stop(self) -> None:
        self._process.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def visitor(self) -> Browser:
        return Browser(self.url)

    def other_device(self) -> Browser:
        """Some applications tell devices apart by this."""
        return Browser(self.url, "Mozilla/5.0 (Macintosh) another")
