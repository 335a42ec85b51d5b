"""What docs/devices.md shows works, in each framework."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TEXT = (DOCS / "devices.md").read_text()
BLOCKS = re.findall(r"```python[^\n]*\n(.*?)```", TEXT, re.DOTALL)
PLAIN, FLASK, DJANGO, PYRAMID, *OTHERS = BLOCKS
PATH = "/account/devices"

DJANGO_SITE = """
import sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def login(request):
    request.META["wsgi.session"].login("ann")
    return HttpResponse("You are ann.")

def index(request):
    return HttpResponse(f"You are {request.META['wsgi.session'].owner or 'nobody'}.")

urlpatterns = [path("login", login), path("", index)]
settings.configure(ROOT_URLCONF="__main__", SECRET_KEY="of the site", ALLOWED_HOSTS=["*"])
"""
VISIT = "\nfrom tests.test_devices_docs import check_page\ncheck_page(application)\n"


def check_page(application: Any, **headers: str) -> None:
    """Two browsers: each sees both, and one ends the other."""
    ann, other = (TestApp(application, extra_environ=headers) for _ in range(2))
    ann.get(PATH, status=403)
    for browser in (ann, other):
        browser.get("/login")
        assert browser.get("/").text == "You are ann."

    page = ann.get(PATH)
    assert [len(re.findall("<h2>", one.text)) for one in (page, other.get(PATH))] == [2, 2]
    form = page.form
    after = form.submit("end", index=0).follow()

    assert "The device is logged out." in after.text
    assert [one.get("/").text for one in (ann, other)] == ["You are ann.", "You are nobody."]


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    return {"__name__": "__main__"}  # Pyramid looks for the module


@pytest.mark.parametrize("block", [PLAIN, PYRAMID], ids=["wsgi", "pyramid"])
def test_a_mounted_page_logs_out_the_other_device(block: str, namespace: dict[str, Any]) -> None:
    exec(block, namespace)

    check_page(namespace["application"])


def test_a_flask_blueprint_logs_out_the_other_device(namespace: dict[str, Any]) -> None:
    exec(FLASK, namespace)

    check_page(namespace["app"])


def test_beside_django_it_logs_out_the_other_device(tmp_path: Path) -> None:
    """In a process of its own, since Django is configured once in each."""
    program = tmp_path / "wsgi.py"
    program.write_text(f"{DJANGO_SITE}\n{DJANGO}\n{VISIT}")

    result = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert (result.returncode, result.stderr) == (0, "")


def test_the_other_blocks_give_pages_that_work(
    namespace: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounted where the plain page is, each one shows both devices."""
    (tmp_path / "shop.py").write_text(PLAIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    exec("from shop import application", namespace)
    application = namespace["application"]
    ann, other = TestApp(application), TestApp(application)
    for browser in (ann, other):
        browser.get("/login")
    pages = []
    for block in OTHERS:
        exec(block, namespace)
        application.app.mounts[PATH] = namespace["devices"]
        pages.append(ann.get(PATH, headers={"Accept-Language": "de-CH"}, status="*"))

    refused, german, template, own = pages
    assert (refused.status_int, "You are not allowed" in refused.text) == (403, True)
    assert "<h1>Deine Geräte</h1>" in german.text
    assert "Zuletzt gerade eben" in german.text
    assert template.text.startswith('<!doctype html><html lang="en"><title>Your devices</title>')
    assert own.text.count("<button") == 2
    assert own.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'self'"


@pytest.mark.parametrize("target", re.findall(r"\[.*?\]\((?!http)(.*?)(?:#.*?)?\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    assert (DOCS / target).exists()
