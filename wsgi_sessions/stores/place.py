"""Whether a path can become a store's: asked when the application starts, so that a directory that
is missing or read-only is a clear error there and not an unavailable store for each visitor. And
whether it is the store's alone: who else can write to it can log in as anybody."""

from __future__ import annotations

import contextlib
import os

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable

__all__ = ["check_private", "check_private_database", "check_writable", "create_private"]

BESIDE = ("", "-wal", "-journal")
"""What SQLite reads with a file: it finds there what was not yet written into it."""


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


def check_private(what: str, status: os.stat_result, *, group: bool = False) -> None:
    """Raise :exc:`~wsgi_sessions.StoreUnavailable` if somebody else can write to *what*, which has
    that *status*: another user may have put records there for us to find. With *group* its group
    may. On Windows, which has access lists and reports a mode of 777, nothing is refused."""
    if not hasattr(os, "geteuid"):
        return
    others = 0o002 if group else 0o022
    trusted = (os.geteuid(), 0)
    if status.st_mode & others or (status.st_uid not in trusted and not group):
        raise StoreUnavailable(
            f"{what} can be written to by other users: chown it to this user and chmod it to "
            f"keep {'all but its group' if group else 'the others'} from writing"
            f"{'' if group else ', or pass group=True if its group shares the sessions'}",
            applied=False,
        )


def check_private_database(path: str, *, group: bool = False) -> None:
    """:func:`check_private` of SQLite's file *path*, and of those beside it whose content it takes
    over, which who may write to the directory can have put there. Of none that does not exist."""
    for name in (path + suffix for suffix in BESIDE):
        with contextlib.suppress(OSError):
            check_private(f"SQLite database {name}", os.stat(name), group=group)


def create_private(path: str, mode: int = 0o600) -> None:
    """Create the empty file *path* with that *mode*, whatever the umask, unless it exists. Raises
    nothing: who opens it will say what is wrong."""
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            if mode != 0o600:
                os.chmod(path, mode)
        finally:
            os.close(file)
