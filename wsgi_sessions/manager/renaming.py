"""Errors about options by the names that a framework's settings have for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from wsgi_sessions.errors import ConfigurationError

__all__ = ["renamed_options"]


@contextmanager
def renamed_options(names: Mapping[str, str]) -> Iterator[None]:
    """Let a :exc:`~wsgi_sessions.ConfigurationError` or :exc:`TypeError` of the block say *names*,
    by option, in the place of the options."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(_renamed(str(error), names)) from None
    except TypeError as error:
        raise TypeError(_renamed(str(error), names)) from None


def _renamed(message: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\b[a-z_]+\b", lambda found: names.get(found[0], found[0]), message)
