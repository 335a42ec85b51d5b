"""Whether a path can become a store's: asked when the application starts, so that a directory that
is missing or read-only is a clear error there and not an unavailable store for each visitor."""

from __future__ import annotations

import os

from wsgi_sessions.errors import ConfigurationError

__all__ = ["check_writable"]


def check_writable(path: str, *, parents: bool = False) -> None:
    """Raise :exc:`~wsgi_sessions.ConfigurationError` if this user can neither write *path* nor
    create it. Nothing is created.

    The directory around *path* has to exist; with *parents* it may be one that will be made.
    """
    directory = os.path.dirname(path)
    while parents and not os.path.exists(directory):
        directory = os.path.dirname(directory)
    if not os.path.isdir(directory):
        raise ConfigurationError(f"the directory {directory} of {path} does not exist: create it")
    for place in (path, directory):
        if os.path.exists(place) and not _is_writable(place):
            raise ConfigurationError(f"{place} cannot be written to by this user")


def _is_writable(place: str) -> bool:
    if hasattr(os, "statvfs"):  # in /proc root is refused nothing, and creates nothing
        no_room = os.statvfs(place).f_blocks == 0 and not os.stat(place).st_mode & 0o222
    else:
        no_room = False
    return os.access(place, os.W_OK) and not no_room
