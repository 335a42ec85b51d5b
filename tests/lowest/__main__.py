"""``python -m tests.lowest``: the oldest release of each library, as constraints for pip.

Those are the lower bounds of the package's dependencies and extras: a bound is no wish, it is what
the tests have run over.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[a-z0-9-]+)(\[[a-z]+\])?>=(?P<version>[0-9.]+)")


def constraints() -> Iterator[str]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    for requirement in sorted({*project["dependencies"], *extras}):
        if not requirement.startswith("wsgi-sessions["):
            bound = BOUND.fullmatch(requirement)
            assert bound, f"{requirement!r} has no lower bound"
            yield f"{bound['name']}=={bound['version']}"


if __name__ == "__main__":
    print("\n".join(constraints()))
