"""A site whose sessions the tests of the command look at: made by the library itself."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from tests.support.patience import patient_url
from wsgi_sessions.cli.commands import commands
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.stores import close_store

SECRET = "a secret of the tests, long enough"


class Site:
    """The sessions in the store of *url*. *options* are the application's."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = patient_url(url)
        self.manager = SessionManager(self.url, **{"secret": SECRET, **options})

    def visit(self, owner: str | None = None, agent: str = "", **values: Any) -> str:
        """The id of a new session, of a browser that says it is *agent*. Its sid and cookie are
        :attr:`sid` and :attr:`cookie`."""
        session = self.manager.open(None, {"HTTP_USER_AGENT": agent})
        session.update(values or {"cart": [1, 2, 3]})
        if owner is not None:
            session.login(owner)
        [(_, header)] = self.manager.commit(session)
        self.cookie = header.partition(";")[0].partition("=")[2]
        self.sid = session.sid
        return session.id

    def is_alive(self, id: str) -> bool:
        return self.manager.store.load(id) is not None

    def run(self, *arguments: str, input: str | None = None, **env: str) -> Result:
        """``wsgi-sessions ARGUMENTS``, with the store in the environment."""
        return run(*arguments, input=input, WSGI_SESSIONS_STORE=self.url, **env)

    def rows(self, *arguments: str, **env: str) -> list[dict[str, Any]]:
        """What it prints with ``--json``."""
        result = self.run(*arguments, "--json", **env)
        assert result.exit_code in (0, 1), result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def close(self) -> None:
        close_store(self.manager.store)


def run(*arguments: str, input: str | None = None, **env: str) -> Result:
    result = CliRunner().invoke(commands, arguments, input=input, env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
