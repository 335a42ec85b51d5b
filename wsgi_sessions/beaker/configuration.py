"""Beaker's options, and what they amount to here.

Beaker's names stand in a dict or an ini file with ``session.`` or ``beaker.session.`` before them.
The options of this library may stand among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from wsgi_sessions.beaker.session import domain_of
from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import Options, Settings, StoreOrURL, options_from_text
from wsgi_sessions.migration import BeakerReader
from wsgi_sessions.stores import open_store, parse_boolean, parse_duration, parse_integer

__all__ = ["Configuration"]

PREFIXES = ("beaker.session.", "session.")
OURS = frozenset(Options.__annotations__) - {"environ_key"}
MONTH = timedelta(days=31)
"""The idle time where Beaker has no ``timeout``, so that its sessions end with the browser."""

BOOLEANS = ("secure", "httponly", "auto", "save_accessed_time", "invalidate_corrupt", "use_cookies")
BEAKERS = frozenset(
    (
        *BOOLEANS,
        *("type", "key", "secret", "timeout", "cookie_expires", "cookie_domain", "cookie_path"),
        *("samesite", "data_serializer", "encrypt_key", "validate_key", "encrypt_nonce_bits"),
        *("crypto_type", "webtest_varname", "log_file", "data_dir", "file_dir", "dbm_dir"),
        *("lock_dir", "url", "urls", "sa_opts", "sa.url", "table_name", "schema_name", "bind"),
        *("table", "memcache_module", "dbmmodule", "trust_pickles", "store"),
    )
)
REFUSED = {
    "session_class": "environ['beaker.session'] is a BeakerSession",
    "namespace_class": "give a store: SessionMiddleware(app, config, store=…)",
    "id": "an id alone opens nothing",
}
OF_THE_READER = (
    *("type", "key", "secret", "timeout", "cookie_expires", "data_serializer", "encrypt_key"),
    *("validate_key", "encrypt_nonce_bits", "trust_pickles", "data_dir", "file_dir", "dbm_dir"),
    *("url", "urls", "sa.url", "table_name", "schema_name", "bind", "table", "lock_dir"),
)


class Configuration:
    """What *config*, a dict of many things, and *given*, Beaker's options alone, say. Raises
    :exc:`TypeError` and :exc:`~wsgi_sessions.ConfigurationError`, by Beaker's name."""

    def __init__(self, config: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self._all = {**_prefixed(config), **given, **_prefixed(given)}
        self._all = {name: one for name, one in self._all.items() if not name.startswith(PREFIXES)}
        _check(self._all)
        self._said = {
            name: _parsed(name, value) for name, value in self._all.items() if name in BEAKERS
        }
        if self._said.get("use_cookies") is False:
            raise ConfigurationError("session.use_cookies is false: a session needs its cookie")
        options = self._said.get("sa_opts") or {}
        if "sa.url" in options:
            self._said.setdefault("url", options["sa.url"])
        self._said = {name: one for name, one in self._said.items() if one is not None}
        default = "file" if "data_dir" in self._said else "memory"
        self._kind: str = self._said.get("type") or default

    @property
    def variable(self) -> str | None:
        """The name under which WebTest is to find the session."""
        return self._said.get("webtest_varname")

    def store(self) -> StoreOrURL:
        """The store that takes the place of Beaker's."""
        said = self._said
        if "store" in said:
            named: StoreOrURL = said["store"]
            return named
        if self._kind == "cookie":
            return CookieStore()
        return open_store(_url(self._kind, said))

    def options(self, *, keeps_records: bool) -> Options:
        """The options of the middleware. *keeps_records*: whether old sessions can be migrated."""
        said = self._said
        options: dict[str, Any] = {
            "cookie_name": said.get("key", "beaker.session.id"),
            "cookie_domain": self._domain(),
            "cookie_path": said.get("cookie_path", Settings.cookie_path),
            "cookie_secure": said.get("secure") or None,
            "cookie_httponly": said.get("httponly", Settings.cookie_httponly),
            "cookie_samesite": said.get("samesite", Settings.cookie_samesite),
            **self._lifetimes(),
        }
        secret = said.get("validate_key" if self._kind == "cookie" else "secret")
        if secret is not None:
            options["secret"] = secret
        if "encrypt_key" in said and keeps_records:
            options["encryption_keys"] = [_derived(said["encrypt_key"])]
        if keeps_records and "migrate_from" not in self._all:
            reader = {name: said[name] for name in OF_THE_READER if name in said}
            options["migrate_from"] = BeakerReader(**reader)
        return {**options, **self._own()}  # type: ignore[typeddict-item]

    def _own(self) -> Options:
        own = {name: one for name, one in self._all.items() if name in OURS - BEAKERS}
        texts = {name: one for name, one in own.items() if isinstance(one, str)}
        return {**own, **options_from_text(texts)}  # type: ignore[typeddict-item]

    def _domain(self) -> Any:
        configured = self._said.get("cookie_domain")
        return lambda environ: domain_of(environ.get(Settings.environ_key), configured)

    def _lifetimes(self) -> dict[str, Any]:
        """Beaker bounds the store's record by ``timeout`` and the cookie by ``cookie_expires``."""
        expires, timeout = self._said.get("cookie_expires", True), self._said.get("timeout")
        idle = MONTH.total_seconds() if timeout is None else timeout
        bounds = [one for one in (timeout, expires) if one is not None and one is not True]
        bounds = [one for one in bounds if one is not False] or [idle]
        return {
            "lifetime": idle,
            "permanent": expires is not True,
            "permanent_lifetime": min(bounds),
            "absolute_lifetime": max(Settings.absolute_lifetime or idle, idle),
        }


def _prefixed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options among *config* that have one of the prefixes."""
    found = {}
    for name, value in config.items():
        for prefix in PREFIXES:
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = value
                break
    return found


def _check(given: Mapping[str, Any]) -> None:
    for name in given:
        if name in REFUSED:
            raise ConfigurationError(f"session.{name} has no counterpart here: {REFUSED[name]}")
        if name not in BEAKERS | OURS:
            near = get_close_matches(name, BEAKERS | OURS, 1)
            hint = f": did you mean session.{near[0]}?" if near else ""
            raise TypeError(f"there is no option session.{name}{hint}")


def _parsed(name: str, value: Any) -> Any:
    shown = f"session.{name}"
    if isinstance(value, timedelta):
        return value.total_seconds()
    if name == "cookie_expires":
        return _expires(shown, value)
    if isinstance(value, str):
        if name in (*BOOLEANS, "trust_pickles"):
            return parse_boolean(shown, value)
        if name == "timeout":
            return parse_duration(shown, value)
        if name == "encrypt_nonce_bits":
            return parse_integer(shown, value)
    return value


def _expires(shown: str, value: Any) -> Any:
    """``True``: with the browser; ``False``: never; or seconds."""
    if isinstance(value, str):
        if value.strip().lower() in ("true", "yes", "on", "y", "t"):
            return True
        if value.strip().lower() in ("false", "no", "off", "n", "f"):
            return False
        return parse_duration(shown, value)
    if not isinstance(value, (bool, int, float)):
        raise ConfigurationError(f"{shown} is a {type(value).__name__}: True, False or seconds")
    return value


def _derived(key: str) -> bytes:
    """Ours, of 32 bytes, of Beaker's ``encrypt_key``."""
    return sha256(f"wsgi_sessions.beaker:{key}".encode()).digest()


def _url(kind: str, said: Mapping[str, Any]) -> str:
    """What :func:`~wsgi_sessions.open_store` is to open for Beaker's type *kind*."""
    if kind == "memory":
        return "memory://"
    if kind in ("file", "dbm"):
        directory = said.get("data_dir") or said.get(f"{kind}_dir")
        if directory is None:
            raise ConfigurationError(f"session.type is {kind!r}, which needs session.data_dir")
        return (Path(directory).absolute() / "sessions").as_uri()
    url = said.get("url") or said.get("urls") or said.get("sa.url")
    if kind not in _SCHEMES:
        raise ConfigurationError(f"session.type is {kind!r}: known are {', '.join(_KINDS)}")
    if not isinstance(url, str):
        raise ConfigurationError(
            f"session.type is {kind!r}, which needs session.url as text: for a client or an engine "
            f"give a store, SessionMiddleware(app, config, store=RedisStore(client))"
        )
    return _SCHEMES[kind](url)


def _cluster(url: str) -> str:
    nodes = [one.strip().partition("://") for one in url.split(",")]
    return f"{nodes[0][0]}+cluster://{','.join(address for _, _, address in nodes)}"


_SCHEMES: dict[str, Callable[[str], str]] = {
    "ext:redis": lambda url: url,
    "ext:rediscluster": _cluster,
    "ext:memcached": lambda url: f"memcached://{url.replace(';', ',')}",
    "ext:mongodb": lambda url: url,
    "ext:database": lambda url: url.replace("sqlite:", "sqlite+pysqlite:", 1),
    "ext:sqla": lambda url: url.replace("sqlite:", "sqlite+pysqlite:", 1),
}
_KINDS = ("memory", "file", "dbm", "cookie", *_SCHEMES)
