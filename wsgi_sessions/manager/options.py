"""The options of a session manager: what callers give (:class:`Options`), and what the library
works with (:class:`Settings`).

To add an option, add its line to both classes, in the same order, and its paragraph to the
docstring of :class:`Options`. The constructors, ``help()``, type checkers and
:func:`~wsgi_sessions.manager.texts.options_from_text` then know it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from inspect import Parameter, cleandoc, isfunction, signature
from typing import Any, Literal, TypedDict, TypeVar

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.manager import values
from wsgi_sessions.manager.device import browser_and_system
from wsgi_sessions.manager.migrate import Reader
from wsgi_sessions.observe import Observer
from wsgi_sessions.record import Codec, MsgpackCodec
from wsgi_sessions.stores import Store, system_clock

__all__ = ["DEFAULT_MAX_BYTES", "Options", "Settings", "document_options", "settings_of"]

T = TypeVar("T")

DAY = 86_400.0
DEFAULT_MAX_BYTES = 1 << 20
MIN_KEY_LENGTH = 16


class Options(TypedDict, total=False):
    """How sessions behave. Durations are seconds or a ``timedelta``.

    secret = None
        Signs the cookie. ``None``: the environment's ``WSGI_SESSIONS_SECRET``, else a random key
        that the first worker puts into the store and all share.
    fallback_secrets = ()
        Older keys whose cookies are still accepted; if not given, those in the environment's
        ``WSGI_SESSIONS_FALLBACK_SECRETS``, with blanks between them.
    cookie_name = 'sid'
        The name of the cookie. ``__Host-`` and ``__Secure-`` names are checked against the other
        options.
    former_cookie_names = ()
        Names that the cookie had before. A cookie of one of them is looked at where the current one
        opens nothing, and is replaced. To be emptied after the longest lifetime.
    cookie_path = '/'
        The path below which browsers send the cookie.
    cookie_domain = None
        The domain whose hosts get the cookie; ``None``: this host only. Or a function of the WSGI
        environment that gives one of these.
    cookie_secure = None
        Whether browsers send the cookie over https only. ``None``: as the request came, by
        ``wsgi.url_scheme``.
    cookie_httponly = True
        Whether the cookie is hidden from scripts.
    cookie_samesite = 'Lax'
        ``"Lax"``, ``"Strict"``, ``"None"`` (which needs ``cookie_secure=True``), or ``None`` to
        leave the attribute out.
    cookie_partitioned = False
        Whether an embedded site has a cookie for each site around it; needs ``cookie_secure=True``.
    lifetime = 86400.0
        Idle time after which an ordinary session ends; its cookie ends with the browser. 1 day.
    permanent_lifetime = 2678400.0
        The same for ``session.permanent = True``, whose cookie outlives the browser. 31 days.
    permanent = False
        What new sessions start as, and ``clear()`` returns to.
    absolute_lifetime = 7776000.0
        The end counted from creation or login, whatever the activity; ``None`` for never. 90 days.
    renews = None
        A function of the WSGI environment: whether this request counts as activity (polling may
        not). A save in one that does not keeps the idle end of the session and sends no cookie,
        unless it changes who is logged in or how long the session lives. ``None``: every request
        counts.
    login_keys = ()
        Keys whose change is a login or a logout; the first of them that is present names the owner.
    fresh_keys = ()
        Keys whose becoming true is a new proof by the same user, and so a new secret.
    owner = None
        A function of the login key's value that gives the owner's text; ``None``: the text of the
        value itself.
    merge_keys = ()
        Keys whose dict entries and appended list items are merged when requests overlap.
    max_bytes = 1048576
        A larger record is :exc:`~wsgi_sessions.SessionTooLarge` before anything is sent.
    codec = MsgpackCodec()
        How a value becomes bytes.
    encryption_keys = None
        AES-256-GCM for records, bound to the record's key: 32 bytes each, also as hexadecimal or
        base64url text. The first encrypts, all decrypt. ``None`` in the list stands for records
        that are not encrypted, which are refused without it.
    migrate_from = None
        Where the sessions were kept before: a reader of :mod:`wsgi_sessions.migration`, a store of
        this library, or several.
    describe_device = browser_and_system
        A function of the WSGI environment whose text is kept at a login, so that a person can tell
        an owner's sessions apart; at most 100 characters. By default browser and system of the
        ``User-Agent``, "Firefox on Linux"; ``None``: nothing.
    on_store_error = 'raise'
        ``"anonymous"``: a failed load gives an empty session that is not saved, and a log entry.
    observer = None
        Hears every call to the store and every event: a
        :class:`~wsgi_sessions.observe.PrometheusObserver`, or an object with these two methods.
    environ_key = 'wsgi.session'
        The key in the WSGI environment under which the application finds its session.
    clock = time.time
        Gives the seconds since the epoch.
    """

    secret: str | bytes | None
    fallback_secrets: Sequence[str | bytes]
    cookie_name: str
    former_cookie_names: Sequence[str]
    cookie_path: str
    cookie_domain: str | Callable[[dict[str, Any]], str | None] | None
    cookie_secure: bool | None
    cookie_httponly: bool
    cookie_samesite: str | None
    cookie_partitioned: bool
    lifetime: float | timedelta
    permanent_lifetime: float | timedelta
    permanent: bool
    absolute_lifetime: float | timedelta | None
    renews: Callable[[dict[str, Any]], bool] | None
    login_keys: Sequence[str]
    fresh_keys: Sequence[str]
    owner: Callable[[Any], str | None] | None
    merge_keys: Sequence[str]
    max_bytes: int
    codec: Codec
    encryption_keys: Sequence[str | bytes | None] | None
    migrate_from: Reader | Store | Sequence[Reader | Store] | None
    describe_device: Callable[[dict[str, Any]], str | None] | None
    on_store_error: Literal["raise", "anonymous"]
    observer: Observer | None
    environ_key: str
    clock: Callable[[], float]


def _option(default: Any, check: Callable[[str, Any], T], shown: str = "") -> T:
    """A field of :class:`Settings`: what *check* makes of the caller's value, or of *default*."""
    made: T = field(default=default, metadata={"check": check, "shown": shown or repr(default)})
    return made


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """The :class:`Options` after every check: of one type each, defaults filled in."""

    secret: str | bytes | None = _option(None, values.signing_key)
    fallback_secrets: tuple[str | bytes, ...] = _option((), values.signing_keys)
    cookie_name: str = _option("sid", values.text)
    former_cookie_names: tuple[str, ...] = _option((), values.names)
    cookie_path: str = _option("/", values.text)
    cookie_domain: str | Callable[[dict[str, Any]], str | None] | None = _option(  # noqa: RUF009
        None, values.domain
    )
    cookie_secure: bool | None = _option(None, values.optional_boolean)
    cookie_httponly: bool = _option(True, values.boolean)
    cookie_samesite: str | None = _option("Lax", values.optional_text)
    cookie_partitioned: bool = _option(False, values.boolean)
    lifetime: float = _option(DAY, values.seconds)
    permanent_lifetime: float = _option(31 * DAY, values.seconds)
    permanent: bool = _option(False, values.boolean)
    absolute_lifetime: float | None = _option(90 * DAY, values.optional_seconds)
    renews: Callable[[dict[str, Any]], bool] | None = _option(  # noqa: RUF009
        None, values.optional_function
    )
    login_keys: tuple[str, ...] = _option((), values.names)
    fresh_keys: tuple[str, ...] = _option((), values.names)
    owner: Callable[[Any], str | None] | None = _option(  # noqa: RUF009
        None, values.optional_function
    )
    merge_keys: tuple[str, ...] = _option((), values.names)
    max_bytes: int = _option(DEFAULT_MAX_BYTES, values.byte_count)
    codec: Codec = _option(MsgpackCodec(), values.codec, "MsgpackCodec()")  # noqa: RUF009 - immutable
    encryption_keys: tuple[bytes | None, ...] = _option(None, values.encryption_keys)
    migrate_from: tuple[Reader | Store, ...] = _option(None, values.former_places)
    describe_device: Callable[[dict[str, Any]], str | None] | None = _option(  # noqa: RUF009
        browser_and_system, values.optional_function, "browser_and_system"
    )
    on_store_error: Literal["raise", "anonymous"] = _option("raise", values.on_failure)
    observer: Observer | None = _option(None, values.observer)  # noqa: RUF009
    environ_key: str = _option("wsgi.session", values.full_text)
    clock: Callable[[], float] = _option(system_clock, values.clock, "time.time")  # noqa: RUF009

    @property
    def lifetimes(self) -> tuple[float, float, float | None]:
        """Ordinary, permanent and absolute, in seconds."""
        return self.lifetime, self.permanent_lifetime, self.absolute_lifetime

    def check_key_length(self, log: ThrottledLog, *, in_cookie: bool) -> None:
        """Log a warning if a signing key can be guessed. *in_cookie*: refuse it, because it is all
        that guards a session."""
        keys = [key for key in (self.secret, *self.fallback_secrets) if key is not None]
        if all(len(key) >= MIN_KEY_LENGTH for key in keys):
            return
        problem = (
            f"a signing key is shorter than {MIN_KEY_LENGTH} characters and could be guessed: "
            f"python -c 'import secrets; print(secrets.token_hex())' makes a good one"
        )
        if in_cookie:
            raise ConfigurationError(f"CookieStore needs a longer secret: {problem}")
        log.warning(problem)


