"""What one request has in hand and wants stored.

How this works. A record holds values as bytes. One that is asked for is decoded once and kept; if
it is mutable, the bytes it was decoded from are remembered too, and comparing those with a fresh
encoding is how changes inside it are found. Every change of a value goes into
:class:`~wsgi_sessions.session.changes.Changes`, the few changes of the record's header into the
fields below; :meth:`Draft.edit` makes them all on a record: once normally, again for each conflict.

Rules for whoever edits this: no I/O and no clock. A mutable value that the application has in hand
is watched for as long as its key exists.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from wsgi_sessions.cookie import hash_secret
from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record import IMMUTABLE, Codec, Record, record_of
from wsgi_sessions.session.changes import MISSING, Changes, Function
from wsgi_sessions.session.merge import merge_encoded
from wsgi_sessions.session.snapshot import Edit

__all__ = ["SUPERSEDED_SECONDS", "Draft"]

SUPERSEDED_SECONDS: Final = 30.0
"""Seconds for which a replaced secret is remembered. No request is in flight longer than a
server's worker timeout, 30 s by gunicorn's default."""

Values = dict[str, bytes]

_NO_BASES: Final[dict[str, bytes | None]] = {}
_NO_CHANGES = Changes()  # of all drafts that have none: 2 k instructions less for a read


class Draft:
    """The values of a session as Python objects, and the changes made to them and its header."""

    __slots__ = (
        "_bases",
        "_codec",
        "_known",
        "_loaded",
        "_merge_keys",
        "changes",
        "forced",
        "live",
        "owner",
        "permanent",
        "restarted",
        "secret",
    )

    def __init__(self, codec: Codec, merge_keys: Collection[str] = ()) -> None:
        self._codec = codec
        self._merge_keys = merge_keys
        self.live: dict[str, Any] = {}
        """Values that were decoded or assigned, by key."""
        self._known: Values = {}
        """The last known encoding of those among them that are mutable."""
        self.forget()

    def forget(self) -> None:
        """Start with no changes; values that were handed out stay watched."""
        self.changes: Changes = _NO_CHANGES
        self.forced: bool = False
        self.restarted: bool = False
        self.secret: str = ""
        """The new secret, if the session is regenerated."""
        self.owner: Any = MISSING
        self.permanent: Any = MISSING
        self._bases = _NO_BASES
        """For merge keys: what the application had in hand before it changed the value; ``None``
        if it had not looked, so that its change is one of what was loaded."""
        self._loaded: Values | None = None

    def has_changes(self) -> bool:
        """Whether anything is to be stored. See :meth:`collect`."""
        return (
            bool(self.changes)
            or self.forced
            or bool(self.secret)
            or self.owner is not MISSING
            or self.permanent is not MISSING
        )

    # Reading

    def get(self, key: str, stored: Values) -> Any:
        """The value of *key*. Raises ``KeyError``, or ``ValueError`` if it cannot be decoded."""
        data = self.changes.current(key, stored.get(key))
        if data is None:
            raise KeyError(key)
        value = self._decode(data)
        self._keep(key, value, data)
        return value

    def get_all(self, stored: Values) -> None:
        """Decode whatever is not decoded yet. Raises ``ValueError`` if something cannot be."""
        for key, data in self.view(stored).items():
            if key not in self.live:
                self._keep(key, self._decode(data), data)

    def has(self, key: str, stored: Values) -> bool:
        return self.changes.current(key, stored.get(key)) is not None

    def view(self, stored: Values) -> Values:
        """All keys, with their values as they were last encoded."""
        return self.changes.apply(stored, self._decode, self.encode)

    # Changing

    def put(self, key: str, value: Any) -> None:
        data = self.encode(key, value)
        if key in self._merge_keys:
            self._note_base(key)
        self._more().put(key, data)
        self._keep(key, value, data)

    def delete(self, key: str) -> None:
        if key in self._merge_keys:
            self._note_base(key)
        self._more().delete(key)
        self.live.pop(key, None)
        self._known.pop(key, None)

    def clear(self, *, permanent: bool = False) -> None:
        self._more().clear()
        self.live.clear()
        self._known.clear()
        self.owner, self.permanent = None, permanent

    def log_in(self, owner: str, *, permanent: bool | None) -> None:
        """Note a login. With *permanent*, of another owner: what the session held before this
        request goes, what this request put stays; *permanent* is what it starts as."""
        if permanent is not None:
            self._more().cleared = True
            for key in list(self.live):
                if key not in self.changes.keys:
                    del self.live[key]
                    self._known.pop(key, None)
            if self.permanent is MISSING:
                self.permanent = permanent
        self.owner, self.restarted = owner, True

    def mutate(self, key: str, function: Function, default: Any, stored: Values) -> Any:
        self.collect()
        decode = self._decode
        if key in self._merge_keys:
            if key in self._bases and key not in self.changes.computed:
                data = self.changes.current(key, stored.get(key))
                self.put(key, function(default if data is None else decode(data)))
                return self.live[key]
            self._note_base(key)
        there = stored.get(key)
        data = self._more().mutate(key, function, default, there, decode, self.encode)
        value = decode(data)
        self._keep(key, value, data)
        return value

    def collect(self) -> None:
        """Note the values that were changed in place."""
        if not self._known:
            return
        for key, known in list(self._known.items()):
            data = self.encode(key, self.live[key])
            if data != known:
                if key in self._merge_keys:
                    self._note_base(key)
                self._known[key] = data
                self._more().put(key, data)

    def _note_base(self, key: str) -> None:
        """Before the first change of a value under a merge key."""
        if self._bases is _NO_BASES:
            self._bases = {}
        self._bases.setdefault(key, self._known.get(key))

    def _more(self) -> Changes:
        """The changes, to be added to."""
        if self.changes is _NO_CHANGES:
            self.changes = Changes()
        return self.changes

    def _keep(self, key: str, value: Any, data: bytes) -> None:
        self.live[key] = value
        if type(value) in IMMUTABLE:
            self._known.pop(key, None)
        else:
            self._known[key] = data

    def _decode(self, data: bytes) -> Any:
        if type(data) is not bytes:
            raise ValueError("the record holds something else than an encoded value")
        return self._codec.loads(data)

    def encode(self, key: str, value: Any) -> bytes:
        try:
            return self._codec.dumps(value)
        except UnsupportedValue as error:
            raise UnsupportedValue(key + error.path, error.reason) from None

    # Storing

    def edit(self, record: Record, now: float) -> Record:
        """*record* with all changes made."""
        secret_hash, created_at, saved_at, permanent, owner, superseded, values = record
        if self.secret:
            recent = [old for old in superseded if 0 <= now - old[1] < SUPERSEDED_SECONDS]
            superseded = [*recent, (secret_hash, now)]
            secret_hash = hash_secret(self.secret)
        fields = (
            secret_hash,
            now if self.restarted else created_at,
            saved_at,
            permanent if self.permanent is MISSING else self.permanent,
            owner if self.owner is MISSING else self.owner,
            superseded,
            self._merged(values) if self._bases else self.view(values),
        )
        return record_of(fields)

    def _merged(self, stored: Values) -> Values:
        """:meth:`view`, where what others did to the values of merge keys is kept."""
        if self._loaded is None:
            self._loaded = stored
        values, changes = self.view(stored), self.changes
        for key, base in self._bases.items():
            mine = values.get(key)
            if mine is None or changes.cleared or key in changes.computed:
                continue
            base = self._loaded.get(key) if base is None else base
            there = stored.get(key)
            values[key] = merge_encoded(base, mine, there, self._decode, self._codec.dumps)
        return values

    def first_writer(self, key: str, made: Any) -> Edit:
        """An edit that puts *made* under *key* if nothing is there, and does nothing else."""
        changes = Changes()

        def keep(there: Any) -> Any:
            return made if there is MISSING else there

        changes.mutate(key, keep, MISSING, None, self._decode, self.encode)
        return lambda record, _now: record._replace(
            values=changes.apply(record.values, self._decode, self.encode)
        )

    def detach(self) -> None:
        """Go on without the record. What was put stays; functions have begun with their default."""
        computed, values = self.changes.computed, self.view({})
        for key in list(self.live):
            if key in computed or key not in self.changes:
                del self.live[key]
                self._known.pop(key, None)
        for key in computed:
            self.changes.put(key, values[key])

    def saved(self, stored: Values) -> None:
        """All changes are in *stored* now, where a merge may have computed some values anew."""
        recomputed = self.changes.computed if self._known else ()
        self.forget()
        self.follow(stored, recomputed)

    def follow(self, stored: Values, recomputed: Collection[str] = ()) -> None:
        """Let later reads see what other requests saved.

        A mutable value stays the object it was, since the application may change it in place
        again; unless its key is gone or its value was recomputed.
        """
        if not self._known:
            self.live.clear()
            return
        for key in list(self.live):
            data = self.changes.current(key, stored.get(key))
            known = self._known.get(key)
            if known is None or data is None or (known != data and key in recomputed):
                del self.live[key]
                self._known.pop(key, None)
