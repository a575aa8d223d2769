"""Which runs there are, and which name a new one may have.

Floor: the run.
"""

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from runner.checkpoint.locks import is_worked_on
from runner.checkpoint.manifest import Manifest
from runner.config import Output
from runner.errors import (
    OutputError,
    RunExists,
    RunNotFound,
    StateDamaged,
    StateTooNew,
    UsageError,
)
from runner.finalizer import full_paths
from runner.itemfile import digest_of
from runner.run_folder import MANIFEST, folder_of
from runner.run_status import RunState
from runner.supervisor.heartbeat import read_status

_UNREADABLE = (StateDamaged, StateTooNew, PermissionError)
_KIND = re.compile("_(processed|failed|summary)$")
_NAME = re.compile(r"[^\W_][\w.\- ]{0,99}")


def check_name(name: str) -> str:
    """The name, if it can be a run's: never a path, never hidden."""
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise UsageError(
            f"{name!r} cannot be the name of a run",
            "letters, digits, '-', '_', '.' and spaces, at most 100; the first is a"
            " letter or digit, the last no '.' or space (--name)",
        )
    return name


def refuse_known(state_dir: Path, name: str, items_path: Path) -> None:
    """RunExists if a run of that name, or on those items, is there already."""
    folder = folder_of(state_dir, name)
    if folder.exists() and not (folder / MANIFEST).exists():
        raise StateDamaged(
            f"{folder} exists, but its {MANIFEST} is missing",
            "put it back from a copy, or give this run another --name",
        )
    for folder in run_folders(state_dir):
        try:
            manifest = Manifest.load(folder)
        except _UNREADABLE:
            if folder.name == name:
                raise
            continue  # somebody else's run: its own commands say what is wrong
        is_same = _is_same_file(manifest.config.items_path, items_path)
        if folder.name == name and not is_same:
            raise RunExists(
                f"there is a run {name} already, on {manifest.config.items_path}",
                "give this one another --name",
            )
        if is_same:
            raise _known(folder, manifest)


def _is_same_file(known: Path, given: Path) -> bool:
    """Through links and `..`; one that is gone is none that is given now."""
    try:
        return known.samefile(given)
    except OSError:
        return False


def refuse_shared_output(state_dir: Path, output: Output, ours: str = "") -> None:
    """OutputError if another run than ours is to write, or wrote, one of these."""
    owners = _owners(state_dir)
    for path, target in full_paths(output).items():
        if owners.get(path, ours) != ours:
            raise OutputError(
                f"{target} belongs to run {owners[path]}",
                "write elsewhere with --out, or replace it with --overwrite",
            )


def free_name(state_dir: Path, name: str) -> str:
    """The name, or the first of name-2, name-3 ... that no run has."""
    number, free = 2, name
    while folder_of(state_dir, free).exists():
        free, number = f"{name}-{number}", number + 1
    return free


def output_beside(state_dir: Path, output: Output, word: str) -> Output:
    """Files beside these, named alike with a word more: of no run, not there yet."""
    owners = _owners(state_dir)
    for number in itertools.count(1):
        more = word if number == 1 else f"{word}-{number}"
        found = dataclasses.replace(
            output,
            processed_path=_with_word(output.processed_path, more),
            failed_path=_with_word(output.failed_path, more),
            summary_path=_with_word(output.summary_path, more),
            overwrite=False,
        )
        paths = full_paths(found)
        if not any(path in owners or os.path.lexists(path) for path in paths):
            return found
    raise AssertionError("there is always a number more")


def find_run(state_dir: Path, name: str | None) -> Path:
    """The run of that name; without one the latest unfinished, else the latest."""
    if name is not None:
        folder = folder_of(state_dir, check_name(name))
        if not (folder / MANIFEST).exists():
            known = ", ".join(sorted(f.name for f in run_folders(state_dir)))
            raise RunNotFound(
                f"there is no run {name} in {state_dir}",
                f"there is: {known}" if known else "runner start ITEMS, or --state-dir",
            )
        return folder
    folders = sorted(
        run_folders(state_dir), key=lambda f: (f / MANIFEST).stat().st_mtime
    )
    if not folders:
        raise RunNotFound(
            f"there are no runs in {state_dir.absolute()}",
            "runner start ITEMS, or --state-dir with the folder they are in",
        )
    unfinished = [f for f in folders if _is_unfinished(f)]
    return (unfinished or folders)[-1]


def find_run_at_work(state_dir: Path) -> Path | None:
    """The one run that is being worked on, if any; UsageError for several."""
    at_work = [folder for folder in run_folders(state_dir) if is_worked_on(folder)]
    if len(at_work) > 1:
        names = ", ".join(folder.name for folder in at_work)
        raise UsageError(f"several runs are being worked on: {names}", "name one")
    return at_work[0] if at_work else None


def run_folders(state_dir: Path) -> Iterator[Path]:
    """Folders of all runs, those with damaged state included.

    Not those of other accounts, which are closed to us: one run as root must not be
    in the way of everybody else's.
    """
    if not state_dir.is_dir():
        return
    for folder in sorted(state_dir.iterdir()):
        if _is_run(folder) and not folder.name.startswith("."):
            yield folder


def _is_run(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).is_file()
    except PermissionError:
        return False


def _owners(state_dir: Path) -> dict[str, str]:
    """Which run writes a file, by the file's full path."""
    owners: dict[str, str] = {}
    for folder in run_folders(state_dir):
        try:
            output = Manifest.load(folder).config.output
        except _UNREADABLE:
            continue  # nobody knows what it writes; its own commands complain
        owners.update(dict.fromkeys(full_paths(output), folder.name))
    return owners


def _with_word(path: Path, word: str) -> Path:
    stem = _KIND.sub("", path.stem)
    return path.with_name(f"{stem}-{word}{path.name.removeprefix(stem)}")


def _is_unfinished(folder: Path) -> bool:
    try:
        return read_status(folder).state is not RunState.FINISHED
    except (StateDamaged, StateTooNew):
        return True
    except PermissionError:
        return False


def _known(folder: Path, manifest: Manifest) -> RunExists:
    """What to say of a run on the very items: what it holds, which ways are open."""
    name, status = folder.name, read_status(folder)
    done = status.items - status.pending
    message = f"run {name} holds {done:,} of {status.items:,} answers"
    if is_worked_on(folder):
        return RunExists(message, f"it is being worked on, see `runner status {name}`")
    new = "--new pays again" if done else "--new begins another"
    if digest_of(manifest.config.items_path).sha256 != manifest.items_sha256:
        again = f"`runner resume {name} --accept-changes` asks new and changed ones"
        return RunExists(message, f"the items have changed since: {again}; {new}")
    if status.left:
        return RunExists(message, f"`runner resume {name}`; {new}")
    return RunExists(message, f"`runner export {name}` writes them again; {new}")
