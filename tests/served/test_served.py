"""What only a real server shows: sendfile, real sockets, clients that go away."""

from __future__ import annotations

import socket
import time
import urllib.request
from pathlib import Path

from tests.support.serving import gunicorn

SENDFILE = """
import gunicorn.http.wsgi
original = gunicorn.http.wsgi.Response.sendfile

def recorded(self, wrapper):
    used = original(self, wrapper)
    with open("sendfile.log", "a") as log:
        log.write(f"{used}\\n")
    return used

gunicorn.http.wsgi.Response.sendfile = recorded
"""
APPLICATION = """
import os
from wsgi_sessions import SessionMiddleware, SQLiteStore

def app(environ, start_response):
    session = environ["wsgi.session"]
    path = environ["PATH_INFO"]
    if path == "/file":
        session["downloads"] = session.get("downloads", 0) + 1
        size = str(os.path.getsize("large.bin"))
        start_response("200 OK", [("Content-Length", size)])
        return environ["wsgi.file_wrapper"](open("large.bin", "rb"))
    if path == "/stream":
        return stream(session, start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(dict(session)).encode()]

def stream(session, start_response):
    session["begun"] = True
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        for number in range(100_000):
            session["chunks"] = number
            yield b"x" * 10_000
    finally:
        open("closed.log", "a").write("closed\\n")

app = SessionMiddleware(app, SQLiteStore("s.db"))
"""


def test_gunicorn_uses_sendfile_for_a_file_behind_the_session(tmp_path: Path) -> None:
    """The file wrapper reaches the server as it is, and the session is saved."""
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "conf.py").write_text(SENDFILE)
    content = bytes(range(256)) * 4096
    (tmp_path / "large.bin").write_bytes(content)
    with (
        gunicorn("application:app", tmp_path, "-c", "conf.py", "--threads", "2") as url,
        urllib.request.urlopen(url + "/file") as response,
    ):
        assert response.read() == content
        cookie = response.headers["Set-Cookie"].partition(";")[0]
        request = urllib.request.Request(url, headers={"Cookie": cookie})
        with urllib.request.urlopen(request) as page:
            assert page.read() == b"{'downloads': 1}"
    assert (tmp_path / "sendfile.log").read_text() == "True\n"


def test_a_client_that_goes_away_leaves_a_saved_session(tmp_path: Path) -> None:
    """In the middle of a stream: it is closed once, and what was changed till then is kept."""
    (tmp_path / "application.py").write_text(APPLICATION)
    with gunicorn("application:app", tmp_path, "--threads", "2") as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while len(received) < 50_000:
                data = client.recv(65_536)
                assert data, "the stream has ended"
                received += data
        head = received.partition(b"\r\n\r\n")[0].decode()
        [cookie] = [
            line.partition(": ")[2].partition(";")[0]
            for line in head.split("\r\n")
            if line.lower().startswith("set-cookie")
        ]
        request = urllib.request.Request(url, headers={"Cookie": cookie})
        deadline = time.monotonic() + 30
        while True:  # the server notices a while later, and saves after that
            with urllib.request.urlopen(request) as page:
                session = eval(page.read())
            if session["chunks"] > 0 or time.monotonic() > deadline:
                break
            time.sleep(0.02)
    assert session["begun"] is True
    assert 0 < session["chunks"] < 100_000
    assert (tmp_path / "closed.log").read_text() == "closed\n"
