"""The policy: when to load, save and renew, and which cookie goes out."""

from __future__ import annotations

from wsgi_sessions.manager.application import check_application
from wsgi_sessions.manager.body import Body, close_body
from wsgi_sessions.manager.layers import layers_of
from wsgi_sessions.manager.manager import Finished, SessionManager
from wsgi_sessions.manager.migrate import OldSession, Reader
from wsgi_sessions.manager.nested import adopt_login_keys, manager_of
from wsgi_sessions.manager.options import Options, Settings, document_options, settings_of
from wsgi_sessions.manager.owners import OpenedSession, SessionInfo
from wsgi_sessions.manager.renaming import renamed_options
from wsgi_sessions.manager.store import StoreOrURL, check_place, store_of
from wsgi_sessions.manager.texts import options_from_text

__all__ = [
    "Body",
    "Finished",
    "OldSession",
    "OpenedSession",
    "Options",
    "Reader",
    "SessionInfo",
    "SessionManager",
    "Settings",
    "StoreOrURL",
    "adopt_login_keys",
    "check_application",
    "check_place",
    "close_body",
    "document_options",
    "layers_of",
    "manager_of",
    "options_from_text",
    "renamed_options",
    "settings_of",
    "store_of",
]
