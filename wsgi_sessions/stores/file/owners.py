"""The list of an owner: which keys were listed under it, in that order, and until when."""

from __future__ import annotations

import hashlib

__all__ = ["Listing", "ending", "listing_of", "name_of_owner", "packed"]

DAY = 86_400.0

Listing = dict[str, float]
"""The end of each entry by its key, the first that was listed first."""


def name_of_owner(owner: str) -> str:
    """A digest: an owner is any text, and nobody's business who can read the directory."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()


def ending(expires_at: float, now: float) -> float:
    """When the entry of a record ends: until the next renewal an ordinary save may move the
    record's end by the time that has passed, a tenth of what is left or a day; and a minute."""
    return expires_at + min(max(expires_at - now, 0.0) / 10, DAY) + 60.0


def packed(listing: Listing) -> bytes:
    return "".join(f"{key} {end!r}\n" for key, end in listing.items()).encode()


def listing_of(content: bytes) -> Listing:
    """What :func:`packed` wrote. Other lines are passed over."""
    found: Listing = {}
    for line in content.decode("ascii", "replace").splitlines():
        key, _, end = line.partition(" ")
        try:
            found[key] = float(end)
        except ValueError:
            continue
    return found
