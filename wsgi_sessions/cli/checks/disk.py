"""Problems with a file or directory of sessions, and their remedies."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress

from wsgi_sessions.cli.checks.finding import Finding, Level

MIN_FREE_BYTES = 64 * 2**20
"""Some ten thousand sessions, and SQLite's log."""

MIN_FREE_INODES = 10_000

NETWORK = re.compile(r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|glusterfs|fuse\.\w*(ssh|gluster)\w*")


def check_private(path: str) -> Finding:
    """Whether only its owner can look into the file or directory at *path*."""
    status = os.stat(path)
    if os.name == "nt":
        return Finding(Level.NOTE, f"access rights of {path} not checked: Windows has others")
    if not status.st_mode & 0o077:
        return Finding(Level.OK, f"{path} is for its owner alone")
    mode = "700" if stat.S_ISDIR(status.st_mode) else "600"
    return Finding(
        Level.WARNING,
        f"{path} has mode {status.st_mode & 0o777:03o}",
        "other users of this machine can look into it",
        f"chmod {mode} {path}",
    )


def check_owner(path: str) -> Finding | None:
    """An error if another user than the application's looks, who would leave files that the
    application cannot open."""
    if os.name == "nt":
        return None
    owner, user = os.stat(path).st_uid, os.geteuid()
    if owner == user:
        return None
    return Finding(
        Level.ERROR,
        f"{path} belongs to user {owner}, and this is user {user}",
        "nothing was stored to try it, since the application could not open what is left",
        "run this as the application's user",
    )


def check_creatable(path: str) -> Finding:
    """Whether *path*, which does not exist, can be made by this user."""
    parent = os.path.dirname(path)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if os.access(parent, os.W_OK | os.X_OK):
        return Finding(Level.NOTE, f"{path} is not there: the first session makes it")
    return Finding(
        Level.ERROR,
        f"{path} is not there, and this user cannot make it",
        "sessions cannot be kept there",
        f"write permission in {parent}",
    )


def check_room(path: str) -> Iterator[Finding]:
    """Whether there is room for more, as far as this user may use it."""
    if os.name == "nt":
        return
    status = os.statvfs(path)
    space = status.f_bavail * status.f_frsize
    full = space < MIN_FREE_BYTES or (status.f_files and status.f_favail < MIN_FREE_INODES)
    yield Finding(
        Level.WARNING if full else Level.OK,
        f"{space / 2**20:,.0f} MiB and {status.f_favail:,} files free at {path}",
        *(["no session can be stored when the disk is full", "make room"] if full else []),
    )


def check_local(path: str) -> Iterator[Finding]:
    """Whether *path* is on a file system of another machine, as far as Linux shows it."""
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        kind = kind_of(os.path.realpath(path), mounts)
        if NETWORK.fullmatch(kind):
            yield Finding(
                Level.ERROR,
                f"{path} is on a network file system ({kind})",
                "locks do not hold there, and sessions are lost or damaged",
                "a local disk, or a store with a server",
            )


def kind_of(path: str, mounts: Iterator[str] | list[str]) -> str:
    """The kind of the file system that *path* is on, of the lines of ``mountinfo``: the last of
    the mounts that go deepest."""
    deepest, kind = -1, ""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields.split()[4])
        if os.path.commonpath([point, path]) == point and len(point) >= deepest:
            deepest, kind = len(point), rest.split()[0]
    return kind
