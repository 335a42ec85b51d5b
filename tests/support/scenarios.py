"""What a request does with its session, and the sessions it does it with."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from itertools import count
from typing import Any, NamedTuple

Session = MutableMapping[str, Any]
Use = Callable[[Session], object]

SMALL: dict[str, Any] = {
    "_user_id": "48213",
    "_fresh": True,
    "csrf_token": "1f0c8a52d7be4e0b9d3c6a7e5f9012b4c8d6e7f0",
    "locale": "de-CH",
    "last_seen": 1_760_000_000.25,
    "cart": [
        {"sku": "B-1042", "title": "The Art of Doing Less", "quantity": 1, "cents": 2495},
        {"sku": "K-0007", "title": "Kettle, 1.2 l, brushed steel", "quantity": 2, "cents": 3990},
        {"sku": "P-3310", "title": "Pencils, dozen, HB", "quantity": 3, "cents": 640},
    ],
    "recent": [1042, 7, 3310, 2048, 911, 17, 4096, 33, 1871, 512],
    "preferences": {"theme": "dark", "currency": "CHF", "newsletter": False, "per_page": 50},
}
"""Eight keys, about 590 bytes of JSON: a small shop's."""

LARGE: dict[str, Any] = SMALL | {
    f"result{number:02}": [
        {"id": 1000 * number + item, "title": f"Result {item} of search {number}", "score": 0.5}
        for item in range(16)
    ]
    for number in range(48)
}
"""56 keys, about 50 KB."""

_ticks = count()


def read(session: Session) -> object:
    return session["locale"]


def read_list(session: Session) -> object:
    return session["cart"]


def write(session: Session) -> None:
    session["last_seen"] = next(_ticks)  # never the value that is there


def begin(session: Session) -> None:
    session["_user_id"] = "48213"


def look(session: Session) -> object:
    return session.get("_user_id")


def fill_small(session: Session) -> None:
    session.update(SMALL)


class Scenario(NamedTuple):
    """One kind of request."""

    use: Use | None
    """What the application does; ``None``: it does not look at its session."""
    data: dict[str, Any] | None
    """The session that the visitor has; ``None``: no cookie at all."""
    forged: bool = False
    """Whether the cookie was tampered with."""
    changes: bool = False
    """Whether *use* leaves something to save."""

    @property
    def is_large(self) -> bool:
        return self.data is LARGE


SCENARIOS = {
    "untouched": Scenario(None, SMALL),
    "anonymous": Scenario(look, None),
    "forged": Scenario(look, SMALL, forged=True),
    "read": Scenario(read, SMALL),
    "list": Scenario(read_list, SMALL),
    "write": Scenario(write, SMALL, changes=True),
    "new": Scenario(begin, None, changes=True),
    "new-8": Scenario(fill_small, None, changes=True),
    "large-read": Scenario(read, LARGE),
    "large-write": Scenario(write, LARGE, changes=True),
}


def hit(session: Session) -> None:
    if hasattr(session, "increment"):
        session.increment("hits")
    else:
        session["hits"] = session.get("hits", 0) + 1


SIZES = (1, 4, 16, 64, 256, 1000)
"""Kilobytes."""


def filler(kilobytes: int) -> Use:
    """Values of half a kilobyte each, beside the small shop's."""
    values = {f"item{number:04}": f"{number:04}" * 122 for number in range(2 * kilobytes)}
    return lambda session: session.update(SMALL | values)


def fill_payload(session: Session) -> None:
    """Eight keys that take 512 bytes as one MessagePack map."""
    session.update({f"value{n}": "x" * (55 if n else 54) for n in range(8)})


def fill_large(session: Session) -> None:
    session.update(LARGE)


PATHS: dict[str, Scenario] = {
    **{f"/{name}": scenario for name, scenario in SCENARIOS.items()},
    "/fill/small": Scenario(fill_small, None, changes=True),
    "/fill/large": Scenario(fill_large, None, changes=True),
    **{f"/fill/{size}": Scenario(filler(size), None, changes=True) for size in SIZES},
    "/fill/payload": Scenario(fill_payload, None, changes=True),
    "/hit": Scenario(hit, SMALL, changes=True),
}
"""What the applications answer."""
