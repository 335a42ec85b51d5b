"""One browser's sessions over a manager, without WSGI: what most tests of the core need."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from wsgi_sessions import Session, SessionManager

UNSIGNED = f"{'A' * 44}.AAAA.{'A' * 43}"
"""A cookie value of the right form that nobody has signed."""


def warm(manager: SessionManager) -> SessionManager:
    """What a process asks the store once, about signing keys, it has asked. Logs nothing."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        session = manager.open(f"sid={UNSIGNED}")
        session["x"] = 1
        manager.commit(session)
        session.invalidate()
        manager.commit(session)
    finally:
        logging.disable(disabled)
    return manager


class Visitor:
    """Keeps the cookie between requests."""

    def __init__(self, manager: SessionManager, cookie: str = "") -> None:
        self.manager = manager
        self.cookie = cookie
        self.set_cookie: str | None = None
        """The ``Set-Cookie`` of the last response."""

    @property
    def header(self) -> str:
        return f"sid={self.cookie}" if self.cookie else ""

    def twin(self) -> Visitor:
        """The same browser, for a second request at the same time."""
        return Visitor(self.manager, self.cookie)

    @contextmanager
    def request(self) -> Iterator[Session]:
        """A request that is committed at the end."""
        session = self.open()
        yield session
        self.respond(session)

    def open(self) -> Session:
        return self.manager.open(self.header)

    def respond(self, session: Session) -> str | None:
        """Commit; take over the cookie, and return its ``Set-Cookie`` line if there is one."""
        headers = self.manager.commit(session)
        assert len(headers) <= 1
        self.set_cookie = headers[0][1] if headers else None
        if self.set_cookie is not None:
            self.cookie = self.set_cookie.partition(";")[0].partition("=")[2]
        return self.set_cookie

    def read(self) -> dict[str, object]:
        """What is in the session now."""
        return self.open().copy()
