"""The page "Your devices": where an owner is logged in, and a button to log out each of them.

>>> from wsgi_sessions import SessionManager
>>> from wsgi_sessions.devices import DevicesPage
>>> page = DevicesPage(SessionManager("sqlite:///sessions.db"))

:class:`DevicesPage` is a WSGI application to mount inside the session middleware, and a Flask
blueprint. It has no script, stores nothing, and shows everybody only their own sessions.
"""

from __future__ import annotations

from wsgi_sessions.devices.page import DevicesPage
from wsgi_sessions.devices.templates import Device, Templates, View
from wsgi_sessions.devices.words import Words

__all__ = ["Device", "DevicesPage", "Templates", "View", "Words"]
