"""What a resume was told to ask anew is asked, whatever comes in between."""

from typing import Any

import pytest
from session_stage import Killed, Script, Stage, valid_but

from runner.api_records import Changes
from runner.errors import StateDamaged
from runner.records import OutcomeState
from runner.run_status import RunStatus, StopKind

ITEMS = ("a", "b", "c", "d", "e", "f", "g", "h")
INVALID, FAILED, VALID = OutcomeState.INVALID, OutcomeState.FAILED, OutcomeState.VALID


@pytest.fixture
def night(stage: Stage) -> Stage:
    """A finished run: rows 1, 3, 5 and 7 stayed invalid, row 6 failed."""
    stage.start(*ITEMS)

    def state(row: int) -> OutcomeState:
        return FAILED if row == 6 else INVALID if row % 2 else VALID

    stage.session(Script(states=state))
    assert stage.manifest.asking_anew is None
    return stage


def killed_midway(night: Stage, after: int, **wishes: Any) -> None:
    """A retry of which so many items are answered, and one is under way."""
    with pytest.raises(Killed):
        night.session(Script(killed_after=after), **wishes)
    night.engines[-1].close()


@pytest.mark.parametrize("clock_jump_s", [0.0, -86_400.0, 86_400.0])
def test_a_plain_resume_goes_on_with_the_retry_whatever_the_clock_says(
    night: Stage, clock_jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_midway(night, 1, retry_invalid=True)
    assert night.run.status().anew == 3
    assert night.run.status().unresolved == 1
    monkeypatch.setattr(night.clock, "unix_s", lambda: 1_700_000_000 + clock_jump_s)

    finish = night.session()

    assert night.asked == [3, 5, 7]
    assert finish.status.totals.open == 0
    assert finish.status.totals.lost == 1
    assert night.states() == [VALID] * 6 + [FAILED, VALID]


def test_once_the_retry_is_done_nothing_is_asked_a_third_time(night: Stage) -> None:
    """Also where it did not help."""
    killed_midway(night, 2, retry_invalid=True)
    night.session(Script(states=lambda _row: INVALID))
    assert night.asked == [5, 7]
    assert night.manifest.asking_anew is None

    assert night.session().nothing_left
    assert night.run.status().anew == 0


def test_what_became_invalid_in_the_retry_itself_is_not_asked_again(
    night: Stage,
) -> None:
    """It has had its turn; so has an item that was answered for the first time."""
    night.write_items(*ITEMS, "new")
    with pytest.raises(Killed):
        night.session(
            Script(states=lambda _row: INVALID, killed_after=3),
            retry_invalid=True,
            accept_changes=True,
        )
    night.session()
    assert night.asked == [7, 8]
    assert night.states()[1] is INVALID


def test_a_second_wish_is_added_to_the_first(night: Stage) -> None:
    killed_midway(night, 1, retry_invalid=True)
    killed_midway(night, 0, retry_failed=True)
    night.session()
    assert night.asked == [3, 5, 6, 7]


def test_a_rejudgement_in_between_takes_out_only_what_it_finds_valid(
    night: Stage,
) -> None:
    killed_midway(night, 1, retry_invalid=True)
    # Answers read "row N, attempt M": row 3 is good by the new rule, 5 and 7 are not.
    rule = Changes(valid_regex="(?s).*row [0-346].*|.*row 1, attempt 2.*")
    night.run.rejudge(rule)
    assert night.run.status().anew == 2

    night.session()
    assert night.asked == [5, 7]


def test_a_worker_that_dies_in_the_retry_leaves_nothing_out(night: Stage) -> None:
    finish = night.session(Script(worker_dies_at=3), retry_invalid=True)
    assert night.asked == [1, 3, 5, 7]
    assert finish.status.totals.open == 0
    assert finish.status.totals.lost == 1
    assert night.manifest.asking_anew is None


def test_a_limit_ends_the_session_and_not_the_retry(night: Stage) -> None:
    finish = night.session(retry_invalid=True, changes=Changes(limit=2))
    assert finish.stop is not None
    assert finish.stop.kind is StopKind.LIMIT
    night.session()
    assert night.asked == [5, 7]


def test_a_retry_under_way_tells_how_many_are_still_to_be_asked_anew(
    night: Stage,
) -> None:
    seen: list[tuple[int, int]] = []

    def look(status: RunStatus) -> None:
        shown = night.run.status()
        assert (status.anew, status.pending) == (shown.anew, shown.pending)
        seen.append((status.anew, status.left))

    night.session(retry_invalid=True, on_status=look)
    assert seen[0] == (4, 4)
    assert seen[-1] == (0, 0)


def test_what_a_limit_left_of_a_retry_is_in_the_status_for_people_and_programs(
    night: Stage,
) -> None:
    finish = night.session(retry_invalid=True, changes=Changes(limit=1))
    for status in (finish.status, night.run.status()):
        assert status.anew == 3
        assert status.pending == 0
        assert status.to_json()["items"]["to_be_asked_anew"] == 3


def test_a_list_of_the_retry_that_was_altered_is_refused(night: Stage) -> None:
    killed_midway(night, 1, retry_invalid=True)
    path = night.run.folder / str(night.manifest.asking_anew)
    path.write_bytes(path.read_bytes().replace(b"5", b"4"))
    with pytest.raises(StateDamaged, match="checksum"):
        night.session()
    path.unlink()
    with pytest.raises(StateDamaged, match="missing"):
        night.session()


def test_lists_of_retries_that_are_over_do_not_pile_up(night: Stage) -> None:
    for _ in range(2):
        killed_midway(night, 1, retry_invalid=True)
    night.session()
    night.session()
    assert not list(night.run.folder.glob("*asking-anew*"))


def test_one_invalid_item_more_is_asked_when_only_that_is_wished(night: Stage) -> None:
    """A retry that was not interrupted asks exactly what was wished."""
    night.session(Script(states=valid_but(3, state=INVALID)), retry_invalid=True)
    night.session(retry_invalid=True)
    assert night.asked == [3]
