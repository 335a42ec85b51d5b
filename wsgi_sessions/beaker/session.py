"""``environ["beaker.session"]``: a :class:`~wsgi_sessions.Session` with Beaker's methods."""

from __future__ import annotations

import logging
from typing import Any

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import manager_of
from wsgi_sessions.session import Session

__all__ = ["BeakerSession", "SessionById", "domain_of"]

DOMAIN = "_domain"
"""The key under which Beaker keeps the domain that the application has set."""

_log = logging.getLogger("wsgi_sessions")


_is_accessed: Any = Session.accessed  # the slot


class Flag(int):
    """A truth value that may be called, as Beaker's is."""

    def __call__(self) -> bool:
        return bool(self)


class BeakerSession(Session):
    """The session of the request under the names that Beaker has for everything.

    It is committed when the response is sent, whether or not :meth:`save` was called.
    """

    __slots__ = ()

    @property  # type: ignore[override]  # Beaker's is a method, ours an attribute
    def accessed(self) -> Flag:
        """Whether anything has looked at the session or changed it."""
        return Flag(_is_accessed.__get__(self))

    @accessed.setter
    def accessed(self, value: bool) -> None:
        _is_accessed.__set__(self, value)

    @property
    def is_new(self) -> bool:
        """Whether this request found no session. Loads."""
        return self.new

    @property
    def created(self) -> float:
        """When the session began, or its owner logged in, in seconds since the epoch. Loads."""
        return self.created_at

    @property
    def last_accessed(self) -> float | None:
        """About when the session was used before this request, in seconds since the epoch: the last
        save, or renewal. ``None`` for a new one. Loads."""
        return self.last_seen

    @property
    def timeout(self) -> float:
        """Seconds after which the session ends if nobody uses it; may be set. Loads."""
        return self.lifetime

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self.lifetime = seconds

    @property
    def domain(self) -> str | None:
        """The domain of the cookie, if the application has set one. Setting it sends the cookie
        afresh. Loads."""
        domain: str | None = self.get(DOMAIN)
        return domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self[DOMAIN] = domain
        self.renew()

    @property
    def path(self) -> str:
        """The path of the cookie, which is the option ``cookie_path``."""
        path: str = manager_of(self).options.cookie_path
        return path

    @path.setter
    def path(self, path: str) -> None:
        if path != self.path:
            raise ConfigurationError(
                f"the path of one session's cookie cannot be {path!r}: set the option "
                f"session.cookie_path for all"
            )

    def has_key(self, name: str) -> bool:
        """``name in session``. Loads."""
        return name in self

    def save(self, accessed_only: bool = False) -> None:
        """Nothing has to be said: what was changed is saved when the response is sent."""
        if not accessed_only:
            self.modified = True

    def persist(self) -> None:
        """Save now, as :meth:`wsgi_sessions.Session.save` does and with what it raises. One round
        trip if something changed."""
        super().save()

    def dirty(self) -> bool:
        """Whether there is anything to save. Loads nothing."""
        return self.modified

    def load(self) -> bool:
        """Read the session again from the store: :meth:`~wsgi_sessions.Session.reload`."""
        return self.reload()

    def revert(self) -> None:
        """Forget what this request has changed and not saved."""
        self.rollback()

    def delete(self) -> None:
        """End the session: its record is deleted and its cookie expired."""
        self.invalidate()

    def regenerate_id(self) -> None:
        """Give the session a new secret and cookie, keeping its data: the old cookie is dead. The
        ``id`` is no secret here and stays."""
        self.regenerate()

    def lock(self) -> None:
        """Nothing is locked: changes of different keys are merged, and for the same key there are
        :meth:`increment` and :meth:`mutate`. Says so in the log."""
        _log.warning("session.lock() locks nothing: use session.increment() or session.mutate()")

    def unlock(self) -> None:
        """Nothing is locked."""

    def get_by_id(self, id: str) -> BeakerSession | None:
        """The live session *id* of whomever, or ``None``: to read it, change it and :meth:`save`
        it. One round trip. Raises what :meth:`~wsgi_sessions.SessionManager.open_id` raises."""
        session: Any = manager_of(self).open_id(id).__enter__()
        if session is not None:
            session.__class__ = SessionById
        return session  # type: ignore[no-any-return]


class SessionById(BeakerSession):
    """A session that no request commits, so that ``save()`` does."""

    __slots__ = ()

    def save(self, accessed_only: bool = False) -> None:
        """Save now: :meth:`persist`."""
        if not accessed_only:
            self.persist()

    def delete(self) -> None:
        """End the session now."""
        self.invalidate()
        self.persist()


def domain_of(session: object, configured: str | None) -> str | None:
    """The domain of *session*'s cookie, for the option ``cookie_domain``."""
    domain = session.get(DOMAIN) if isinstance(session, Session) else None
    return domain if isinstance(domain, str) else configured
