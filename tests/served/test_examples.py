"""Every example, started as it says itself: a login, two requests that overlap, a logout."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.process import free_port
from tests.support.patience import patient_url
from tests.support.serving import Browser, running

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*_app.py"))
EXAMPLES = [name for name in EXAMPLES if name != "django_app"]  # its forms carry tokens

TOGETHER = '''
"""Loaded by each worker: two requests that put the first item of each into the cart are committed
together, neither before the other has put its own."""
from threading import Barrier

from wsgi_sessions.manager import SessionManager

finish, both = SessionManager.finish, Barrier(2)


def finish_together(self, session, *arguments, **options):
    puts = session.modified and "cart" in session._state.draft.changes
    items = session.get("cart", {}) if puts else {}
    if sum(item.startswith("together") for item in items) == 1:
        both.wait(30)
    return finish(self, session, *arguments, **options)


SessionManager.finish = finish_together
'''


def documented_command(example: str) -> list[str]:
    """The one that starts the example, out of its docstring."""
    text = (ROOT / "examples" / f"{example}.py").read_text()
    [line] = re.findall(rf"^    ((?:gunicorn|uvicorn) .*{example}:app)$", text, re.MULTILINE)
    return str(line).split()


@contextmanager
def served(example: str, directory: Path) -> Iterator[str]:
    """The URL of the example, by its own command, but with one worker, where two requests meet."""
    program, *arguments = documented_command(example)
    port = free_port()
    (directory / "together.py").write_text(TOGETHER)
    start = f"import together, runpy; runpy.run_module({program!r}, run_name='__main__')"
    command = [sys.executable, "-c", start, *arguments]
    if program == "gunicorn":
        command[3:] = [*arguments, "--bind", f"127.0.0.1:{port}", "-w", "1", "--no-control-socket"]
    else:
        command += ["--port", str(port)]
    command = [
        str(ROOT / one) if one == "examples" else one  # it runs in another directory
        for one in command
    ]
    environment = {
        "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
        "WSGI_SESSIONS_STORE": patient_url(f"sqlite:///{directory}/sessions.db"),
    }
    with running(command, port, directory, **environment) as url:
        yield url


def cart_on(page: str) -> dict[str, int]:
    return {
        item: int(count) for count, item in re.findall(r"<li>(\d+) (?:&times;|×) (\S+)</li>", page)
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_logs_in_loses_nothing_and_logs_out(example: str, tmp_path: Path) -> None:
    """After which the cookie from before opens nothing, whoever has kept it."""
    with served(example, tmp_path) as url:
        browser = Browser(url)
        assert "<b>ann</b>" not in browser.get("/")
        assert not list(browser.jar)
        assert cart_on(browser.post("/add", item="pen")) == {"pen": 1}
        before = browser.twin()
        assert "Hello, <b>ann</b>" in browser.post("/login", user="ann")
        assert "<b>ann</b>" not in before.get("/")
        twins = [browser.twin(), browser.twin()]
        with ThreadPoolExecutor(2) as threads:
            items = ["together-1", "together-2"]
            list(threads.map(lambda twin, item: twin.post("/add", item=item), twins, items))
        assert cart_on(browser.get("/")) == {"pen": 1, "together-1": 1, "together-2": 1}
        stolen = browser.twin()
        page = browser.post("/logout")
        assert "<b>ann</b>" not in page
        assert cart_on(page) == {}
        assert "<b>ann</b>" not in stolen.get("/")
        assert cart_on(stolen.get("/")) == {}


def test_each_framework_has_an_example() -> None:
    frameworks = "bottle cherrypy falcon fastapi flask pyramid werkzeug wsgi"
    assert {f"{name}_app" for name in frameworks.split()} <= set(EXAMPLES)


def test_the_example_of_asgi_is_short_and_says_why_by_threads() -> None:
    text = (ROOT / "examples" / "fastapi_app.py").read_text()
    assert len(text.splitlines()) <= 120
    assert "the event loop" in text
