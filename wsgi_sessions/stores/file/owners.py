"""The lists of owners: which keys were listed under whom, in that order, and until when.

How this works. The list of an owner is a file, ``<directory>/owners-<shard>/<digest>``, which
expires with its last entry. Its shard is locked before that of a record, never after, and stays
locked until the record is written: so what has no record while it is locked was left by a process
that was killed, or the record is gone.

A line is a key and when its entry ends; a later one of the same key moves that, and ``!`` and the
key takes it off. So a login adds lines and reads none, however many there are; it writes the file
as a whole, like a record. The first line says at which size the file is cleaned of what has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.file.directory import Directory, shard_of
from wsgi_sessions.stores.listing import entry_end

__all__ = ["OwnerLists"]

_SHARD = "owners-"
_CLEANED_AT = 4096
"""Bytes of a short list: about 60 logins."""

_Listing = dict[str, float]
"""The end of each entry by its key, the first that was listed first."""


class OwnerLists:
    """Those in *directory*."""

    def __init__(self, directory: Directory, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock

    def save(
        self,
        owner: str,
        key: str,
        expires_at: float,
        save: Callable[[], Hashable | None],
        *,
        keeps_place: bool,
    ) -> Hashable | None:
        """List *key* and *save* its record, whose version that returns. If it is refused or fails,
        the list is as it was."""
        name = _name_of(owner)
        change = (name, key, expires_at, save, keeps_place)
        return self._directory.within(_shard_of(name), self._list, *change, make=True, lock=True)

    def _list(
        self,
        shard: Any,
        name: str,
        key: str,
        expires_at: float,
        save: Callable[[], Hashable | None],
        keeps_place: bool,
    ) -> Hashable | None:
        now, version = self._clock(), None
        before, end = self._read(shard, name)
        ends_at = entry_end(expires_at, now)
        line = f"{key} {ends_at!r}\n" if keeps_place else f"!{key}\n{key} {ends_at!r}\n"
        after = _cleaned(before, now) + line.encode()
        self._write(shard, name, after, max(end, ends_at))
        try:
            version = save()
        finally:
            if version is None:
                self._write(shard, name, before, end)
        return version

    def take_off(self, owner: str, key: str) -> None:
        """That it failed is no error: the entry goes when the list is read, or ends."""
        with contextlib.suppress(StoreUnavailable):
            self._edit(owner, lambda listing: listing.pop(key, None))

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records, in order. Takes off the list what has none."""
        name = _name_of(owner)
        found = self._directory.within(_shard_of(name), self._read, name)
        listing = _listing_of(found[0]) if found else {}
        live = [key for key in listing if self._is_live(key)]
        if len(live) < len(listing):
            with contextlib.suppress(StoreUnavailable):  # the answer is right as it is
                self._take_off_dead(owner, listing.keys() - set(live))
        return live

    def purge(self, number: str, limit: int) -> None:
        """Remove up to *limit* lists of the shard *number* all of whose entries have ended."""
        self._directory.purge(_SHARD + number, limit)

    def _take_off_dead(self, owner: str, keys: Iterable[str]) -> None:
        """Those of *keys* that still have no record, now that no writer is at work."""

        def take_off(listing: _Listing) -> None:
            for key in keys:
                if not self._is_live(key):
                    listing.pop(key, None)

        self._edit(owner, take_off)

    def _edit(self, owner: str, edit: Callable[[_Listing], object]) -> None:
        """Let *edit* change the list while it is locked, and write it."""
        name = _name_of(owner)
        self._directory.within(_shard_of(name), self._edit_in, name, edit, lock=True)

    def _edit_in(self, shard: Any, name: str, edit: Callable[[_Listing], object]) -> None:
        listing = _listing_of(self._read(shard, name)[0])
        edit(listing)
        self._write(shard, name, _packed(listing), max(listing.values(), default=0.0))

    def _read(self, shard: Any, name: str) -> tuple[bytes, float]:
        """The file and when it expires; nothing, if there is none."""
        record = self._directory.record(shard, name)
        return (b"", 0.0) if record is None else (record.data, record.expires_at)

    def _write(self, shard: Any, name: str, content: bytes, expires_at: float) -> None:
        """Whole, in one step; without entries it is removed."""
        if content:
            self._directory.write(shard, name, content, expires_at)
        else:
            self._directory.remove(shard, name)

    def _is_live(self, key: str) -> bool:
        record = self._directory.record
        found = self._directory.within(shard_of(key), lambda at: record(at, key, whole=False))
        return found is not None


def _name_of(owner: str) -> str:
    """A digest: an owner is any text, and nobody's business who can read the directory."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()


def _shard_of(name: str) -> str:
    return _SHARD + shard_of(name)


def _cleaned(content: bytes, now: float) -> bytes:
    """*content* without what has ended, if it has grown to the size that its first line names."""
    limit = content[1 : content.find(b"\n")]
    if content[:1] == b"#" and limit.isdigit() and len(content) < int(limit):
        return content
    alive = {key: end for key, end in _listing_of(content).items() if end > now}
    return _packed(alive) or b"#%d\n" % _CLEANED_AT


def _packed(listing: _Listing) -> bytes:
    """Nothing, if the list is empty."""
    lines = "".join(f"{key} {end!r}\n" for key, end in listing.items())
    return f"#{max(2 * len(lines), _CLEANED_AT)}\n{lines}".encode() if lines else b""


def _listing_of(content: bytes) -> _Listing:
    """What is in a file. Lines that are no entries are passed over."""
    found: _Listing = {}
    for line in content.decode("ascii", "replace").splitlines():
        key, _, end = line.partition(" ")
        if key.startswith("!"):
            found.pop(key[1:], None)
        with contextlib.suppress(ValueError):
            found[key] = float(end)
    return found
