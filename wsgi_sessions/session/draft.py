"""What one request has in hand and wants stored.

How this works. A record holds values as bytes. One that is asked for is decoded once and kept; if
it is mutable, the bytes it was decoded from are remembered too, and comparing those with a fresh
encoding is how changes inside it are found. A value that would come back as another (one of a
subclass, as its parent) is that other from its assignment on; what was assigned is its *original*,
in which changes are noticed too, for as long as the other has none. Every change of a value goes
into :class:`~wsgi_sessions.session.changes.Changes`, the few changes of the record's header into
its :class:`~wsgi_sessions.session.header.Header`; :meth:`Draft.edit` makes them all on a record:
once, and again for each conflict.

Rules for maintainers: no I/O and no clock. A mutable value that the application has in hand
is watched for as long as its key exists.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.record import (
    IMMUTABLE,
    LARGE,
    Converted,
    NotRestored,
    Record,
    StoredValue,
    ValueCodec,
    same,
    stored_at,
)
from wsgi_sessions.session.changes import MISSING, Changes, Found, Function, Values, value_or
from wsgi_sessions.session.header import UNCHANGED, Header
from wsgi_sessions.session.merge import merge_encoded
from wsgi_sessions.session.snapshot import Edit

__all__ = ["Draft", "new_draft"]

_CONTAINERS: Final = (list, dict)
_NO_BASES: Final[dict[str, Found]] = {}
_NO_ORIGINALS: Final[dict[str, Any]] = {}
_log = ThrottledLog("wsgi_sessions")
_NO_CHANGES = Changes()  # of all drafts that have none: 2 k instructions less for a read


class Draft:
    """The values of a session as Python objects, and the changes made to them and its header."""

    __slots__ = (
        "_bases",
        "_codec",
        "_in_place",
        "_known",
        "_loaded",
        "_merge_keys",
        "_originals",
        "_saved",
        "changes",
        "dismissed",
        "header",
        "live",
    )

    _codec: ValueCodec
    _merge_keys: Collection[str]
    live: dict[str, Any]
    """Values that were decoded, or assigned and are no scalars, by key."""
    _known: Values
    """The last known encoding of those among them that are mutable."""
    _originals: dict[str, Any]
    """What was assigned where the value, which is mutable, is another."""
    _saved: tuple[tuple[Changes, Collection[str]], ...]
    """The changes that were stored, with those of their keys that were changed in place."""
    changes: Changes
    header: Header
    """Read it here; to change it, ask :meth:`change_header` for it."""
    _in_place: Collection[str]
    """The keys among the changes that this request has not put, but changed inside."""
    _bases: dict[str, Found]
    """For merge keys: what the application had in hand before it changed the value; ``None`` if it
    had not looked, so that its change is one of what was loaded."""
    _loaded: Values | None
    dismissed: tuple[dict[str, Found], object] | None
    """The changes that are not to be saved, if no others come to them."""

    def dismiss(self) -> None:
        """Save nothing of what was changed until now, unless more is changed."""
        self.dismissed = self._pending()

    @property
    def is_dismissed(self) -> bool:
        """Whether nothing was changed since :meth:`dismiss`."""
        if self.dismissed is None:
            return False
        was, others = self.dismissed
        made, others_now = self._pending()
        same_keys = was.keys() == made.keys() and others == others_now
        return same_keys and all(same(one, made[key]) for key, one in was.items())

    def _pending(self) -> tuple[dict[str, Found], object]:
        """What was made of the keys, and whatever else is changed."""
        self.collect()
        others = self.changes.cleared, dict(vars(self.header))
        return dict(self.changes.results), others

    def forget(self) -> None:
        """Start with no changes; values that were handed out stay watched."""
        self.changes, self._in_place = _NO_CHANGES, ()
        self.header, self._bases, self._loaded = UNCHANGED, _NO_BASES, None

    def has_changes(self) -> bool:
        """Whether anything is to be stored. See :meth:`collect`."""
        if self.changes.results or self.changes.cleared:
            return True
        return self.header is not UNCHANGED and self.header.has_changes

    # Reading

    def get(self, key: str, stored: Values) -> Any:
        """The value of *key*. Raises ``KeyError``, or ``ValueError`` if it cannot be decoded."""
        data: Any = stored.get(key, MISSING)
        if self.changes is not _NO_CHANGES:
            data = self.changes.current(key, data)
        if data is MISSING:
            raise KeyError(key)
        kind = type(data)
        if kind is not bytes:
            return data  # a scalar
        return self._open(key, data or stored_at(stored, key))

    def get_all(self, stored: Values) -> list[str]:
        """The keys whose values can be had, after decoding whatever is not decoded yet. Raises
        ``ValueError`` if something cannot be."""
        keys = []
        for key, data in self.view(stored).items():
            with suppress(KeyError):
                if type(data) is bytes and key not in self.live:
                    self._open(key, data or stored_at(stored, key))
                keys.append(key)
        return keys

    def _open(self, key: str, data: StoredValue) -> Any:
        """As :meth:`get`. A value of a type that is gone costs itself only, and stays stored."""
        try:
            value = self._codec.loads(data)
        except NotRestored as error:
            _log.warning("a value was left alone: %s", error)
            raise KeyError(key) from None
        if type(value) in _CONTAINERS and not self._originals:
            self.live[key], self._known[key] = value, data  # as _keep() does, a call less
        else:
            self._keep(key, value, data)
        return value

    def has(self, key: str, stored: Values) -> bool:
        return self.changes.current(key, stored.get(key, MISSING)) is not MISSING

    def view(self, stored: Values) -> Values:
        """All keys in their order, with their values as they were last encoded."""
        return self.changes.apply(stored, self._codec.loads, self.encode, ordered=True)

    # Changing

    def put(self, key: str, value: Any) -> None:
        kind = type(value)
        if (
            (kind is str and len(value) < LARGE and value.isascii())
            or kind is float
            or kind is bool
        ):
            data = value  # as the codec does it, a call less
        else:
            codec = self._codec
            try:
                data = codec.encode(value) if kind in _CONTAINERS else codec.dumps(value)
            except UnsupportedValue as error:
                raise _at(key, error) from error.__cause__
        if key in self._merge_keys:
            self._note_base(key)
        if data is value:
            if self.live and key in self.live:  # a scalar takes the place of something else
                self._drop(key)
        elif kind in _CONTAINERS and type(data) is bytes and not self._originals:
            self.live[key], self._known[key] = value, data  # as _hold() does, two calls less
        else:
            data = self._hold(key, value, data)
        changes = self.changes
        if changes is _NO_CHANGES:
            changes = self.changes = Changes()
        if key in changes.results:
            changes.put(key, data)
            self._in_place = {*self._in_place} - {key}
        else:  # nearly always: no call
            changes.results[key] = data

    def show(self, key: str, value: Any) -> None:
        """Let this request read *value*, or what it would come back as, without changing *key*."""
        data = self._dump(key, value)
        converted = type(data) is Converted
        self.live[key] = self._codec.loads(bytes(data)) if converted else value  # type: ignore[arg-type]

    def delete(self, key: str) -> None:
        if key in self._merge_keys:
            self._note_base(key)
        self._more().delete(key)
        self._drop(key)

    def clear(self, *, permanent: bool = False) -> None:
        self._more().clear()
        self.live.clear()
        self._known.clear()
        self._originals.clear()
        self._saved = self._in_place = ()
        header = self.change_header()
        header.owner = header.device = header.lifetime = None
        header.permanent, header.kept = permanent, False

    def change_header(self) -> Header:
        """The header, to be changed."""
        if self.header is UNCHANGED:
            self.header = Header()
        return self.header

    def log_in(self, owner: str) -> None:
        """Note a login."""
        header = self.change_header()
        header.owner, header.restarted = owner, True

    def change_hands(self, stored: Values, *, permanent: bool) -> None:
        """What the session held before this request goes, what this request has put stays.
        *permanent* is what it starts as, unless this request has said so."""
        changes, assigned = self._more(), self._assigned()
        keep = assigned.union(changes.computed)
        for key in {*changes.keys, *self.live} - keep:
            changes.forget(key)
            self._drop(key)
        for key in assigned.difference(changes.keys).intersection(stored):  # saved before
            changes.put(key, stored_at(stored, key))
        changes.clear_before()
        header = self.change_header()
        if header.permanent is MISSING:
            header.permanent = permanent
        if header.lifetime is MISSING:
            header.lifetime = None

    def note_assigned(self, key: str) -> None:
        """This request has put *key* into the store."""
        changes = Changes()
        changes.put(key, None)  # whatever it was
        self._saved = (*self._saved, (changes, ()))

    def _assigned(self) -> set[str]:
        """The keys that this request has put, stored or not."""
        assigned: set[str] = set()
        for changes, in_place in (*self._saved, (self.changes, self._in_place)):
            for key, made in changes.results.items():
                if made is MISSING:
                    assigned.discard(key)
                elif key not in in_place and key not in changes.computed:
                    assigned.add(key)
        return assigned

    def mutate(self, key: str, function: Function, default: Any, stored: Values) -> Any:
        self.collect()
        decode, there = self._codec.loads, stored_at(stored, key, MISSING)
        if key in self._merge_keys:
            if key in self._bases and key not in self.changes.computed:
                found: Any = self.changes.current(key, there)
                made = function(value_or(default, found, decode))
                if made is MISSING:
                    self.delete(key)
                    return made
                self.put(key, made)
                return self.get(key, stored) if key not in self.live else self.live[key]
            self._note_base(key)
        data: Any = self._more().mutate(key, function, default, there, decode, self.encode)
        if data is MISSING:
            self._drop(key)
            return data
        value = decode(data)
        self._keep(key, value, data)
        return value

    def collect(self) -> None:
        """Note the values that were changed in place."""
        if not self._known:
            return
        live, all_known, originals = self.live, self._known, self._originals
        keys = list(all_known) if originals else self._codec.perhaps_changed(live, all_known)
        for key in keys:
            value = live.get(key)
            data = self._dump(key, value)
            if key not in all_known or live[key] is not value:
                continue  # this encoding, or one before, has written to the session
            known, kind = all_known[key], type(data)
            if (kind is bytes and data == known) or (kind is not Converted and same(data, known)):
                if key not in originals:
                    continue
                value = originals[key]
                data = self._dump(key, value)
                if same(bytes(data) if type(data) is Converted else data, known):
                    continue
            if key in self._merge_keys:
                self._note_base(key)
            held = self._hold(key, value, data)
            if not same(held, known):
                changes = self._more()
                if key not in changes.results:
                    self._in_place = {*self._in_place, key}
                changes.put(key, held)

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

    def _hold(self, key: str, value: Any, data: StoredValue) -> StoredValue:
        """Keep *value*, which was dumped to *data*, or what it would come back as."""
        if type(data) is not Converted:
            self._keep(key, value, data)
            return data
        plain = self._codec.loads(bytes(data))
        held = self._codec.dumps(plain)
        self._keep(key, plain, held)
        if key in self._known:
            if self._originals is _NO_ORIGINALS:
                self._originals = {}
            self._originals[key] = value
        return held

    def _keep(self, key: str, value: Any, data: StoredValue) -> None:
        """Hand out the same object again; and watch it, if it can change."""
        if self._originals:
            self._originals.pop(key, None)
        kind = type(data)
        if kind is bytes:
            self.live[key] = value
            if not (type(value) in IMMUTABLE or isinstance(value, self._codec.immutable)):
                self._known[key] = data
            elif self._known:
                self._known.pop(key, None)
        elif self.live:
            self.live.pop(key, None)
            self._known.pop(key, None)

    def _drop(self, key: str) -> None:
        self.live.pop(key, None)
        self._known.pop(key, None)
        self._originals.pop(key, None)

    def encode(self, key: str, value: Any) -> StoredValue:
        try:
            return self._codec.stored(value)
        except UnsupportedValue as error:
            raise _at(key, error) from error.__cause__

    def _dump(self, key: str, value: Any) -> StoredValue:
        """As the codec does it: perhaps :class:`~wsgi_sessions.record.Converted` bytes."""
        try:
            return self._codec.dumps(value)
        except UnsupportedValue as error:
            raise _at(key, error) from error.__cause__

    # Storing

    def edit(self, record: Record, now: float) -> Record:
        """*record* with all changes made, saved *now*; *record* itself if none changes it."""
        values, changes = record.values, self.changes
        if self._bases:
            values = self._merged(values)
        else:
            values = (
                changes.with_puts(values)
                if changes.only_puts  # nearly always
                else changes.apply(values, self._codec.loads, self.encode)
            )
        if self.header is not UNCHANGED:
            return self.header.edit(record, values, now, cleared=changes.cleared)
        if values is record.values:
            return record
        return record.holding(values, now)

    def _merged(self, stored: Values) -> Values:
        """:meth:`view`, where what others did to the values of merge keys is kept."""
        if self._loaded is None:
            self._loaded = stored
        changes = self.changes
        values = changes.apply(stored, self._codec.loads, self.encode)
        for key, noted in self._bases.items():
            if changes.cleared or key in changes.computed:
                continue
            try:
                mine: Found = stored_at(values, key, MISSING)
                loaded: Found = stored_at(self._loaded, key, MISSING)
                there: Found = stored_at(stored, key, MISSING)
            except ValueError:  # damaged
                continue
            base = loaded if noted is None else noted
            merged = merge_encoded(base, mine, there, self._codec.loads, self._codec.dumps)
            if merged is mine:
                continue
            values = values.copy()
            if merged is MISSING:
                del values[key]
            else:
                values[key] = merged  # type: ignore[assignment]
        return values

    def first_writer(self, key: str, made: Any, stored: Values) -> Edit:
        """An edit of what is *stored* that puts *made* under *key* if nothing is there, and does
        nothing else."""
        changes = Changes()

        def keep(there: Any) -> Any:
            return made if there is MISSING else there

        changes.mutate(key, keep, MISSING, MISSING, self._codec.loads, self.encode)
        self._note_loaded(stored)

        def edit(record: Record, _now: float) -> Record:
            values = changes.apply(record.values, self._codec.loads, self.encode)
            return record if values is record.values else record.replace(values=values)

        return edit

    def _note_loaded(self, stored: Values) -> None:
        """What was done to merge keys until now was done to what is *stored*; what is done later,
        perhaps to what another request is about to put in its place."""
        loaded = stored if self._loaded is None else self._loaded
        for key, noted in self._bases.items():
            if noted is None:
                with suppress(ValueError):  # damaged
                    self._bases[key] = stored_at(loaded, key, MISSING)
        self._loaded = None

    def detach(self) -> None:
        """Go on without the record. What was put stays; functions started with their default."""
        computed, values = list(self.changes.computed), self.view({})
        for key in list(self.live):
            if key in computed or key not in self.changes:
                self._drop(key)
        for key in computed:
            self.changes.put(key, values.get(key, MISSING))
        self._bases, self._loaded = dict.fromkeys(self._bases), None  # there is nothing to merge

    def saved(self, merged: Values | None) -> None:
        """All changes are stored now; in *merged*, if another request was faster: then some values
        may have been computed anew."""
        changes = self.changes
        self._saved += ((changes, self._in_place),)
        self.changes, self._in_place = _NO_CHANGES, ()  # forget(), a call less
        self.header, self._bases, self._loaded = UNCHANGED, _NO_BASES, None
        self.dismissed = None  # it was saved with what came later
        if merged is not None:
            self.follow(merged, changes.computed)

    def follow(self, stored: Values, recomputed: Collection[str] = ()) -> None:
        """Let later reads see what other requests saved.

        A mutable value stays the object it was, since the application may change it in place
        again; unless its key is gone or its value was recomputed.
        """
        if not self._known:
            self.live.clear()
            return
        for key in list(self.live):
            data = self.changes.current(key, stored.get(key, MISSING))
            known = self._known.get(key)
            gone = known is None or data is MISSING
            if gone or (key in recomputed and not same(known, data)):
                self._drop(key)


def new_draft(codec: ValueCodec, merge_keys: Collection[str]) -> Draft:
    """A draft without changes. (Without ``__init__``, to save a call.)"""
    draft = Draft()
    draft._codec, draft._merge_keys = codec, merge_keys
    draft.live, draft._known, draft._originals = {}, {}, _NO_ORIGINALS
    draft.changes, draft.header, draft._bases = _NO_CHANGES, UNCHANGED, _NO_BASES
    draft._saved = draft._in_place = ()
    draft._loaded = draft.dismissed = None
    return draft


def _at(key: str, error: UnsupportedValue) -> UnsupportedValue:
    """*error* of the value under *key*."""
    return UnsupportedValue(key + error.path, error.reason)
