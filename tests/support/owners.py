"""Records of owners, past the library."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any


def listed(
    store: Any,
    key: str,
    owner: str | None = "ann",
    *,
    replacing: Hashable | None = None,
    was: str | None = None,
    left: float = 600.0,
    data: bytes = b"data",
) -> Hashable | None:
    """Save *key* under *owner*, to expire *left* seconds from now."""
    version: Hashable | None = store.save_owned(
        key, data, expires_at=time.time() + left, replacing=replacing, owner=owner, was=was
    )
    return version
