"""Django's own tests, and those of packages for it, with our middleware in the place of Django's.

No test and no setting of a suite is changed but the two lines about sessions. A test that passes
with Django's sessions passes with ours, but for those that have a reason here; and these do fail.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.upstream.apps.environment import environment_with
from tests.upstream.django.suites import run_by_django, run_by_pytest
from tests.upstream.sources import unpack_source

HERE = Path(__file__).parent

SESSIONS = ("sessions_tests", "messages_tests", "csrf_tests", "test_client", "test_client_regress")
"""What has to do with sessions, and takes seconds."""

ALL = (
    *(*SESSIONS, "auth_tests", "admin_views", "admin_changelist", "admin_custom_urls"),
    *("admin_default_site", "admin_docs", "admin_filters", "admin_inlines", "admin_widgets"),
    *("asgi", "async", "cache", "check_framework", "context_processors", "deprecation"),
    *("flatpages_tests", "generic_inline_admin", "generic_views", "handlers", "httpwrappers"),
    *("i18n", "middleware", "middleware_exceptions", "redirects_tests", "requests_tests"),
    *("servers", "signed_cookies_tests", "sites_tests", "view_tests", "wsgi"),
)

NO_COOKIE = "it sends the session_key as the cookie, which ours never accepts"
FLAGS = "it expects a cookie to be expired without HttpOnly; ours has the flags it was set with"
QUERIES = "it counts the database's queries, of which our sessions make none"

MIDDLEWARE_TESTS = "sessions_tests.tests.SessionMiddlewareTests"
SAVE_EVERY = "test_save_every_request_with_non_empty_session_renews_session_cookie"
ENGINE_TESTS = "engine_tests.tests.OurEngineTests"
CHANGE_LIST = "test_changelist_view_list_editable_changed_objects_uses_filter"

CANNOT_APPLY = {
    f"{MIDDLEWARE_TESTS}.test_empty_session_saved": "it expects the session_key in the cookie",
    f"{MIDDLEWARE_TESTS}.{SAVE_EVERY}": NO_COOKIE,
    f"{MIDDLEWARE_TESTS}.test_session_delete_on_end": FLAGS,
    f"{MIDDLEWARE_TESTS}.test_session_delete_on_end_with_custom_domain_and_path": FLAGS,
    f"{ENGINE_TESTS}.test_session_key_valid_string_saved": "it makes up a session_key",
    "auth_tests.test_middleware.TestLoginRequiredMiddleware"
    ".test_protected_view_logged_in_performance": QUERIES,
    "admin_views.tests.AdminCustomQuerysetTest.test_changelist_view_count_queries": QUERIES,
    "admin_views.tests.AdminSearchTest.test_no_total_count": QUERIES,
    "admin_views.tests.AdminSearchTest.test_reset_link": QUERIES,
    "admin_views.tests.GroupAdminTest.test_group_permission_performance": QUERIES,
    "admin_views.tests.UserAdminTest.test_user_permission_performance": QUERIES,
    f"admin_changelist.tests.ChangeListTests.{CHANGE_LIST}": QUERIES,
    "view_tests.tests.test_debug.ExceptionReporterFilterTests.test_sensitive_settings": (
        "it sets SECRET_KEY_FALLBACKS to a text, which is no list of keys"
    ),
}
"""Of Django's tests: those that pass with Django's sessions and not with ours, and why."""

LIBRARY = ("werkzeug>=3.0", "itsdangerous>=2.1", "markupsafe>=2.1")
TOOLS = ("jinja2", "docutils", "tblib")

RELEASES = {"4.2": ("3.11", "3.12"), "5.2": ("3.11", "3.12", "3.13"), "6.1": ("3.12", "3.13")}
"""With the Pythons that it runs on."""


def check_django(python: str, release: str, directories: tuple[str, ...], tests: Path) -> None:
    """Run the tests in *directories* with Django's sessions and with ours, and those that Django
    has for every engine with ours."""
    command = ("runtests.py", "--parallel=1", *directories)
    own = run_by_django(python, tests, *command, sessions="own", settings="test_sqlite")
    engine_tests = tests / "engine_tests"
    engine_tests.mkdir()
    (engine_tests / "__init__.py").touch()
    shutil.copy(HERE / "plugged" / "engine_tests.py", engine_tests / "tests.py")
    command = (*command, "engine_tests")
    ours = run_by_django(python, tests, *command, sessions="ours", settings="test_sqlite")
    assert own.keys() <= ours.keys()
    assert len(ours) > 1000
    assert broken(own, ours) == CANNOT_APPLY.keys() & ours.keys() - expected_to_pass(release)


def expected_to_pass(release: str) -> set[str]:
    """Where an older Django does not test what the reason is about."""
    return {f"{MIDDLEWARE_TESTS}.{SAVE_EVERY}"} if release == "4.2" else set()


def broken(own: dict[str, bool], ours: dict[str, bool]) -> set[str]:
    return {name for name, passed in ours.items() if not passed and own.get(name, True)}


def test_the_installed_django_passes_its_tests_about_sessions(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    release = version("django")
    source = unpack_source("Django", release, tmp_path, pytestconfig)

    check_django(sys.executable, release, SESSIONS, source / "tests")


def installed(python: str, package: str) -> str:
    """The version of *package* in the environment of *python*."""
    program = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.check_output([python, "-c", program], text=True).strip()


@pytest.mark.full
@pytest.mark.parametrize("release", RELEASES)
def test_django_passes_its_tests(release: str, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """And the admin's, and whatever else has a session somewhere."""
    name = f"django-{release}"
    requirements = (f"Django=={release}.*", *LIBRARY, *TOOLS)
    python = str(environment_with(name, requirements, RELEASES[release]))
    source = unpack_source("Django", installed(python, "Django"), tmp_path, pytestconfig, python)

    check_django(python, release, ALL, source / "tests")


