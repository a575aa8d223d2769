"""The deliberate bugs still fit the code; `python -m mutants` applies them."""

from pathlib import Path

import pytest

from mutants.catalogue import MUTANTS, Mutant

TESTS = Path(__file__).resolve().parents[1]
RUNNER = TESTS.parent / "runner"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_bug_can_still_be_made(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (RUNNER / edit.path).read_text().count(edit.old) == 1, edit.path


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_should_catch_it_are_there(mutant: Mutant) -> None:
    """A name that is not there falls through to the whole suite, silently."""
    missing = [name for name in mutant.tests if not (TESTS / name).exists()]
    assert missing == []
