"""Killed while changed items are taken over, a run has the old ones or the new ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_stage import Killed, Stage

from runner.checkpoint.manifest import Manifest
from runner.errors import RunChanged, UsageError
from runner.itemfile import ItemIndex, read_rejected
from runner.run_status import RunState
from runner.session import working
from runner.supervisor.opened import OpenRun

BEFORE, AFTER = ("a", "b", "c", "d"), ("a", "x", "d", "y", "z")
BAD_LINE = "no item at all\n"
Patch = pytest.MonkeyPatch


def killing(
    patch: Patch, owner: type, name: str, *, first: bool, when: Callable[[Any], bool]
) -> None:
    """Everything ends before, or right after, that call."""
    real = getattr(owner, name)

    def killed(self: Any, *given: Any) -> Any:
        if not when(self):
            return real(self, *given)
        if not first:
            real(self, *given)
        raise Killed

    patch.setattr(owner, name, killed)


def index_of(stage: Stage) -> ItemIndex:
    """The index that counts."""
    return ItemIndex.open(stage.run.folder / stage.manifest.index)


def append_bad_line(path: Path) -> None:
    """One line more that is left out."""
    with path.open("a") as stream:
        stream.write(BAD_LINE)


STEPS = [
    ("before the index", ItemIndex, "save", True),
    ("after the index", ItemIndex, "save", False),
    ("before the manifest", Manifest, "save", True),
    ("after the manifest", Manifest, "save", False),
]


@pytest.fixture
def stopped(stage: Stage, monkeypatch: Patch, request: Any) -> Stage:
    """Finished with the old items, then killed at one step of taking the new ones."""
    _, owner, name, first = request.param
    stage.start(*BEFORE, on_bad_line="skip")
    stage.session()
    stage.write_items(*AFTER)
    append_bad_line(stage.items_path)

    def is_the_switch(written: Any) -> bool:
        # Later saves of the same manifest only add marks.
        return not isinstance(written, Manifest) or written.items == len(AFTER)

    with monkeypatch.context() as patch:
        killing(patch, owner, name, first=first, when=is_the_switch)
        with pytest.raises(Killed):
            stage.session(accept_changes=True)
    return stage


@pytest.mark.parametrize("stopped", STEPS, ids=lambda s: s[0], indirect=True)
def test_index_manifest_and_lines_left_out_belong_together(stopped: Stage) -> None:
    manifest = stopped.manifest
    rejected = list(read_rejected(stopped.run.folder / manifest.rejected))
    is_new = manifest.items == len(AFTER)
    assert len(index_of(stopped)) == manifest.items
    assert len(rejected) == is_new
    if not is_new:
        stopped.write_items(*BEFORE)
    assert stopped.run.export(overwrite=True).rejected_lines == is_new


@pytest.mark.parametrize("stopped", STEPS, ids=lambda s: s[0], indirect=True)
def test_the_new_items_are_asked_once_they_are_accepted_again(stopped: Stage) -> None:
    finish = stopped.session(accept_changes=True)
    assert stopped.asked == [1, 3, 4]
    assert finish.status.totals.valid == len(AFTER)
    assert finish.status.totals.answered == len(BEFORE) + 3
    assert stopped.session().nothing_left


@pytest.mark.parametrize("stopped", STEPS[:3], ids=lambda s: s[0], indirect=True)
def test_putting_the_old_items_back_leaves_nothing_to_do(stopped: Stage) -> None:
    """Nothing was accepted: the run has never heard of the new ones."""
    stopped.write_items(*BEFORE)
    assert stopped.session().nothing_left


@pytest.mark.parametrize("stopped", STEPS, ids=lambda s: s[0], indirect=True)
def test_what_no_manifest_names_is_gone_a_session_later(stopped: Stage) -> None:
    stopped.session(accept_changes=True)
    stopped.session()
    named = {stopped.manifest.index, stopped.manifest.rejected}
    left = {
        path.name
        for path in stopped.run.folder.iterdir()
        if path.name.lstrip(".").startswith(("items.", "rejected."))
    }
    assert left == named


def test_a_refused_change_changes_nothing(stage: Stage) -> None:
    stage.start(*BEFORE)
    stage.session()
    before = stage.manifest
    stage.write_items(*AFTER)
    with pytest.raises(RunChanged, match="2 items unchanged, 0 changed, 3 new"):
        stage.session()
    assert stage.manifest == before


def test_one_line_that_changed_is_called_a_line(stage: Stage) -> None:
    stage.start("a", "b")
    stage.session()
    stage.write_items("a", "c")
    with pytest.raises(RunChanged, match=r"removed \(line 2\)"):
        stage.session()


def test_a_resume_that_is_refused_has_taken_nothing_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2: put back, the items are those that were answered."""

    def refuse(_: object) -> None:
        raise UsageError("68 open files are needed")

    stage.start(*BEFORE)
    stage.session()
    stage.write_items(*AFTER)
    monkeypatch.setattr(working, "check_descriptors", refuse)
    with pytest.raises(UsageError, match="68 open files"):
        stage.session(accept_changes=True)
    monkeypatch.undo()
    stage.write_items(*BEFORE)
    assert stage.run.status().state is RunState.FINISHED
    assert stage.session().nothing_left


def test_a_run_with_new_items_to_ask_is_not_called_finished(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first sign of life: a bare resume has to find it."""
    stage.start(*BEFORE)
    stage.session()
    stage.write_items(*BEFORE, "new")

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(OpenRun, "ask_anew", killed)
    with pytest.raises(Killed):
        stage.session(accept_changes=True)
    status = stage.run.status()
    assert (RunState.STOPPED, 1) == (status.state, status.pending)