# -- packages for Django

FORMTOOLS = ("django-formtools==2.7", "Django==5.2.*", *LIBRARY)
ALLAUTH = (
    *("django-allauth[headless,socialaccount,mfa,idp-oidc,openid,steam,saml]==65.22.1",),
    *("Django==5.2.*", "pytest>=8.2", "pytest-asyncio==1.3.0", "pytest-django>=4.5.2", *LIBRARY),
    *("Pillow>=9", "djangorestframework<4", "django-ninja<2", "pyyaml<7", "psycopg[binary]>=3"),
)

BY_QUERIES = {
    "tests.apps.headless.tokens.test_jwttokenstrategy": "test_access_token_query_counts[",
    "tests.apps.headless.usersessions.test_activity": "test_authentication_query_counts[",
}
"""Tests of allauth that count queries."""

ALLAUTH_CANNOT_APPLY = {
    "tests.apps.headless.internal.test_authkit.test_purge_request_user_cache": (
        "it logs in by a request whose response is out, which needs a cookie"
    ),
}


@pytest.mark.full
def test_formtools_passes_its_tests(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    python = str(environment_with("formtools", FORMTOOLS))
    version = installed(python, "django-formtools")
    source = unpack_source("django-formtools", version, tmp_path, pytestconfig, python)
    command = ("-m", "django", "test", "tests")

    own = run_by_django(python, source, *command, sessions="own", settings="tests.settings")
    ours = run_by_django(python, source, *command, sessions="ours", settings="tests.settings")

    assert len(ours) > 50
    assert (own.keys(), broken(own, ours)) == (ours.keys(), set())


@pytest.mark.full
@pytest.mark.parametrize("project", ["regular", "headless_only"])
def test_allauth_passes_its_tests(
    project: str, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """Headless tokens, the state of a social login and the list of a user's sessions keep session
    keys and open sessions by them."""
    python = str(environment_with("allauth", ALLAUTH))
    version = installed(python, "django-allauth")
    source = unpack_source("django-allauth", version, tmp_path, pytestconfig, python)
    options = (f"--ds=tests.projects.{project}.settings", "-p", "no:warnings", "tests")

    own = run_by_pytest(python, source, *options, sessions="own")
    ours = run_by_pytest(python, source, *options, sessions="ours")

    counting = {
        name
        for name in broken(own, ours)
        if any(name.startswith(f"{module}.{test}") for module, test in BY_QUERIES.items())
    }
    assert len(ours) > 100
    assert own.keys() == ours.keys()
    assert broken(own, ours) - counting == ALLAUTH_CANNOT_APPLY.keys() & ours.keys()
    assert counting or project != "regular"
