"""The policy of sessions, without WSGI: what is accepted, when it is saved, which cookie goes out.

A :class:`SessionManager` turns a ``Cookie`` header into a :class:`~wsgi_sessions.Session`, and at
the end of a request commits that session and finishes the response. Every integration does the
same four things: :meth:`~SessionManager.open`, attach the session where the framework looks for it,
:meth:`~SessionManager.finish` the response, :meth:`~SessionManager.close` after the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from re import compile as compile_pattern
from typing import Any, NamedTuple, Unpack, cast

from wsgi_sessions.cookie import (
    CookieStore,
    EncryptedCookies,
    GivenSigner,
    Headers,
    SetCookie,
    SharedSigner,
    cookie_values,
    has_content_length,
    new_id,
    personal,
    setting_cookie,
)
from wsgi_sessions.errors import ConfigurationError, StoreError
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.manager.former_store import FormerStore
from wsgi_sessions.manager.migrate import Migration
from wsgi_sessions.manager.nested import adopt_login_keys, ignored_options, register
from wsgi_sessions.manager.options import Options, Settings, document_options, settings_of
from wsgi_sessions.manager.owners import OpenedSession, Owners, SessionInfo
from wsgi_sessions.manager.resolver import CookieResolver, EncryptedCookieResolver
from wsgi_sessions.manager.session_keys import SessionKeys
from wsgi_sessions.manager.store import StoreOrURL, store_of
from wsgi_sessions.observe import GuardedObserver, no_event
from wsgi_sessions.record import PERMANENT, RecordCipher, ValueCodec
from wsgi_sessions.session import (
    ISSUE,
    OPEN,
    OVER,
    SENT,
    Identity,
    Lifetimes,
    ObservedRepository,
    RequestState,
    Resolve,
    Session,
    SessionRepository,
    open_by_proof,
    open_session,
    proof_of,
    state_of,
)
from wsgi_sessions.stores import GuardedStore, ObservedStore, Store, evicts, max_bytes_of

__all__ = ["Finished", "SessionManager"]

_UNAVAILABLE = b"Service Unavailable\n"
_is_loopback = lru_cache(64)(
    compile_pattern(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?").fullmatch
)


class Finished(NamedTuple):
    """What is to be sent instead of the application's status and headers."""

    status: str
    headers: Headers
    body: bytes | None
    """``None``: the application's. Bytes: send these instead, nothing for ``HEAD``."""


_new_tuple = tuple.__new__  # ``Finished(…)`` takes twice as many instructions


