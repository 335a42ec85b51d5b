"""Ending many sessions, one after the other, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from wsgi_sessions.cli.found import Found, find
from wsgi_sessions.cli.output import counted, print_json
from wsgi_sessions.cli.owned import sessions_of
from wsgi_sessions.cli.steps import Steps
from wsgi_sessions.cli.target import session_ids
from wsgi_sessions.errors import StoreError
from wsgi_sessions.manager import SessionManager

__all__ = ["Ending"]

LABEL = "Ending sessions"


class Ending:
    """Ends sessions of *manager*; with *dry_run* only counts them. Each session is ended whole
    before the next one, and :attr:`steps` stops in between."""

    def __init__(self, manager: SessionManager, *, dry_run: bool) -> None:
        self.steps: Steps = Steps()
        self._manager = manager
        self._dry_run = dry_run
        self._ended = 0
        self._missing: list[str] = []
        self._unreadable = 0

    @property
    def complete(self) -> bool:
        """Whether nothing that was asked for was left out."""
        return not (self._missing or self._unreadable or self.steps.interrupted)

    @contextmanager
    def reported(self, *, as_json: bool) -> Iterator[None]:
        """Within it sessions are ended; afterwards what became of it is printed, also if the store
        failed or Ctrl-C came."""
        with self.steps:
            try:
                yield
            except StoreError:
                self._report(as_json=as_json)
                raise
        self._report(as_json=as_json)

    def named(self, ids: Sequence[str]) -> None:
        """Those with these *ids*."""
        for id in self.steps.of(ids, LABEL, len(ids)):
            if not self._end(id):
                self._missing.append(id)

    def of_owner(self, owner: str) -> None:
        """All of *owner*. Raises :exc:`~wsgi_sessions.ConfigurationError` where the store has no
        index of owners."""
        sessions = sessions_of(self._manager, owner)
        for found in self.steps.of(sessions, LABEL, len(sessions)):
            # What was logged in to another owner meanwhile is not to be ended.
            self._end(found.id, None if found.record is None else owner)

    def all(self) -> None:
        """Every one, readable or not."""
        for id in self.steps.of(session_ids(self._manager), LABEL):
            self._end(id)

    def unused_for(self, seconds: float) -> None:
        """Those that were last saved *seconds* ago or earlier."""
        latest = self._manager.repository.now() - seconds
        for id in self.steps.of(session_ids(self._manager), LABEL):
            found = find(self._manager, id)
            if found is None:
                continue
            if found.record is None:
                self._unreadable += 1
            elif found.record.saved_at <= latest and self._end_unless_used(found):
                self._ended += 1

    def _end(self, id: str, owner: str | None = None) -> bool:
        """End the session, if it is *owner*'s; ``None``: anybody's. Whether there was one."""
        if self._dry_run:
            ended = find(self._manager, id) is not None
        else:
            ended = self._manager.revoke(id, owner=owner)
        self._ended += ended
        return ended

    def _end_unless_used(self, found: Found) -> bool:
        """A compare-and-delete: whoever uses it in this moment keeps it."""
        if self._dry_run:
            return True
        version = found.stored.version
        deleted = self._manager.store.save(found.id, b"", expires_at=0.0, replacing=version)
        return deleted is not None

    def _report(self, *, as_json: bool) -> None:
        if as_json:
            print_json(
                {
                    "ended": self._ended,
                    "dry_run": self._dry_run,
                    "missing": self._missing,
                    "unreadable": self._unreadable,
                    "interrupted": self.steps.interrupted,
                }
            )
            return
        what = "would be ended" if self._dry_run else "ended"
        end = ", then interrupted: the others are as they were" if self.steps.interrupted else ""
        click.echo(f"{counted(self._ended)} {what}{end}.")
        for id in self._missing:
            click.echo(f"There is no session {id}.", err=True)
        if self._unreadable:
            click.echo(
                f"Left as it cannot be read: {counted(self._unreadable)}. Set "
                f"WSGI_SESSIONS_ENCRYPTION_KEYS, or end all with --all.",
                err=True,
            )
