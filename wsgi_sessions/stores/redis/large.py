"""Large records: written under a name of their own, then renamed.

How this works. A script that is given a whole record keeps the server busy with it: 66 µs for
50 KB, 1.7 ms for 1 MB, since Lua copies its arguments. So a large one is sent by a ``SET`` under a
second name in the same slot, and a script, in the same packet, compares the versions and renames:
8 µs and 10 µs.

Rules for maintainers: the second name has the new version in it, so that no two saves share one. It
lives for ten seconds, and the script removes it whenever it refuses. A server that does not rename
(``RENAME`` refused, or a proxy that takes the second name elsewhere) answers -1, having changed
nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from wsgi_sessions.stores.redis.client import Server
from wsgi_sessions.stores.redis.replies import Elsewhere, NoScript, NotPermitted
from wsgi_sessions.stores.redis.scripts import LISTS, ConditionalWrite, Scripts, write_of
from wsgi_sessions.stores.redis.watched import (
    BESIDE_MILLISECONDS,
    Beside,
    Command,
    replace,
    save_owned,
)

__all__ = ["LARGE_BYTES", "REPLACE_LARGE", "SAVE_OWNED_LARGE", "LargeWrites"]

logger: logging.Logger = logging.getLogger("wsgi_sessions")

LARGE_BYTES = 4096
"""Of data; below, a second command costs more than it saves."""

_COMPARED = """
local second = KEYS[#KEYS]
local function without(reply) redis.call('DEL', second) return reply end
local there = redis.pcall('GETRANGE', KEYS[1], 0, 7)
if type(there) == 'table' then return without(there) end
if there == ARGV[2] then return without(1) end
if there ~= ARGV[1] then return without(0) end
"""
_RENAMED = """
if redis.call('PEXPIRE', second, ARGV[3]) == 0 then return -1 end
if redis.pcall('RENAME', second, KEYS[1]).err then return without(-1) end
return 1
"""

REPLACE_LARGE: ConditionalWrite = write_of(_COMPARED + _RENAMED, 2, replace)
SAVE_OWNED_LARGE: ConditionalWrite = write_of(
    LISTS.functions + _COMPARED + LISTS.changed + _RENAMED, 4, save_owned
)


class LargeWrites:
    """Does conditional writes of large records at *server*, of keys under *prefix*."""

    def __init__(self, server: Server, scripts: Scripts, prefix: str) -> None:
        self._server = server
        self._scripts = scripts
        self._prefix = prefix
        self.renames: bool = True
        """Whether the server renames, as far as is known."""

    def run(
        self,
        large: ConditionalWrite,
        small: ConditionalWrite,
        arguments: Command,
        deadline: float,
    ) -> Any:
        """As :meth:`Scripts.run` does *small*, a save that deletes nothing: by *large* where the
        server renames. *arguments* are those of *small*."""
        done = None
        if self.renames and self._scripts.permitted:
            done = self._renamed(large, arguments, deadline)
        if done == -1:
            self.renames, done = False, None
            logger.warning(
                "Redis does not RENAME large records: a script writes them, which keeps the server "
                "busy; RedisStore's documentation has the ACL line"
            )
        if done is None:
            return self._scripts.run(small, arguments, deadline, is_save=True)
        return done

    def _renamed(self, write: ConditionalWrite, arguments: Command, deadline: float) -> Any:
        """1, 0 or -1, or ``None`` where it cannot be done."""
        call, beside = self._server.call, self._beside
        try:
            try:
                command = beside(write, ("EVALSHA", write.sha), arguments)
                return call(command, deadline, replicated=True, recognisable=True)
            except NoScript:
                command = beside(write, ("EVAL", write.text), arguments)
                return call(command, deadline, replicated=True, recognisable=True)
        except (NotPermitted, Elsewhere):
            return None  # the small way copes with it

    def _beside(
        self, write: ConditionalWrite, script: tuple[str, bytes], arguments: Command
    ) -> Beside:
        own_keys = write.keys - 1
        names, (replacing, value, left, *others) = arguments[:own_keys], arguments[own_keys:]
        name, version = names[0], value[0]
        suffix = version.hex()
        # In the same slot of a cluster: what is in the first braces decides, else the whole name.
        tagged = "{" in self._prefix
        second = f"{name}:{suffix}" if tagged else f"{self._prefix}{{{name}}}:{suffix}"
        return Beside(
            ("SET", second, value, "PX", BESIDE_MILLISECONDS),
            (*script, write.keys, *names, second, replacing, version, left, *others),
        )
