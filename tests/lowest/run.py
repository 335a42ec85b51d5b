"""``python -m tests.lowest.run``: the tests of all that speaks to another library."""

from __future__ import annotations

import sys

import pytest

TESTED = [
    "tests/lowest/stores.py",
    "tests/cookie",  # itsdangerous
    "tests/test_middleware.py",  # Werkzeug
    "tests/flask",
    "tests/pyramid",
    "tests/record/test_encryption.py",  # cryptography
    "tests/cli/test_demo.py",  # click
]

IGNORED = [
    "tests/flask/test_ecosystem.py",  # of extensions of today's Flask
]

DESELECTED = [
    "expire or last_accepted or purge or test_keys",  # they wait for a server's clock, not a client
    "test_flask_sessions_ or without_a_secret_says",  # Click's own test runner has changed
    "what_listens_for_exceptions",  # Flask 2.2 has signals only if blinker is installed
]


def main() -> int:
    """Run them; the exit status."""
    return pytest.main(
        [
            *("-q", "-r", "fE", "-W", "ignore", "-p", "tests.lowest.old_client"),
            *(f"--ignore={path}" for path in IGNORED),
            *("-k", f"not ({' or '.join(DESELECTED)})"),
            *TESTED,
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
