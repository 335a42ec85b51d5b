"""Flask's own tests, from its source distribution, with our session interface installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.servers.process import unavailable

ROOT = Path(__file__).parents[2]
CANNOT_APPLY = {
    "test_basic.test_missing_session": "sessions work without SECRET_KEY",
    "test_testing.test_session_transactions_no_null_sessions": "sessions work without SECRET_KEY",
    "test_basic.test_session_accessed": "it asks `modified` after the response, when all is saved",
    "test_basic.test_session_using_samesite_attribute": (
        "it expects a new cookie when a value is replaced by the same value; attributes in it are "
        "tested in test_flask_config.py"
    ),
    "test_basic.test_session_cookie_setting": (
        "it expects SESSION_REFRESH_EACH_REQUEST to send the cookie with every response; ours is "
        "renewed once per tenth of the lifetime"
    ),
    "test_basic.test_session_refresh_vary": (
        "it expects `Vary` where the session was not touched, because the cookie is refreshed"
    ),
    "test_basic.test_app_freed_on_zero_refcount": (
        "a wrapped `app.wsgi_app` refers to the application, so that the garbage collector frees it"
    ),
}
"""Those that pass with Flask's sessions and not with ours, and why."""


@pytest.fixture(scope="module")
def flask_tests(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution of the Flask that is installed."""
    directory = pytestconfig.cache.mkdir("flask-source")
    name = f"flask-{version('flask')}"
    archive = directory / f"{name}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--retries=5", "--no-deps"]
        command += ["--no-binary", "flask", "--dest", str(directory), name.replace("-", "==")]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0 or not archive.exists():
            unavailable(f"the source of Flask cannot be downloaded: {result.stderr[-500:]}")
    unpacked = tmp_path_factory.mktemp("flask")
    with tarfile.open(archive) as source:
        source.extractall(unpacked, filter="data")
    return unpacked / name


def outcomes(directory: Path, *options: str) -> dict[str, bool]:
    """For each test whether it did not fail."""
    report = directory / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "tests.support.flask_plugin", *options, f"--junit-xml={report}", "tests"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return {
        f"{case.attrib['classname'].removeprefix('tests.')}.{case.attrib['name']}": (
            case.find("failure") is None and case.find("error") is None
        )
        for case in ElementTree.parse(report).iter("testcase")
    }


def test_flask_passes_its_own_tests_with_our_sessions(flask_tests: Path) -> None:
    """All that pass with its own sessions, but for those listed above; and these do fail."""
    own = outcomes(flask_tests)
    ours = outcomes(flask_tests, "--our-sessions")
    assert len(ours) > 400
    assert own.keys() == ours.keys()
    broken = {name for name, passed in ours.items() if own[name] and not passed}
    assert broken == CANNOT_APPLY.keys() & own.keys()
