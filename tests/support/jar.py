"""A browser's cookies, kept by name, domain and path, for requests to a manager or a WSGI app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wsgi_sessions import Session, SessionManager

HOST = "shop.example.com"


class Jar:
    """The cookies of one browser for one host (RFC 6265 section 5.3), without their ends."""

    def __init__(self) -> None:
        self.cookies: dict[tuple[str, str, str], str] = {}

    def header(self, path: str = "/") -> str:
        """The ``Cookie`` header of a request to *path*."""
        return "; ".join(
            f"{name}={value}"
            for (name, _, where), value in self.cookies.items()
            if path.startswith(where)
        )

    def keep(self, line: str) -> None:
        """What a ``Set-Cookie`` line asks for."""
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        given = dict(one.partition("=")[::2] for one in attributes)
        place = name, given.get("Domain", HOST), given["Path"]
        if given.get("Max-Age") == "0":
            self.cookies.pop(place, None)
        else:
            self.cookies[place] = value

    @contextmanager
    def request(self, manager: SessionManager, path: str = "/") -> Iterator[Session]:
        """A request that *manager* answers, over https."""
        session = manager.open(self.header(path))
        yield session
        for _, line in manager.commit(session, secure=True):
            self.keep(line)

    def owner(self, manager: SessionManager, path: str = "/") -> str | None:
        """Whom the site sees."""
        with self.request(manager, path) as session:
            return session.owner
