"""Whether the server has closed a connection that lay idle, without asking it."""

from __future__ import annotations

import select
from typing import Any

__all__ = ["has_unread"]


def has_unread(driver: Any) -> bool:
    """Whether something came in over *driver*, a connection, since the last reply: as a rule its
    end. One system call; ``False`` for a driver that does not show its socket."""
    shown = getattr(driver, "_sock", driver)  # PyMySQL's
    if not hasattr(shown, "fileno"):
        return False
    try:
        number = shown.fileno()
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([number], [], [], 0)[0])
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    except Exception:  # noqa: BLE001 - whatever the driver says of one that is closed already
        return True
