"""What a process does around ``os.fork``, where there is such a thing."""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["around_fork"]


def around_fork(
    *,
    before: Callable[[], object],
    after_in_parent: Callable[[], object],
    after_in_child: Callable[[], object],
) -> None:
    """Call these at each fork that Python makes. Windows has no fork, and so no hook for it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=before, after_in_parent=after_in_parent, after_in_child=after_in_child
        )