def settings_of(options: Options) -> Settings:
    """Check each of *options*, and fill in the environment's and the defaults.

    Raises :exc:`TypeError` for an unknown option or a value of a wrong type, and
    :exc:`~wsgi_sessions.ConfigurationError` for a value that cannot work.
    """
    check_names(options)
    given = _environment() | {
        name: value for name, value in options.items() if (name, value) != ("secret", None)
    }
    checked = {
        option.name: option.metadata["check"](option.name, given.get(option.name, option.default))
        for option in fields(Settings)
    }
    return Settings(**checked)


def check_names(options: object) -> None:
    """Raise :exc:`TypeError` for a name among *options* that is none of an option."""
    known = [option.name for option in fields(Settings)]
    for name in options if isinstance(options, dict) else ():
        if name not in known:
            of_cookie = [option for option in known if option == f"cookie_{name}"]
            near = of_cookie or get_close_matches(str(name), known, 1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise TypeError(f"there is no option {name!r}: {remedy}")


def _environment() -> dict[str, object]:
    secret = os.environ.get("WSGI_SESSIONS_SECRET")
    older = os.environ.get("WSGI_SESSIONS_FALLBACK_SECRETS", "").split()
    given = {"secret": secret, "fallback_secrets": older}
    return {name: value for name, value in given.items() if value}


def document_options(target: Any) -> None:
    """Let ``help()`` and :func:`inspect.signature` show the options that *target*, a class or a
    function, takes as keywords, with their types, defaults and descriptions."""
    init: Any = target if isfunction(target) else vars(target)["__init__"]
    shown = signature(init)
    own = [one for one in shown.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    types = Options.__annotations__
    options = [
        Parameter(
            option.name,
            Parameter.KEYWORD_ONLY,
            default=_Shown(option.metadata["shown"]),
            annotation=getattr(types[option.name], "__forward_arg__", types[option.name]),
        )
        for option in fields(Settings)
    ]
    init.__signature__ = shown.replace(parameters=[*own, *options])
    if target.__doc__ and Options.__doc__:  # python -OO has none
        table = cleandoc(Options.__doc__).partition("\n\n")[2]
        target.__doc__ = f"{cleandoc(target.__doc__)}\n\nOptions, by keyword:\n\n{table}\n"


class _Shown:
    """A default as the documentation writes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
