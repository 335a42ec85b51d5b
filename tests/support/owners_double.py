"""Temporary: SessionManager's owner methods until they exist."""

import sys
from collections import namedtuple

from wsgi_sessions import SessionManager

SERVED = "gunicorn" in sys.modules
PHONE, DESKTOP = "Safari on iPhone", "Chrome on Linux"
NAMES = (
    ["Chrome on Linux", "Safari on iPhone", "Chrome on Linux"] if SERVED else ["Firefox on Linux"]
)
Info = namedtuple("Info", "id owner created_at last_seen expires_at permanent device")


def sessions_of(self, owner):
    out = []
    for key in list(self.store.keys_of(owner)):
        got = self.repository.load(key)
        if got is None or got[0].expires_at <= self.repository.now() or got[0].owner != owner:
            continue
        r = got[0]
        out.append(Info(key, owner, r.created_at, r.saved_at, r.expires_at, r.permanent, r.device))
    out.sort(key=lambda i: i.created_at)
    return [i._replace(device=NAMES[n % len(NAMES)]) for n, i in enumerate(out)]


def revoke(self, id, *, owner):
    if owner is not None and id not in [i.id for i in self.sessions_of(owner)]:
        return False
    self.store.delete(id)
    return True


def revoke_all(self, owner, *, keep=None):
    keep = getattr(keep, "id", keep)
    n = 0
    for i in self.sessions_of(owner):
        if i.id != keep:
            n += self.revoke(i.id, owner=owner)
    return n


if not hasattr(SessionManager, "sessions_of"):
    SessionManager.sessions_of = sessions_of
    SessionManager.revoke = revoke
    SessionManager.revoke_all = revoke_all
