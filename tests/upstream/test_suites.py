"""The tests of Flask, its extensions and Pyramid, from their source distributions, with our
sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests.support.dependencies import undeclared
from tests.upstream.sources import unpack_source

ROOT = Path(__file__).parents[2]


class Suite(NamedTuple):
    """What a source distribution brings."""

    at_least: int
    """Tests that there are, so that none gets lost unnoticed."""
    cannot_apply: dict[str, str]
    """Those that pass with Flask's sessions and not with ours, and why."""
    options: tuple[str, ...] = ()
    plugin: str = "tests.upstream.plugin"
    tests: tuple[str, ...] = ("tests",)


IN_THE_COOKIE = "it puts values into the cookie itself; ours are in the store"
OF_THE_CLASS = "it looks at private names of Pyramid's class"

SUITES = {
    "flask": Suite(
        400,
        {
            "test_basic.test_missing_session": "sessions work without SECRET_KEY",
            "test_testing.test_session_transactions_no_null_sessions": (
                "sessions work without SECRET_KEY"
            ),
            "test_basic.test_session_accessed": (
                "it asks `modified` after the response, when all is saved"
            ),
            "test_basic.test_session_using_samesite_attribute": (
                "it expects a new cookie when a value is replaced by the same value; attributes in "
                "it are tested in tests/flask/test_config.py"
            ),
            "test_basic.test_session_cookie_setting": (
                "it expects SESSION_REFRESH_EACH_REQUEST to send the cookie with every response; "
                "ours is renewed once per tenth of the lifetime"
            ),
            "test_basic.test_session_refresh_vary": (
                "it expects `Vary` where the session was not touched, because the cookie is "
                "refreshed"
            ),
            "test_basic.test_app_freed_on_zero_refcount": (
                "a wrapped `app.wsgi_app` refers to the application, so that the garbage collector "
                "frees it"
            ),
        },
    ),
    "flask-login": Suite(100, {}, ("-p", "no:warnings")),
    "flask-wtf": Suite(40, {}),
    "flask-dance": Suite(150, {}, ("-p", "no:warnings")),
    "pyramid": Suite(
        200,
        {
            f"test_session.TestBaseCookieSession.{name}": reason
            for name, reason in {
                "test_ctor_with_cookie_still_valid": IN_THE_COOKIE,
                "test_timeout_never": IN_THE_COOKIE,
                "test_reissue_never": IN_THE_COOKIE,
                "test_reissue_not_triggered": IN_THE_COOKIE,
                "test_reissue_str_triggered": IN_THE_COOKIE,
                "test_reissue_triggered": IN_THE_COOKIE,
                "test_changed": OF_THE_CLASS,
                "test__set_cookie_cookieval_too_long": OF_THE_CLASS,
                "test__set_cookie_on_exception": OF_THE_CLASS,
                "test__set_cookie_on_exception_no_request_exception": OF_THE_CLASS,
                "test__set_cookie_options": OF_THE_CLASS,
                "test__set_cookie_real_webob_response": OF_THE_CLASS,
                "test_reissue_invalid": (
                    "there is no reissue_time: a session is renewed once per tenth of its lifetime"
                ),
                "test_cookie_max_age_invalid": (
                    "there is no max_age: the cookie of a permanent session lives as long as it"
                ),
                "test_no_set_cookie_with_exception": (
                    "there is no set_on_exception: what an exception view answers is a response"
                ),
            }.items()
        },
        plugin="pyramid_plugin",
        tests=(
            "tests/test_session.py::TestBaseCookieSession",
            "tests/test_csrf.py",
            "tests/test_authentication.py",
        ),
    ),
}


@pytest.fixture
def unpacked(request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """The unpacked source distribution of the version that is installed."""
    package = request.param
    return unpack_source(package, version(package), tmp_path, pytestconfig)


def had_by_chance(directory: Path) -> dict[str, set[str]]:
    """What its tests import that is installed, though nothing says that it should be."""
    own = {path.stem for path in directory.rglob("*")}
    found = undeclared((directory / "tests").rglob("*.py"), "test")
    return {name: found[name] for name in found.keys() - own if find_spec(name)}


def outcomes(directory: Path, suite: Suite, *options: str) -> dict[str, bool]:
    """For each test whether it did not fail."""
    report = directory / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", suite.plugin, *suite.options, *options, f"--junit-xml={report}"]
    # Pyramid's tests are a package of the same name as ours, so its plugin is no part of that.
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}
    command += suite.tests
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


@pytest.mark.parametrize(
    ("unpacked", "suite"),
    [(package, SUITES[package]) for package in SUITES],
    indirect=["unpacked"],
    ids=list(SUITES),
)
def test_a_package_passes_its_own_tests_with_our_sessions(unpacked: Path, suite: Suite) -> None:
    """All that pass with Flask's sessions, but for those listed above; and these do fail."""
    assert had_by_chance(unpacked) == {}
    own = outcomes(unpacked, suite)
    ours = outcomes(unpacked, suite, "--our-sessions")
    assert len(ours) > suite.at_least
    assert own.keys() == ours.keys()
    broken = {name for name, passed in ours.items() if own[name] and not passed}
    assert broken == suite.cannot_apply.keys() & own.keys()
