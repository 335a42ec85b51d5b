"""For ``INSTALLED_APPS``, where the system checks are wanted in every ``manage.py check``."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["SessionsConfig"]


class SessionsConfig(AppConfig):
    """No models, no commands: importing the package has registered its checks."""

    name = "wsgi_sessions.django"
    label = "wsgi_sessions"
