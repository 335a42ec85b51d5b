"""Greenlets that are killed in the middle of an exchange with a store."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["assert_killed_greenlets_leave_no_answer"]

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import sys, time
import gevent
from wsgi_sessions import open_store
url, loads, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
later = time.time() + 3600
store = open_store(url)
keys = [f"key{number}" for number in range(20)]
for key in keys:
    store.save(key, key.encode(), expires_at=later, replacing=None)
answers = []
def use(key):
    for _ in range(loads):
        answers.append(store.load(key).data == key.encode())
for round in range(5):
    greenlets = [gevent.spawn(use, key) for key in keys]
    gevent.sleep(pause * round)
    gevent.killall(greenlets[::2])
    gevent.joinall(greenlets[1::2], raise_error=True)
gevent.joinall([gevent.spawn(use, key) for key in keys], raise_error=True)
store.close()
print(len(answers), all(answers))
"""


def assert_killed_greenlets_leave_no_answer(
    url: str, *, loads: int, pause: float, more_than: int
) -> None:
    """To the next exchange, in the store at *url*: in five rounds half of 20 greenlets, which make
    so many *loads* each, are killed after 0, 1, … times *pause* seconds. The others get *more_than*
    that many answers, all right."""
    command = [sys.executable, "-c", PROGRAM, url, str(loads), str(pause)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stderr
    answers, right = result.stdout.split()
    assert int(answers) > more_than
    assert right == "True"
