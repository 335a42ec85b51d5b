"""Who is logged in, as far as the keys of a session say it.

How this works. An application that logs in by ``session["user_id"] = 7`` calls nothing of this
library, so the change of the key is the login. :class:`Identity` reads from the encoded values of a
session *who* they name: the text of the first login key that is present, its encoded value where
that has no text that could name an owner, or ``None``. A record and the record that takes its place
are compared by that; where they differ, the second one gets a new secret. Frameworks that share a
session keep their users under keys of their own, so the keys of each are a group that is compared
by itself; the owner is whom the last login named.

Rules for maintainers: nothing here loads, saves or changes a record in place. Values may be
hostile: what cannot be decoded names nobody, but is still compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record import Record, StoredValue, content, stored_at

__all__ = ["MAX_OWNER_BYTES", "Identity", "check_owner", "is_owner"]

MAX_OWNER_BYTES: Final = 1024
"""Of UTF-8. The narrowest index that keeps owners whole (DynamoDB's) takes twice as many."""

Values = Mapping[str, StoredValue]
Who = str | bytes | None
OwnerOf = Callable[[Any], str | None]


class Identity:
    """Reads who is logged in from the values of a session.

    Each of *groups* holds the login keys of one framework, of which the first that is present names
    its user; *owner_of*, if it is given, makes the owner's text of its value. When one of
    *fresh_keys* becomes true, the same user has proved again who he is (OWASP ASVS 5.0, 7.2.4).
    """

    __slots__ = ("_decode", "_groups", "_keys", "_owner_of", "fresh_keys", "login_keys")

    def __init__(
        self,
        groups: Sequence[Sequence[str]],
        fresh_keys: Sequence[str],
        owner_of: OwnerOf | None,
        decode: Callable[[StoredValue], Any],
    ) -> None:
        self._groups = groups
        self.login_keys: tuple[str, ...] = tuple(key for group in groups for key in group)
        self.fresh_keys: tuple[str, ...] = tuple(fresh_keys)
        self._keys = frozenset((*self.login_keys, *self.fresh_keys))
        self._owner_of = owner_of
        self._decode = decode

    def decides(self, key: str) -> bool:
        """Whether a change of *key* may be a login, a logout or a proof."""
        return key in self._keys

    def ignores(self, keys: Iterable[str]) -> bool:
        """Whether a change of *keys* is nothing of the kind."""
        return self._keys.isdisjoint(keys)

    def is_empty(self, values: Values) -> bool:
        """Whether there is no login key."""
        return not any(key in values for key in self.login_keys)

    def logs_in(self, before: Values, after: Values) -> bool:
        """Whether *after* names somebody whom *before* does not."""
        return any(
            who is not None and not _is_nobody(group, after)
            for group, _, who in self._changes(before, after)
        )

    def logs_out(self, before: Values, after: Values) -> bool:
        """Whether somebody in *before* is nobody in *after*."""
        return any(
            _is_nobody(group, after) and not _is_nobody(group, before) for group in self._groups
        )

    def changes(self, before: Values, after: Values) -> bool:
        """Whether the rights of *after* are not those of *before*, so that a new secret is due."""
        return bool(self._changes(before, after)) or any(
            self._value(after, key) and not self._value(before, key) for key in self.fresh_keys
        )

    def applied(self, before: Values, after: Record, now: float) -> Record:
        """*after*, whose values took the place of *before*, with the owner that they name and, at
        a login, the absolute lifetime started again."""
        owner = self.owner_after(after.owner, before, after.values)
        if any(isinstance(who, str) for _, _, who in self._changes(before, after.values)):
            return after.replace(owner=owner, created_at=now)
        return after if owner == after.owner else after.replace(owner=owner)

    def owner_after(self, owner: str | None, before: Values, after: Values) -> str | None:
        """Whose the session is that was *owner*'s when it had the values *before*: whom a login
        names; after a logout, who is still logged in by other keys."""
        changes = self._changes(before, after)
        for group, _, who in changes:
            if isinstance(who, str):
                return self._owner(group, after)
        # A value that can name nobody is no owner, and does not leave the former one in its place.
        if all(who is not None and not isinstance(was, str) for _, was, who in changes):
            return owner
        for group in self._groups:
            if isinstance(self._who(group, after), str):
                return self._owner(group, after)
        return None

    def owner(self, values: Values) -> str | None:
        """The owner that *values* name. Raises what *owner_of* raises, and ``TypeError`` or
        :exc:`~wsgi_sessions.UnsupportedValue` for what it returns and cannot be one."""
        owners = (self._owner(group, values) for group in self._groups)
        return next((owner for owner in owners if owner is not None), None)

    def _changes(self, before: Values, after: Values) -> list[tuple[Sequence[str], Who, Who]]:
        """The groups that name somebody else after than before, and whom."""
        named = [(one, self._who(one, before), self._who(one, after)) for one in self._groups]
        return [(group, was, who) for group, was, who in named if was != who]

    def _who(self, group: Sequence[str], values: Values) -> Who:
        """Who is logged in by the keys of *group*. ``7`` and ``"7"`` are the same user."""
        for key in group:
            if key in values:
                return _text(self._value(values, key)) or content(values, key)
        return None

    def _owner(self, group: Sequence[str], values: Values) -> str | None:
        for key in group:
            if key in values:
                value = self._value(values, key)
                if self._owner_of is None:
                    return _text(value)
                owner = self._owner_of(value)
                return None if owner is None else check_owner(owner)
        return None

    def _value(self, values: Values, key: str) -> Any:
        """``None`` also for what cannot be decoded."""
        try:
            return self._decode(stored_at(values, key))
        except (ValueError, TypeError):
            return None


def _is_nobody(group: Sequence[str], values: Values) -> bool:
    """Whether none of the keys is there, or holds more than ``None``."""
    return all(values.get(key) is None for key in group)


def _text(value: object) -> str | None:
    """What an owner is called whose login key has this value."""
    if type(value) in (int, str, UUID):
        text = str(value)
        return text if is_owner(text) else None
    return None


def is_owner(text: str) -> bool:
    """Whether *text* can name an owner."""
    try:
        return 0 < len(text.encode()) <= MAX_OWNER_BYTES
    except UnicodeEncodeError:
        return False


def check_owner(owner: object) -> str:
    """*owner* as a plain ``str``. Raises ``TypeError`` for what is no text or empty, and
    :exc:`~wsgi_sessions.UnsupportedValue` for text that no record can hold."""
    if not isinstance(owner, str) or not owner:
        raise TypeError("owner must be a non-empty str: login(str(user.id))")
    try:
        size = len(owner.encode())
    except UnicodeEncodeError:
        raise UnsupportedValue("owner", "it holds a lone surrogate") from None
    if size > MAX_OWNER_BYTES:
        raise UnsupportedValue(
            "owner", f"it has {size} bytes of UTF-8, at most {MAX_OWNER_BYTES} can be kept"
        )
    return str(owner)
