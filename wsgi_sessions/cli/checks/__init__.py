"""Problems in a deployment, and their remedies."""

from __future__ import annotations

from wsgi_sessions.cli.checks.checks import (
    Checkable,
    Finding,
    Level,
    probe,
    reach_by_load,
)

__all__ = [
    "Checkable",
    "Finding",
    "Level",
    "probe",
    "reach_by_load",
]
