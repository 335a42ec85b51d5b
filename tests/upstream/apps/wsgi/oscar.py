"""A shop, as Oscar's documentation says under "Building your own shop"."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
