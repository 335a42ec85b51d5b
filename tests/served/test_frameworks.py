"""The middleware around real frameworks, in one process and under a real gunicorn."""

from __future__ import annotations

import http.cookiejar
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from webtest import TestApp

from tests.support.serving import asleep, gunicorn
from wsgi_sessions import FileStore, MemoryStore, SessionMiddleware, SQLiteStore, Store

APPLICATIONS = {
    "wsgi": """
def app(environ, start_response):
    session = environ["wsgi.session"]
    session["n"] = session.get("n", 0) + 1
    session.setdefault("paths", []).append(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{session['n']} {len(session['paths'])}".encode()]
""",
    "bottle": """
import bottle
app = bottle.Bottle()

@app.get("/")
def index():
    session = bottle.request.environ["wsgi.session"]
    session["n"] = session.get("n", 0) + 1
    session.setdefault("paths", []).append("/")
    return f"{session['n']} {len(session['paths'])}"
""",
    "falcon": """
import falcon

class Index:
    def on_get(self, request, response):
        session = request.env["wsgi.session"]
        session["n"] = session.get("n", 0) + 1
        session.setdefault("paths", []).append("/")
        response.text = f"{session['n']} {len(session['paths'])}"

app = falcon.App()
app.add_route("/", Index())
""",
    "flask": """
import flask
flask_app = flask.Flask(__name__)

@flask_app.get("/")
def index():
    session = flask.request.environ["wsgi.session"]
    session["n"] = session.get("n", 0) + 1
    session.setdefault("paths", []).append("/")
    return f"{session['n']} {len(session['paths'])}"

app = flask_app.wsgi_app
""",
}
STORES = {
    "memory": lambda path: MemoryStore(),
    "file": lambda path: FileStore(path / "sessions"),
    "sqlite": lambda path: SQLiteStore(path / "s.db"),
}


@pytest.fixture(params=STORES)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = STORES[request.param](tmp_path)
    yield store
    if hasattr(store, "close"):
        store.close()


@pytest.mark.parametrize("framework", APPLICATIONS)
def test_a_session_lasts_across_requests(framework: str, any_store: Store) -> None:
    """In one process, over each embedded store."""
    namespace: dict[str, object] = {"__name__": "application"}
    exec(APPLICATIONS[framework], namespace)
    client = TestApp(SessionMiddleware(namespace["app"], store=any_store))  # type: ignore[arg-type]
    assert [client.get("/").text for _ in range(3)] == ["1 1", "2 2", "3 3"]
    client.reset()
    assert client.get("/").text == "1 1"


@pytest.mark.parametrize("framework", APPLICATIONS)
@pytest.mark.parametrize("store", ['SQLiteStore("s.db")', 'FileStore("sessions")'])
@pytest.mark.parametrize("preload", [False, True])
def test_a_session_lasts_across_workers(
    framework: str, store: str, preload: bool, tmp_path: Path
) -> None:
    """gunicorn with two workers and four threads each, and no secret configured."""
    (tmp_path / "application.py").write_text(
        f"{APPLICATIONS[framework]}\n"
        "import os\n"
        "from wsgi_sessions import SessionMiddleware, SQLiteStore, FileStore\n"
        f"inner = SessionMiddleware(app, store={store})\n"
        "def served(environ, start_response):\n"
        "    def start(status, headers, exc_info=None):\n"
        "        headers = [*headers, ('X-Worker', str(os.getpid()))]\n"
        "        return start_response(status, headers, exc_info)\n"
        "    return inner(environ, start)\n"
    )
    arguments = ["-w", "2", "--threads", "4", *(["--preload"] if preload else [])]
    with gunicorn("application:served", tmp_path, *arguments) as url:
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        workers: list[int] = []
        for number in range(1, 21):
            with asleep(workers[-1]) if workers else nullcontext():
                response = browser.open(url + "/")
            with response:
                assert response.read().decode() == f"{number} {number}"
                workers.append(int(response.headers["X-Worker"]))
        assert len(set(workers)) == 2
