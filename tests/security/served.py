"""The application that real servers serve: ``python -m tests.security.served waitress 8080``.

``/login`` makes a session, ``/`` says whose it is, ``/calls`` lists what the store was asked since
the last time. What is logged goes to the file ``sessions.log``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from tests.support.recording import RecordingStore
from wsgi_sessions import SessionMiddleware

store = RecordingStore()


def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    session = environ["wsgi.session"]
    if environ["PATH_INFO"] == "/login":
        session.login("ann")
    if environ["PATH_INFO"] == "/calls":
        shown = " ".join(store.pop_calls())
    else:
        shown = session.owner or "nobody"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(shown)))]
    start_response("200 OK", [*headers, ("X-Application", "ours")])
    return [shown.encode()]


app = SessionMiddleware(page, store, secret="the signing secret of the tests")
logger = logging.getLogger("wsgi_sessions")
logger.addHandler(logging.FileHandler("sessions.log", delay=True))
logger.setLevel(logging.DEBUG)


if __name__ == "__main__":
    server, port = sys.argv[1], int(sys.argv[2])
    if server == "waitress":
        import waitress

        waitress.serve(app, host="127.0.0.1", port=port, threads=1, max_request_header_size=4 << 20)
    else:
        make_server("127.0.0.1", port, app).serve_forever()
