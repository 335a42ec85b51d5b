"""The application of :mod:`tests.served.bodies.app`, wherever it is served, as a test sees it."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.served.bodies.app import SECRET
from tests.served.bodies.raw_client import Connection, Reply
from tests.support.patience import wait_until
from wsgi_sessions import SessionManager, SQLiteStore


class Visit:
    """One request: the reply, and what the page has noted."""

    def __init__(self, site: Site, path: str) -> None:
        self.site = site
        self.id = secrets.token_hex(8)
        self.path = f"/{path}?id={self.id}"
        self.reply = Reply(0, [], b"")

    @property
    def confirmation(self) -> Path:
        """The file that says that the client has seen the first chunk."""
        return self.site.directory / f"id={self.id}"

    @property
    def notes(self) -> list[str]:
        path = self.site.directory / f"{self.id}.notes"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, *some: str) -> None:
        """Wait until one of these notes has been made."""
        wait_until(
            lambda: not set(some).isdisjoint(self.notes),
            f"one of {some} is noted by {self.path}",
            seconds=self.site.seconds,
        )

    def is_answered(self, status: int, body: bytes) -> None:
        assert self.reply.status == status, self.reply
        assert (self.reply.body, self.reply.extra) == (body, b"")

    def is_closed_once(self) -> None:
        self.wait_for("closed")
        assert self.notes.count("closed") == 1

    def begins_a_session(self, **values: Any) -> None:
        """It is a new visitor's, with a cookie for what has been saved; no cache keeps it."""
        if self.site.bare:
            return
        assert self.reply.cookie is not None, self.reply.headers
        assert "cookie" in ",".join(self.reply.all("Vary")).lower()
        assert self.reply.all("Cache-Control") == ["no-store"]
        self.site.is_saved(self.reply.cookie, **values)

    def saves_nothing(self) -> None:
        """No cookie leaves, so nobody could open what was saved."""
        assert self.reply.all("Set-Cookie") == []


class Site:
    """Where the application is served; without the middleware where *bare*."""

    cannot: Collection[str] = ()

    def __init__(self, directory: Path, *, bare: bool = False) -> None:
        self.directory, self.bare = directory, bare
        self.seconds = 5 if bare else 60
        """How long it is waited for; not for long where the wait is expected to be in vain."""
        store = SQLiteStore(directory / "s.db")
        self._manager = SessionManager(store, secret=SECRET)

    def fetch(self, path: str, method: str, cookie: str) -> Reply:
        raise NotImplementedError

    def connect(self, path: str, cookie: str = "") -> Connection:
        raise NotImplementedError

    def visit(self, path: str, *, method: str = "GET", cookie: str = "") -> Visit:
        visit = Visit(self, path)
        visit.reply = self.fetch(visit.path, method, cookie)
        return visit

    def visitor(self) -> str:
        """The cookie of a visitor whose session holds ``x``."""
        return self.visit("a_list").reply.cookie or ""

    def saved(self, cookie: str) -> dict[str, Any]:
        """What is in the session now."""
        return self._manager.open(cookie).copy()

    def is_saved(self, cookie: str, **values: Any) -> None:
        """Wait for it: what is late is saved after the reply has been sent."""
        if not self.bare:
            wait_until(
                lambda: self.saved(cookie) == values, f"{values} is saved, not {self.saved(cookie)}"
            )
