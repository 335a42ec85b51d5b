"""What gunicorn serves: the contender that the environment names, or its bare application."""

from __future__ import annotations

import json
import os

from benchmarks.contenders import CONTENDERS

_pair = CONTENDERS[os.environ["BENCHMARK_CONTENDER"]].make(
    json.loads(os.environ["BENCHMARK_PLACES"])
)
application = _pair.bare if os.environ.get("BENCHMARK_BARE") else _pair.application
