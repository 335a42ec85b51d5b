"""Load by ``wrk``: requests per second and the 99th percentile of the time to an answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

CONNECTIONS = 8
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class WrkMissing(Exception):
    """``sudo apt-get install wrk``"""


class Load(NamedTuple):
    requests: int
    per_second: float
    p99: float
    """Seconds."""
    failed: int


def load(url: str, cookies: Sequence[str], directory: Path, *, seconds: float) -> Load:
    """Ask for *url* over 8 connections, with these ``Cookie`` headers in turn."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise WrkMissing("wrk is not installed: sudo apt-get install wrk")
    script = directory / "cookies.lua"
    script.write_text(_script(cookies))
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency"]
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True
    )
    return _parse(done.stdout)


def _script(cookies: Sequence[str]) -> str:
    """Requests are made up once: the load generator should cost as little as it can."""
    return f"""
local cookies = {{{", ".join(map(json.dumps, cookies or [""]))}}}
local requests, turn = {{}}, 0
init = function()
  for number, cookie in ipairs(cookies) do
    local headers = {{}}
    if cookie ~= "" then headers["Cookie"] = cookie end
    requests[number] = wrk.format("GET", nil, headers)
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


def _parse(output: str) -> Load:
    def find(pattern: str, default: str = "0") -> str:
        found = re.search(pattern, output)
        return found[1] if found else default

    number, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", output)[0]
    return Load(
        requests=int(find(r"(\d+) requests in")),
        per_second=float(find(r"Requests/sec:\s+([\d.]+)")),
        p99=float(number) * _SECONDS[unit],
        failed=int(find(r"Non-2xx or 3xx responses: (\d+)")),
    )
