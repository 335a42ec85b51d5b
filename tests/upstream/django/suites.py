"""How a suite of Django's, or of a package for Django, is run, and what became of its tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from tests.support.serving import ROOT

__all__ = ["run_by_django", "run_by_pytest"]

PLUGGED = Path(__file__).parent / "plugged"

Outcomes = dict[str, bool]
"""For each test whether it did not fail."""


def run_by_django(
    python: str, directory: Path, *command: str, sessions: str, settings: str
) -> Outcomes:
    """The outcomes of *command*, which starts Django's test runner, with *sessions*: ``own`` or
    ``ours``."""
    report = directory / f"outcomes-{sessions}.json"
    environment = _environment(directory) | {
        "SUITE_SETTINGS": settings,
        "SUITE_SESSIONS": sessions,
        "SUITE_OUTCOMES": str(report),
    }
    _run([python, *command, "--settings=wsgi_sessions_settings"], directory, environment)
    outcomes: Outcomes = json.loads(report.read_text())
    return outcomes


def run_by_pytest(python: str, directory: Path, *options: str, sessions: str) -> Outcomes:
    """The same, of pytest with pytest-django."""
    report = directory / f"report-{sessions}.xml"
    plugin = ("-p", "wsgi_sessions_plugin") if sessions == "ours" else ()
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options]
    _run([*command, f"--junit-xml={report}"], directory, _environment(directory))
    return {
        f"{case.attrib['classname']}.{case.attrib['name']}": (
            case.find("failure") is None and case.find("error") is None
        )
        for case in ElementTree.parse(report).iter("testcase")
    }


def _environment(directory: Path) -> dict[str, str]:
    """In which the library is found, and no ``tests`` but those of the suite."""
    library = directory / "library-with-our-sessions"
    library.mkdir(exist_ok=True)
    link = library / "wsgi_sessions"
    if not link.exists():
        link.symlink_to(ROOT / "wsgi_sessions")
    paths = [str(directory), str(library), str(PLUGGED)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=3600
    )
    assert result.returncode in (0, 1), (result.stdout + result.stderr)[-4000:]
