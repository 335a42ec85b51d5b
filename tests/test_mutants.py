"""The deliberate mutants of ``make mutants`` can still be made."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsgi_sessions
from tests.mutants import MUTANTS, Mutant

PACKAGE = Path(wsgi_sessions.__file__).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file} {mutant.breaks}")
def test_there_is_what_a_mutant_replaces(mutant: Mutant) -> None:
    source = (PACKAGE / mutant.file).read_text()
    assert mutant.old in source
    assert mutant.old != mutant.new