class SessionManager:
    """Opens and commits sessions kept in *store*: a store, a URL,
    or ``None`` for what :func:`~wsgi_sessions.open_store` makes of the environment.

    Building it does no I/O. One manager serves all threads, and the processes forked after it was
    built.
    """

    def __init__(self, store: StoreOrURL | None = None, **options: Unpack[Options]) -> None:
        settings = settings_of(options)
        self.options: Settings = settings
        store = store_of(store)
        self.log: ThrottledLog = ThrottledLog("wsgi_sessions")
        self.security_log: ThrottledLog = ThrottledLog("wsgi_sessions.security")
        self._warned: set[str] = set()
        domain = settings.cookie_domain
        self._domain_of = domain if callable(domain) else None
        self._cookie, self._variants = self._cookies(settings, None if callable(domain) else domain)
        self._cookies_for = lru_cache(64)(partial(self._cookies, settings))
        self._names = (settings.cookie_name, *settings.former_cookie_names)
        self._cookie_front = f"{settings.cookie_name}="
        self._cookie_front_size = len(self._cookie_front)
        settings.check_key_length(self.log, in_cookie=isinstance(store, CookieStore))
        self._check_keeps_key(store)
        encrypted = self._encrypted_cookies(store)
        self.store: Any = cast(Any, encrypted[0] if encrypted else store)
        observer = settings.observer
        self._observer = None if observer is None else GuardedObserver(observer, self.log)
        guarded = self._guarded(self.store, type(store).__name__)
        self._signer = self._signer_of(guarded)
        repository = SessionRepository if self._observer is None else ObservedRepository
        self.repository: SessionRepository = repository(
            guarded,
            codec=settings.codec,
            cipher=RecordCipher(settings.encryption_keys) if settings.encryption_keys else None,
            lifetimes=Lifetimes(*settings.lifetimes),
            max_bytes=min(settings.max_bytes, max_bytes_of(self.store, settings.max_bytes)),
            permanent=settings.permanent,
            in_cookie=bool(encrypted),
            clock=settings.clock,
            before_create=self._signer.get_checked,
            log=self.log,
            security_log=self.security_log,
            identity=self._identity(settings),
            merge_keys=frozenset(settings.merge_keys),
            event=no_event if self._observer is None else self._observer.event,
            renews=settings.renews,
            describe_device=settings.describe_device,
        )
        register(self.repository, self)
        keys = [] if settings.secret is None else [settings.secret, *settings.fallback_secrets]
        self._session_keys = SessionKeys(keys) if keys and not encrypted else None
        self._noted_outer = False
        self._adopts = self.repository.identity is None
        self._adopted: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self._owners = Owners(self.repository)
        self.resolve: Resolve = self._resolver(encrypted, settings.migrate_from).resolve
        """Finds the session that a ``Cookie`` header stands for."""

    @staticmethod
    def _cookies(settings: Settings, domain: str | None) -> tuple[SetCookie, list[SetCookie]]:
        """The cookie, and the others of this site that a browser may hold from before: with and
        without the domain, at ``/`` and at ``cookie_path``, of former names."""
        flags: dict[str, Any] = {
            "secure": settings.cookie_secure,
            "httponly": settings.cookie_httponly,
            "samesite": settings.cookie_samesite,
            "partitioned": settings.cookie_partitioned,
        }
        path = settings.cookie_path
        cookie = SetCookie(settings.cookie_name, path=path, domain=domain, **flags)
        variants = []
        for name in (settings.cookie_name, *settings.former_cookie_names):
            for place in dict.fromkeys(product(("/", path), (None, domain))):
                if (name, *place) == (settings.cookie_name, path, domain):
                    continue
                with suppress(ConfigurationError):  # a prefixed name that no browser holds there
                    variants.append(SetCookie(name, path=place[0], domain=place[1], **flags))
        return cookie, variants

    @staticmethod
    def _identity(settings: Settings, *groups: tuple[str, ...]) -> Identity | None:
        """*groups* of login keys, where several frameworks name them."""
        if not (settings.login_keys or settings.fresh_keys):
            return None
        keys = groups or (settings.login_keys,), settings.fresh_keys
        return Identity(*keys, settings.owner, ValueCodec(settings.codec).loads)

    def _check_keeps_key(self, store: Store | CookieStore) -> None:
        keeps_no_key = isinstance(store, CookieStore) or evicts(store)
        if self.options.secret is None and keeps_no_key:
            raise ConfigurationError(
                f"{type(store).__name__} cannot keep a signing key that the workers share: "
                f"set secret=… or the environment's WSGI_SESSIONS_SECRET"
            )

    def _encrypted_cookies(self, store: Store | CookieStore) -> list[EncryptedCookies]:
        """One for each cookie name; none for a store that is no cookie."""
        options = self.options
        if isinstance(store, CookieStore) and options.secret is not None:
            keys = (options.secret, *options.fallback_secrets)
            return [store.bind(keys, name) for name in self._names]
        return []

    def _guarded(self, store: Store, kind: str) -> GuardedStore:
        """*store*, an instance of the class *kind*, as sessions call it."""
        if self._observer is None:
            return GuardedStore(store, self.log)
        name = kind.lower().removesuffix("store") or "store"
        return ObservedStore(store, self.log, name=name, observer=self._observer)

    def _signer_of(self, store: GuardedStore) -> SharedSigner | GivenSigner:
        options, names = self.options, self._names
        if options.secret is None:
            return SharedSigner(cast(Store, store), options.fallback_secrets, names, options.clock)
        keys = (options.secret, *options.fallback_secrets)
        keeps = None if isinstance(self.store, EncryptedCookies) else cast(Store, store)
        return GivenSigner(keeps, keys, names, options.clock, self._warn_once)

    def _resolver(
        self, encrypted: Sequence[EncryptedCookies], old: Sequence[Any]
    ) -> CookieResolver | EncryptedCookieResolver:
        names, repository = self._names, self.repository
        if encrypted:
            if old:
                raise ConfigurationError("migrate_from needs a store that keeps records")
            return EncryptedCookieResolver(repository, names, encrypted)
        readers = [one for one in old if hasattr(one, "cookie_name")]
        former = [
            FormerStore(repository, self._guarded(one, kind := type(one).__name__), kind)
            for one in old
            if one not in readers
        ]
        migration = Migration(repository, readers, former) if old else None
        signer, on_store_error = self._signer, self.options.on_store_error
        return CookieResolver(
            repository, names, signer.verifiers, migration, on_store_error, signer.note_missing
        )

    # For integrations

    def adopt_lifetimes(self, settings: Settings) -> None:
        """Those of *settings* count from now on, for requests in flight too."""
        self.options = replace(
            self.options,
            lifetime=settings.lifetime,
            permanent_lifetime=settings.permanent_lifetime,
            absolute_lifetime=settings.absolute_lifetime,
        )
        self.repository.lifetimes = Lifetimes(*settings.lifetimes)

    def adopt_login_keys(self, login_keys: Sequence[str], fresh_keys: Sequence[str] = ()) -> None:
        """A framework's own, if the options name none. They count from now on, beside those of
        other frameworks under the same middleware, each of which logs in and out by its own, in an
        order that is the same in all workers."""
        keys = tuple(login_keys), tuple(fresh_keys)
        if not self._adopts or keys in self._adopted:
            return
        self._adopted = sorted({*self._adopted, keys})
        logins, fresh = zip(*self._adopted, strict=True)
        self.options = replace(
            self.options, login_keys=sum(logins, ()), fresh_keys=tuple(sorted({*sum(fresh, ())}))
        )
        self.repository.identity = self._identity(self.options, *logins)

    def open(self, cookie_header: str | None, environ: dict[str, Any] | None = None) -> Session:
        """The session of a request with this ``Cookie`` header. No I/O, nothing is parsed."""
        return open_session(self.repository, self.resolve, cookie_header or "", environ)

    def needs_load(self, session: Session) -> bool:
        """Whether a look at *session* now would call the store. No I/O."""
        state = state_of(session)
        if state.snapshot is not None or not state.cookie_header:
            return False
        return self._carries_cookie(state) or any(
            cookie_values(state.cookie_header, one.cookie_name)
            for one in self.options.migrate_from
            if hasattr(one, "cookie_name")
        )

    def key_of(self, session: Session) -> str | None:
        """The key of *session*, 40 characters, by which :meth:`open_key` opens it where no cookie
        can be. No cookie is accepted that holds it. It changes with the session's secret, but not
        when ``secret`` becomes one of the ``fallback_secrets``. ``None`` for a session that is not
        stored, unless :meth:`Session.create` or :meth:`Session.regenerate` has asked for it. Loads.
        Raises :exc:`~wsgi_sessions.ConfigurationError` without a ``secret`` and for
        :class:`~wsgi_sessions.CookieStore`."""
        proof = proof_of(session)
        return None if proof is None else self._keys_of_sessions().make(*proof)

    def claimed_key(self, session: Session) -> str | None:
        """The key that *session* has if what it was opened by is still good: what :meth:`key_of`
        says, for where nothing may be loaded, as in a coroutine. No I/O, but that of a process's
        first cookie that is signed with none of its keys."""
        state = state_of(session)
        if state.snapshot is not None:
            return self.key_of(session)
        for value in cookie_values(state.cookie_header, self._cookie.name):
            token = self._signer.verifiers[0](value)
            if token is not None:
                return self._keys_of_sessions().make(token.id, token.secret_hash)
            if self._keys_of_sessions().open(value) is not None:
                return value
        return None

    def open_key(self, session_key: str) -> Session:
        """The session that *session_key*, of :meth:`key_of`, opens, with all rights of a request
        that has the cookie: to be ended by :meth:`commit`. A new one if the key is forged, which
        costs no round trip, or if it opens nothing any more. No I/O before somebody looks."""
        opened = self._keys_of_sessions().open(session_key)
        if opened is None:
            return self.open(None)
        return open_by_proof(self.repository, *opened, f"{self._cookie.name}={session_key}")

    def _keys_of_sessions(self) -> SessionKeys:
        if self._session_keys is None:
            raise ConfigurationError(
                "session keys need secret=… and a store that keeps records: CookieStore and the "
                "key that workers share in the store make none"
            )
        return self._session_keys

    def note_outer(self, session: Session) -> None:
        """*session* is that of another middleware around this one: log, once, which options of
        this one are ignored. No I/O."""
        if self._noted_outer or state_of(session).repository is self.repository:
            return
        self._noted_outer = True
        adopt_login_keys(session, self.options.login_keys, self.options.fresh_keys)
        names = ignored_options(session, self.options, self.store)
        if names:
            self.log.warning(
                "a SessionMiddleware inside another uses the outer one's session, so these of its "
                "own are ignored: %s; give it another environ_key, or the same options",
                ", ".join(names),
            )

    def finish(
        self,
        session: Session,
        status: str,
        headers: Headers,
        *,
        secure: bool = False,
        streams: bool = True,
    ) -> Finished:
        """Commit *session*, and what is to be sent for the application's *status* and *headers*,
        which are not changed.

        If the store fails, that is a whole ``503`` and the failure is logged. What is not the
        store's fault is raised as it is, after :meth:`Session.rollback`:
        :exc:`~wsgi_sessions.UnsupportedValue`, :exc:`~wsgi_sessions.SessionTooLarge`, and whatever
        else a codec or a store of the application's raises.

        *secure* says whether the request came over https. *streams* says whether code of the
        application may run after the headers. Called again for the same request (a server takes
        other headers after the first ones), it merges what it promised before. Costs no round trip
        if nothing was looked at or changed, one to save.
        """
        state = session._state
        if not session.accessed:
            return self._finish_untouched(session, status, headers, streams)
        state.repository = self.repository  # of now, where a configuration changes
        if state.phase is SENT:
            if not streams:  # otherwise the application may yet raise, and nothing of it is saved
                self.save_late(session)
        elif state.draft is not None or (state.snapshot is not None and not state.snapshot.new):
            try:
                state.save()
            except StoreError:
                self.log.error("a session could not be saved")
                return self.unavailable(session, secure=secure)
            except BaseException:
                self._abandon(state)
                raise
        snapshot = state.snapshot
        sent = snapshot is not None and snapshot.was_sent
        private = sent or (state.cookie_header != "" and self._carries_cookie(state))
        headers = personal(headers, private)
        if state.cookie is not None:
            if not secure and self.options.cookie_secure is None:
                self._check_transport(state)
            ours = self._set_cookie(state, secure)
            headers = setting_cookie(headers, ours, self._cookie.name, self._overridden)
        if streams:
            state.phase = SENT
        else:  # close(), without the call
            state.phase, state.environ = OVER, None
        return _new_tuple(Finished, (status, headers, None))

    def _finish_untouched(
        self, session: Session, status: str, headers: Headers, streams: bool
    ) -> Finished:
        state = state_of(session)
        if not streams:
            state.phase, state.environ = OVER, None
        else:
            state.phase = SENT
            # A body of known length is made already (RFC 9111 section 7.3): no code of it shows a
            # session that nothing has looked at yet.
            if not has_content_length(headers) and self._carries_cookie(state):
                headers = personal(headers, True)
        return _new_tuple(Finished, (status, headers, None))

    def unavailable(self, session: Session, *, secure: bool = False) -> Finished:
        """The ``503`` for a :exc:`~wsgi_sessions.StoreError` that left the application. Nothing
        more is saved. A logout expires the cookie nevertheless; one that a save has promised, or
        whose new secret may be stored, is set. Costs no round trip."""
        state = state_of(session)
        if state.is_ending:
            ours = self._expire_all(state, secure) if self._carries_cookie(state) else []
        else:
            ours = self._set_cookie(state, secure)
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_UNAVAILABLE))),
            ("Cache-Control", "no-store"),
            ("Retry-After", "1"),
            *ours,
        ]
        self._abandon(state)
        return Finished("503 Service Unavailable", headers, _UNAVAILABLE)

    def save_late(self, session: Session) -> None:
        """Save what was changed after the headers. A failure is logged: the response is out. One
        round trip if something changed."""
        if not session.accessed:  # nearly always
            return
        try:
            session.save()
        except Exception:  # noqa: BLE001  # the server could do nothing with it
            self.log.error("what was changed after the headers could not be saved")
            session.rollback()

    # Without a request

    def open_id(self, id: str) -> OpenedSession:
        """A context manager that gives the live session *id*, or ``None``: to read it, change it
        or :meth:`~Session.invalidate` it where no cookie is, and save it at the end, unless the
        block raises.

        >>> from wsgi_sessions import MemoryStore, SessionManager
        >>> manager = SessionManager(MemoryStore())
        >>> with manager.open_id("Zq3vN0cXhT8mLw5sYd1kRA") as session:
        ...     if session is not None:
        ...         session["role"] = "editor"

        It is merged with what requests change meanwhile. What would need a cookie (``regenerate``,
        ``login``, a login key, ``permanent``) raises :exc:`~wsgi_sessions.SessionClosed`;
        ``clear()`` keeps the secret. One round trip, one more to save. Raises what
        :meth:`Session.save` raises, and :exc:`~wsgi_sessions.ConfigurationError` for
        :class:`~wsgi_sessions.CookieStore`.
        """
        return self._owners.open(id)

    def sessions_of(self, owner: str) -> list[SessionInfo]:
        """The live sessions in which *owner* is logged in, oldest first. One round trip for the
        list and one for each session. Raises :exc:`~wsgi_sessions.StoreUnavailable`, and
        :exc:`~wsgi_sessions.ConfigurationError` where the store has no index of owners."""
        return self._owners.sessions_of(owner)

    def revoke(self, id: str, *, owner: str | None) -> bool:
        """End the session *id* if it is *owner*'s (ids are public); ``None``: whosoever it is.
        Whether one was ended. No request that is in flight brings it back. Two round trips, two
        more for each change meanwhile. Raises :exc:`~wsgi_sessions.StoreUnavailable` and
        :exc:`~wsgi_sessions.ConflictError`."""
        return self._owners.revoke(id, owner=owner)

    def revoke_all(self, owner: str, *, keep: Session | str | None = None) -> int:
        """End all sessions of *owner* but *keep*, a session or its id; how many there were. Those
        that only other processes can read, of a newer release or with another key, are ended too.
        One round trip for the list and two for each session. If it raises what :meth:`sessions_of`
        and :meth:`revoke` do, those before are ended: call it again."""
        return self._owners.revoke_all(owner, keep=keep)

    def check(self) -> None:
        """Ask the store one cheap question, for a health endpoint: returns if it answers, raises
        :exc:`~wsgi_sessions.StoreUnavailable` if not. One round trip, a read; none while the
        breaker is open. A new id each time, so that every shard has its turn."""
        self.repository.store.load(new_id())

    def close(self, session: Session) -> None:
        """The request is over: save what was changed after the headers, if anything was. Closing
        again does nothing. Never raises for a store. One round trip if something changed."""
        state = state_of(session)
        if state.phase is OVER:
            return
        try:
            if state.phase is OPEN:
                self._drop_unsent(state)
                state.phase = SENT
            self.save_late(session)
        finally:
            state.phase, state.environ = OVER, None

    def abandon(self, session: Session) -> None:
        """The application raised: nothing more is saved. Costs no round trip."""
        self._abandon(state_of(session))

    def commit(self, session: Session, *, secure: bool = False) -> Headers:
        """The lower step of :meth:`finish`: save what changed; the headers to add, at most one
        ``Set-Cookie``.

        *secure* says whether the request came over https, for ``cookie_secure=None``. Costs no
        round trip if nothing was looked at or changed, one to save. Raises what
        :meth:`Session.save` raises.
        """
        state = state_of(session)
        state.save()
        return self._set_cookie(state, secure)

    # How it is done

    def _drop_unsent(self, state: RequestState) -> None:
        """Forget what needs a cookie: the application never started a response."""
        try:
            if state.needs_cookie:
                state.rollback()
                self.log.warning(
                    "changes that need a cookie were dropped: "
                    "the application never started a response"
                )
        except Exception:  # noqa: BLE001  # as in save_late()
            self.log.error("what was changed without a response could not be saved")
            state.rollback()

    @staticmethod
    def _abandon(state: RequestState) -> None:
        state.rollback()
        state.close()

    def _carries_cookie(self, state: RequestState) -> bool:
        """Whether the request has a cookie of ours."""
        header = state.cookie_header
        front = self._cookie_front
        if header[: self._cookie_front_size] == front or f"; {front}" in header:
            return True  # nearly always: nothing is parsed
        # A name may also be part of another's, or of a value.
        return any(name in header and cookie_values(header, name) for name in self._names)

    def _set_cookie(self, state: RequestState, secure: bool) -> Headers:
        if state.cookie is None:
            return []
        if state.cookie is ISSUE:
            snapshot = state.snapshot or state.load()
            if not snapshot.secret:  # opened by its key: no browser waits for a cookie
                return []
            ours = [("Set-Cookie", self._issue(state, secure))]
        else:
            return self._expire_all(state, secure)
        if state.logged_in:
            ours += self._expired_variants(state, secure)
        return ours

    def _cookies_of(self, state: RequestState) -> tuple[SetCookie, list[SetCookie]]:
        """The cookie and its variants, for the domain of this request."""
        if self._domain_of is None:
            return self._cookie, self._variants
        if state.environ is None:
            raise ConfigurationError(
                "cookie_domain is a function of environ: call open(cookie_header, environ)"
            )
        return self._cookies_for(self._domain_of(state.environ))

    def _expire_all(self, state: RequestState, secure: bool) -> Headers:
        line = self._cookies_of(state)[0].expire(secure=self._is_secure(secure))
        return [("Set-Cookie", line), *self._expired_variants(state, secure)]

    def _expired_variants(self, state: RequestState, secure: bool) -> Headers:
        """After a login or logout of a request with several cookies, or one of a former name."""
        counts = {name: len(cookie_values(state.cookie_header, name)) for name in self._names}
        if sum(counts.values()) < 2 and counts[self._cookie.name]:
            return []
        return [
            ("Set-Cookie", variant.expire(secure=self._is_secure(secure)))
            for variant in self._cookies_of(state)[1]
            if counts[variant.name]
        ]

    def _issue(self, state: RequestState, secure: bool) -> str:
        repository, snapshot = self.repository, state.snapshot or state.load()
        now, record = repository.now(), snapshot.record
        max_age = None
        if record is not None and record.flags & PERMANENT:
            max_age = max(1, round(record.expires_at - now))
        if repository.in_cookie:
            value = str(snapshot.version)
        else:
            value = self._signer.get().sign(snapshot.id + snapshot.secret, now)
        cookie = self._cookie if self._domain_of is None else self._cookies_of(state)[0]
        return cookie.issue(value, secure=self._is_secure(secure), max_age=max_age, now=now)

    def _is_secure(self, secure: bool) -> bool:
        configured = self.options.cookie_secure
        return secure if configured is None else configured

    def _check_transport(self, state: RequestState) -> None:
        """Of a cookie that goes out in the clear."""
        environ = state.environ
        if environ is None:
            return
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        if not _is_loopback(host):
            self._warn_once(
                "a session cookie was sent over plain http: serve https and set cookie_secure=True "
                "(behind a proxy, let the server know the scheme)"
            )

    def _overridden(self, what: str) -> None:
        self._warn_once(f"the session's cookie is being set, which overrides {what}")

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self.log.warning(message)


document_options(SessionManager)
