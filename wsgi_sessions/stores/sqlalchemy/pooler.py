"""Whether a pooler stands between us and the database: pgbouncer, RDS Proxy, ProxySQL.

In its transaction mode each statement may go over another connection to the server. So there is
nothing that a session would keep: no settings, which the pooler refuses or gives to others, and no
prepared statements, whose names belong to others there. The limits of time are then kept on our
side alone, as they are kept anyway, and a statement that takes too long goes on in the server until
the pooler notices that we have left.

In its session mode a connection that we keep idle keeps one of the few to the server from everybody
else. Which mode it is cannot be seen; so connections to a pooler are closed after each operation,
which is cheap where the server itself need not start a process, unless the URL says
``pooler=transaction``.
"""

from __future__ import annotations

from wsgi_sessions.errors import ConfigurationError

__all__ = ["Pooler"]

MODES = ("transaction", "session", "statement")


class Pooler:
    """What an engine knows of it, at its first connections or from the URL. It costs those nothing
    who have none."""

    def __init__(self, mode: object = None) -> None:
        if mode is not None and mode not in MODES:
            raise ConfigurationError(f"pooler={mode!r}: it is one of {', '.join(MODES)}")
        self.present: bool = mode is not None
        self._by_session = mode not in ("transaction", "statement")

    @property
    def wants_back(self) -> bool:
        """Whether a connection is to be closed after use."""
        return self.present and self._by_session
