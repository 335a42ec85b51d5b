"""For tests: of applications, by :func:`logged_in`, :func:`session_of`, :class:`FailingStore` and
:class:`ManualClock`, with whatever runs them; of stores, by :class:`StoreContract`, with pytest.

``wsgi_sessions.testing.plugin`` has the fixtures. :class:`StoreContract` is imported when it is
named, since it needs pytest (``pip install "wsgi-sessions[testing]"``).
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wsgi_sessions.testing.clock import ManualClock, RealClock
from wsgi_sessions.testing.cookies import logged_in, manager_of, session_of
from wsgi_sessions.testing.failing_store import FailingStore

if TYPE_CHECKING:
    from wsgi_sessions.testing.contract import StoreContract

__all__ = [
    "FailingStore",
    "ManualClock",
    "RealClock",
    "StoreContract",
    "logged_in",
    "manager_of",
    "session_of",
]


def __getattr__(name: str) -> Any:
    """A failure in the suite shows the values that were compared, as in a test of one's own."""
    if name != "StoreContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        pytest = import_module("pytest")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'StoreContract needs pytest: pip install "wsgi-sessions[testing]"', name="pytest"
        ) from None
    contract = f"{__name__}.contract"
    if contract not in sys.modules:  # otherwise pytest warns that it is too late
        siblings = (f"{__name__}.{name}_contract" for name in ("owner", "fault"))
        pytest.register_assert_rewrite(contract, *siblings)
    return import_module(contract).StoreContract
