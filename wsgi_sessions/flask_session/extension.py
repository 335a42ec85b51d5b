"""Drop-in for Flask-Session 0.8: its configuration keys and its interfaces, with our sessions.

.. code:: python

    from flask import Flask
    from wsgi_sessions.flask_session import Session

    app = Flask(__name__)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS="redis://localhost", SECRET_KEY="…")
    Session(app)

What became of every key is in ``docs/migrating.md``. Nothing connects to a server that was not
named. A new session is permanent unless ``SESSION_PERMANENT`` is false, and one that is not lives
as long in the store: ``PERMANENT_SESSION_LIFETIME`` after its last use.
"""

from __future__ import annotations

from typing import Any, Unpack

import flask

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.flask_session.base import (
    InterfaceOptions,
    ServerSideSessionInterface,
    check_options,
)
from wsgi_sessions.flask_session.interfaces import (
    CacheLibSessionInterface,
    DynamoDBSessionInterface,
    FileSystemSessionInterface,
    MemcachedSessionInterface,
    MongoDBSessionInterface,
    RedisSessionInterface,
    SqlAlchemySessionInterface,
)
from wsgi_sessions.manager import document_options

__all__ = ["Session"]

_COMMON = {
    "key_prefix": "SESSION_KEY_PREFIX",
    "use_signer": "SESSION_USE_SIGNER",
    "permanent": "SESSION_PERMANENT",
    "sid_length": "SESSION_ID_LENGTH",
    "serialization_format": "SESSION_SERIALIZATION_FORMAT",
    "cleanup_n_requests": "SESSION_CLEANUP_N_REQUESTS",
}

_INTERFACES: dict[str, tuple[type[ServerSideSessionInterface], dict[str, str]]] = {
    "redis": (RedisSessionInterface, {"client": "SESSION_REDIS"}),
    "memcached": (MemcachedSessionInterface, {"client": "SESSION_MEMCACHED"}),
    "filesystem": (
        FileSystemSessionInterface,
        {
            "cache_dir": "SESSION_FILE_DIR",
            "threshold": "SESSION_FILE_THRESHOLD",
            "mode": "SESSION_FILE_MODE",
        },
    ),
    "cachelib": (CacheLibSessionInterface, {"client": "SESSION_CACHELIB"}),
    "mongodb": (
        MongoDBSessionInterface,
        {
            "client": "SESSION_MONGODB",
            "db": "SESSION_MONGODB_DB",
            "collection": "SESSION_MONGODB_COLLECT",
        },
    ),
    "dynamodb": (
        DynamoDBSessionInterface,
        {"client": "SESSION_DYNAMODB", "table_name": "SESSION_DYNAMODB_TABLE"},
    ),
    "sqlalchemy": (
        SqlAlchemySessionInterface,
        {
            "client": "SESSION_SQLALCHEMY",
            "table": "SESSION_SQLALCHEMY_TABLE",
            "sequence": "SESSION_SQLALCHEMY_SEQUENCE",
            "schema": "SESSION_SQLALCHEMY_SCHEMA",
            "bind_key": "SESSION_SQLALCHEMY_BIND_KEY",
        },
    ),
}
"""For each ``SESSION_TYPE`` the interface, and the keys that its arguments come from."""


class Session:
    """Gives Flask applications the sessions that their ``SESSION_…`` keys describe.

    ``Session(app)``, or in an application factory ``sessions.init_app(app)``. *options* win over
    the configuration.

    Raises :exc:`~wsgi_sessions.ConfigurationError`, a ``ValueError``, for what cannot work, and
    warns of each key that has no effect.
    """

    def __init__(self, app: flask.Flask | None = None, **options: Unpack[InterfaceOptions]) -> None:
        self.app = app
        check_options(options)
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Build the store, wrap ``app.wsgi_app`` and replace the session interface. No I/O, except
        that a new directory may be made later."""
        kind = str(app.config.get("SESSION_TYPE")).lower()
        if kind not in _INTERFACES:
            raise ConfigurationError(
                f"SESSION_TYPE is {app.config.get('SESSION_TYPE')!r}, for which there is no store: "
                f"one of {', '.join(_INTERFACES)}, or with a store of your own "
                f"wsgi_sessions.flask.FlaskSessions(app, store=…)"
            )
        interface, keys = _INTERFACES[kind]
        given: dict[str, Any] = {
            name: app.config[key] for name, key in (_COMMON | keys).items() if key in app.config
        }
        app.session_interface = interface(app, **{**given, **self._options})


document_options(Session)
