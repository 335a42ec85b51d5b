"""The tests that Django has for every engine of its own, for ours: copied into Django's tests."""

from __future__ import annotations

from django.test import TestCase
from sessions_tests.tests import SessionTestsMixin

from wsgi_sessions.django import SessionStore


class OurEngineTests(SessionTestsMixin, TestCase):
    backend = SessionStore
