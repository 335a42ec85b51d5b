"""Problems in a deployment, and their remedies."""

from __future__ import annotations

from wsgi_sessions.cli.checks.dispatch import check_store
from wsgi_sessions.cli.checks.finding import EVICTION, Finding, Level

__all__ = ["EVICTION", "Finding", "Level", "check_store"]
