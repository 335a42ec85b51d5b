"""What the session did in one request, as seen by its store, its codec and the response.

Nothing here asks the session: the store's calls are noted as they are made, and which keys were
written is the difference between the record that was there and the one that was saved.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from wsgi_sessions.errors import BadRecord
from wsgi_sessions.record import ELSEWHERE, Record, StoredValue, content, unpack

__all__ = ["Call", "Cookie", "Fact", "Report", "Row", "Summary"]

_SHOWN_BYTES = 16


class Cookie(Enum):
    """What the response does to the session's cookie."""

    LEFT = "not sent"
    ISSUED = "sent"
    EXPIRED = "expired"


@dataclass
class Call:
    """One call of the store."""

    name: str
    seconds: float = 0.0
    outcome: str = ""
    failed: bool = False

    def __str__(self) -> str:
        outcome = f" ({self.outcome})" if self.outcome else ""
        return f"{self.name} {self.seconds * 1000:.3g}\N{NO-BREAK SPACE}ms{outcome}"


class Fact(NamedTuple):
    """One line of the panel."""

    label: str
    headline: str
    detail: str


class Summary(NamedTuple):
    """What is shown of one request."""

    request: str
    facts: list[Fact]

    def to_note(self) -> str:
        """As text that fits into a cookie."""
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode()

    @classmethod
    def from_note(cls, note: str) -> Summary | None:
        """The summary in *note*; ``None`` if it is anything else. Anybody can write one."""
        try:
            request, facts = json.loads(base64.urlsafe_b64decode(note))
            summary = cls(request, [Fact(*fact) for fact in facts])
        except (ValueError, TypeError, RecursionError):
            return None
        texts = [summary.request, *(text for fact in summary.facts for text in fact)]
        return summary if all(type(text) is str for text in texts) else None


class Row(NamedTuple):
    """One value of a record, as it is stored."""

    name: str
    place: str
    size: int
    """In bytes."""
    data: str
    """The first of them, in hexadecimal digits."""
    plain: bool
    """Whether it stands there as it is, so that it came with the head and needs no decoding."""
    decoded: bool


class Report:
    """Filled while the request runs."""

    def __init__(self, *, stopped: bool = False) -> None:
        self.stopped: bool = stopped
        """Whether every call of the store is to fail."""
        self.calls: list[Call] = []
        self._key = ""
        self._found: Record | None = None
        """The record under that key as this request first saw it."""
        self._held: Record | None = None
        """The same as it is in the store now, as far as this request knows."""
        self._keys: set[str] = set()
        self._decoded: set[str] = set()
        self._written: set[str] = set()
        self._removed: set[str] = set()

    # What the recorders note

    def loaded(self, key: str, data: bytes) -> None:
        """The store gave *data*."""
        try:
            record = unpack(data)
        except BadRecord:
            return
        self._hold(key, record)
        self._found = self._found or record

    def saved(self, key: str, data: bytes) -> None:
        """The store accepted *data*."""
        before = self._held.values if self._held is not None and key == self._key else {}
        record = unpack(data)
        self._hold(key, record)
        after = record.values
        self._written |= {
            name for name in after if name not in before or not _same(after, before, name)
        }
        self._removed |= before.keys() - after.keys()

    def deleted(self) -> None:
        """The store removed the record."""
        if self._held is not None:
            self._removed |= self._held.values.keys()
        self._key, self._found, self._held = "", None, None

    def decoded(self, data: bytes) -> None:
        """The codec was asked for the value in *data*."""
        if self._held is not None:
            self._decoded |= {
                name
                for name, value in self._held.values.items()
                if type(value) is bytes and content(self._held.values, name) == data
            }

    def _hold(self, key: str, record: Record) -> None:
        if key != self._key:  # what was there before was not this visitor's
            self._found, self._keys = None, set()
        self._key, self._held = key, record
        self._keys |= record.values.keys()

    # What it comes to

    @property
    def found(self) -> Record | None:
        """The record that this request has loaded."""
        return self._found

    def rows(self) -> list[Row]:
        """Its values, none of which is decoded for that; first those that have to be."""
        values = {} if self._found is None else self._found.values
        rows = (self._row(name, value) for name, value in values.items())
        return sorted(rows, key=lambda row: row.plain)

    def _row(self, name: str, value: StoredValue) -> Row:
        assert self._found is not None
        data = content(self._found.values, name)
        plain = type(value) is not bytes
        place = "in the head, as it is" if plain else "in the head, encoded"
        return Row(
            name,
            "behind the head, by itself" if value == ELSEWHERE else place,
            len(data),
            data[:_SHOWN_BYTES].hex(" "),
            plain=plain,
            decoded=name in self._decoded,
        )

    def facts(self, *, touched: bool, carried: bool, cookie: Cookie) -> list[Fact]:
        """*touched*: the application looked at the session; *carried*: the request had a cookie."""
        decoded = ", ".join(sorted(self._decoded)) or "none was needed"
        return [
            Fact("Store calls", str(len(self.calls)), self._calls(touched, carried)),
            Fact("Keys decoded", f"{len(self._decoded)} of {len(self._keys)}", decoded),
            Fact("Keys written", str(len(self._written | self._removed)), self._changes()),
            Fact("Session cookie", cookie.value, self._reason(touched, cookie)),
        ]

    def _calls(self, touched: bool, carried: bool) -> str:
        if self.calls:
            return ", ".join(map(str, self.calls))
        if not touched:
            return "the page did not touch the session"
        return "the cookie is not one of ours" if carried else "no cookie came, nothing to load"

    def _changes(self) -> str:
        removed = [f"{name} (removed)" for name in sorted(self._removed - self._written)]
        parts = [", ".join([*sorted(self._written), *removed])]
        if header := self._changed_header():
            parts.append(f"of the session itself: {', '.join(header)}")
        return "; ".join(filter(None, parts)) or "nothing to save"

    def _changed_header(self) -> list[str]:
        if self._found is None or self._held is None:
            return []
        fields = {"secret": "secret_hash", "owner": "owner", "lifetime": "permanent"}
        return [
            name
            for name, field in fields.items()
            if getattr(self._found, field) != getattr(self._held, field)
        ]

    def _reason(self, touched: bool, cookie: Cookie) -> str:
        changed = self._changed_header()
        match cookie:
            case Cookie.EXPIRED:
                return "the session has ended"
            case Cookie.ISSUED if self._found is None:
                return "a new session"
            case Cookie.ISSUED if "secret" in changed:
                return "regenerated: the old cookie is dead"
            case Cookie.ISSUED if "lifetime" in changed:
                return "“remember me” was switched"
            case Cookie.ISSUED:
                return "renewed: it was older than a tenth of its lifetime"
        if any(call.failed for call in self.calls):
            return "the store failed, so nothing is known that it could say"
        if not touched:
            return "not needed: the session was not touched"
        if self._held is None:
            return "not needed: there is no session"
        return "not needed: the browser has nothing new to keep"


def _same(one: dict[str, Any], other: dict[str, Any], name: str) -> bool:
    """Whether two records hold the same under *name*."""
    return type(one[name]) is type(other[name]) and content(one, name) == content(other, name)
