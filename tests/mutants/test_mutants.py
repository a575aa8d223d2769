"""The deliberate bugs still fit the code; `python -m mutants` applies them."""

from pathlib import Path

import pytest

from mutants.catalogue import MUTANTS, Mutant

RUNNER = Path(__file__).resolve().parents[2] / "runner"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_bug_can_still_be_made(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (RUNNER / edit.path).read_text().count(edit.old) == 1, edit.path
