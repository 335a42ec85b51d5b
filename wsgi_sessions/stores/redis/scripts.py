"""Conditional writes: each as a script, and as a transaction where the server permits no scripts.

How this works. A script takes one round trip, a transaction of :mod:`watched` two. That the user
may not run scripts is noticed at the first one, and remembered.

Rules for maintainers: scripts take the version of their own record for success, so that one whose
reply was lost can be sent again. What may fail for lack of memory or rights comes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from wsgi_sessions.stores.redis import watched
from wsgi_sessions.stores.redis.client import Server
from wsgi_sessions.stores.redis.replies import NoScript, NotPermitted
from wsgi_sessions.stores.redis.watched import Command, Transaction

__all__ = [
    "LIST",
    "LISTS",
    "REPLACE",
    "SAVE_OWNED",
    "UNLIST",
    "ConditionalWrite",
    "Scripts",
    "write_of",
]


class ConditionalWrite(NamedTuple):
    """A write whose arguments are the names of its *keys* and then its values."""

    text: bytes
    sha: bytes
    keys: int
    watched: Callable[..., Transaction]
    """Makes the transaction of the same arguments."""


def write_of(text: str, keys: int, watched: Callable[..., Transaction]) -> ConditionalWrite:
    """That of the script *text*, whose arguments begin with so many *keys*."""
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return ConditionalWrite(text.encode(), digest.encode(), keys, watched)


# Compare-and-set of the version in front of the data. Done again after its reply was lost, it
# finds its own version and says yes.
REPLACE = write_of(
    """
local there = redis.call('GETRANGE', KEYS[1], 0, 7)
if there ~= ARGV[1] and there ~= string.sub(ARGV[2], 1, 8) then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
""",
    1,
    watched.replace,
)


class _Lists(NamedTuple):
    """What scripts do with the lists of owners; for what these consist of see owners.py."""

    functions: str
    changed: str
    """Puts the key on the list of its owner and takes it off that of the former one; the record's
    own name stands for no list."""


LISTS = _Lists(
    """
local function unlist(name, key) redis.call('ZREM', name, key, '@' .. key) end
local function list(name, key, now, ends, left, keep)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', name, '-' .. now, '(0', 'LIMIT', 0, 100)) do
    unlist(name, string.sub(old, 2))
  end
  local added
  if keep == '1' then added = redis.call('ZADD', name, 'NX', now, key)
  else added = redis.call('ZADD', name, now, key) end
  redis.call('ZADD', name, '-' .. ends, '@' .. key)
  if redis.call('PTTL', name) < tonumber(left) then redis.call('PEXPIRE', name, left) end
  return added
end
""",
    """
if KEYS[2] ~= KEYS[1] then
  list(KEYS[2], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
end
if KEYS[3] ~= KEYS[1] then unlist(KEYS[3], ARGV[4]) end
""",
)

# REPLACE, or a creation, with the lists of the owner and of the former one.
SAVE_OWNED = write_of(
    LISTS.functions
    + """
local there = redis.call('GETRANGE', KEYS[1], 0, 7)
if there ~= ARGV[1] and there ~= string.sub(ARGV[2], 1, 8) then return 0 end
"""
    + LISTS.changed
    + """
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
""",
    3,
    watched.save_owned,
)

# The list alone; whether it is a new entry.
LIST = write_of(
    LISTS.functions + "return list(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])",
    1,
    watched.list_key,
)

# Take keys off that were listed before a time.
UNLIST = write_of(
    LISTS.functions
    + """
for number = 2, #ARGV do
  local listed_at = redis.call('ZSCORE', KEYS[1], ARGV[number])
  if not listed_at or tonumber(listed_at) < tonumber(ARGV[1]) then
    unlist(KEYS[1], ARGV[number])
  end
end
return 1
""",
    1,
    watched.unlist,
)


class Scripts:
    """Does conditional writes at *server*."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.permitted: bool = True
        """Whether the server lets us run scripts, as far as is known."""

    def run(
        self,
        write: ConditionalWrite,
        arguments: Command,
        deadline: float,
        *,
        is_save: bool = False,
    ) -> Any:
        """Do it: what the script returns, or the transaction. *is_save*: it recognises its own
        work, and replicas have to acknowledge it where they are waited for."""
        text, sha, keys, transaction = write
        call = self._server.call
        if self.permitted:
            try:
                try:
                    command = ("EVALSHA", sha, keys, *arguments)
                    return call(command, deadline, replicated=is_save, recognisable=is_save)
                except NoScript:  # the server is new, or was flushed: it gets the text
                    command = ("EVAL", text, keys, *arguments)
                    return call(command, deadline, replicated=is_save, recognisable=is_save)
            except NotPermitted:
                self.permitted = False
        return self.transact(transaction(*arguments), deadline)

    def transact(self, transaction: Transaction, deadline: float) -> Any:
        """As a transaction, whether or not scripts are permitted."""
        return self._server.call(transaction, deadline, replicated=True, recognisable=True)
