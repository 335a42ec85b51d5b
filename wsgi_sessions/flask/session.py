"""What ``flask.session`` is: a :class:`~wsgi_sessions.Session` with Flask-Login's passing notes."""

from __future__ import annotations

from typing import Any

from wsgi_sessions.flask.logout import is_in_logout
from wsgi_sessions.session import Session, dismiss_changes, is_nobodys

__all__ = ["FlaskSession"]

REQUEST_KEYS = frozenset({"_remember", "_remember_seconds"})
"""Notes from one part of Flask-Login to another, which its hook looks for in every response. They
live for one request: they are not stored, and looking for them loads nothing."""

_modified: Any = Session.modified
_sid: Any = Session.sid


class FlaskSession(Session):
    """The same, and attributes may be set on it as on Flask's own session."""

    __slots__ = ()

    @property
    def modified(self) -> bool:
        """Whether there is anything to save. Loads nothing. After ``False``, as with Flask's own
        session, what this request has changed is not saved, unless it changes more."""
        return _modified.__get__(self)  # type: ignore[no-any-return]

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            _modified.__set__(self, True)
        else:
            dismiss_changes(self)

    @property
    def sid(self) -> str:
        """What the cookie proves. Programs for Flask-Session assign one to change it, which is
        :meth:`regenerate`: what is assigned is not taken."""
        return _sid.__get__(self)  # type: ignore[no-any-return]

    @sid.setter
    def sid(self, _value: object) -> None:
        self.regenerate()

    # Without super(), which makes an object in each call.

    def __getitem__(self, key: str) -> Any:
        return vars(self)[key] if key in REQUEST_KEYS else Session.__getitem__(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        if key in REQUEST_KEYS:
            return vars(self).get(key, default)
        return Session.get(self, key, default)

    def __contains__(self, key: object) -> bool:
        if key in REQUEST_KEYS:
            return key in vars(self)
        found = Session.__contains__(self, key)
        if not found and is_nobodys(self) and is_in_logout():
            self.invalidate()
        return found

    def __setitem__(self, key: str, value: Any) -> None:
        if key in REQUEST_KEYS:
            vars(self)[key] = value
        else:
            Session.__setitem__(self, key, value)

    def update(self, other: Any = (), /, **more: Any) -> None:
        more = dict(other, **more)
        for key in REQUEST_KEYS.intersection(more):
            self[key] = more.pop(key)
        Session.update(self, more)

    def __delitem__(self, key: str) -> None:
        if key in REQUEST_KEYS:
            del vars(self)[key]
        else:
            Session.__delitem__(self, key)
