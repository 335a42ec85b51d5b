"""A session that is opened by what proves its secret's hash: no cookie, but every right of one.

How this works. Whoever brings the proof may do what a request with the cookie may, a login and a
new secret included, because what it is opened by next is made of the new hash. The session is
loaded when somebody looks, like that of a request.
"""

from __future__ import annotations

from collections.abc import Callable

from wsgi_sessions.cookie import hash_secret
from wsgi_sessions.session.header import has_replaced
from wsgi_sessions.session.lifetimes import is_over
from wsgi_sessions.session.repository import SessionRepository
from wsgi_sessions.session.session import Session, open_session, state_of
from wsgi_sessions.session.snapshot import FOREIGN, Snapshot, new_session

__all__ = ["open_by_proof", "proof_of"]


def open_by_proof(
    repository: SessionRepository, id: str, proves: Callable[[bytes], bool], given: str
) -> Session:
    """The session *id*, if *proves* accepts the hash of its secret when it is loaded; else a new
    one. *given* is the text that both were made of. No I/O."""

    def find(cookie_header: str, *, strict: bool = False) -> Snapshot:  # noqa: ARG001
        return _find(repository, id, proves)

    return open_session(repository, find, given, None)


def _find(repository: SessionRepository, id: str, proves: Callable[[bytes], bool]) -> Snapshot:
    snapshot = new_session(repository.now())
    stored = repository.store.load(id)
    if stored is None:
        return snapshot
    record = repository.unpack(id, stored)
    if record is None:
        if repository.is_foreign(stored):
            snapshot.detach(id, FOREIGN)
    elif proves(record.secret_hash):
        if not is_over(record, snapshot.opened_at):
            snapshot.fill(id, "", record.saved_at, record, stored.version)
    elif has_replaced(record, proves, snapshot.opened_at):
        snapshot.detach(id)
    return snapshot


def proof_of(session: Session) -> tuple[str, bytes] | None:
    """The id of *session* and the hash of its secret, as they are stored or will be by a save that
    is sure to store it (:meth:`Session.create`, :meth:`Session.regenerate`); ``None`` for any other
    new session and for one whose changes lead nowhere. Loads."""
    session.accessed = True
    state = state_of(session)
    snapshot, header = state.load(), state.look().header
    record = snapshot.record
    if snapshot.detached_from or (record is None and not (header.kept or header.secret)):
        return None
    state.ensure_secret()
    secret = state.look().header.secret
    id = snapshot.ensure_id()
    if secret or record is None:
        return id, hash_secret(secret or snapshot.secret)
    return id, record.secret_hash
