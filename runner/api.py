"""Everything the commands do, as calls: `Run` and `run`. Never prints, never exits.

Floor: faces. The library ends here.
"""

import contextlib
import dataclasses
import inspect
import os
import signal
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.api_records import (
    BackedUp,
    Changes,
    Finish,
    ItemStory,
    Plan,
    Progress,
    Rejudged,
    Salvaged,
    Unresolved,
    Verified,
)
from runner.checkpoint.locks import owner_of, refuse_out_of_reach
from runner.checkpoint.manifest import Manifest
from runner.clock import SystemClock
from runner.config import (
    Format,
    Output,
    Pacing,
    RunConfig,
    Service,
    TaskSpec,
    default_output,
)
from runner.engines.spawned import leave_if_importing_main
from runner.errors import RunnerError
from runner.fitting import at_the_door, unknown_names
from runner.keys import (
    NO_KEY_NEEDED,
    SIMULATED_KEY,
    check_apart,
    checked_key,
    resolve_key,
)
from runner.run_folder import STATE_DIR
from runner.run_status import RunState, RunStatus
from runner.session.backing_up import back_up
from runner.session.changes import changed_config
from runner.session.exporting import export_run
from runner.session.naming import find_run, find_run_at_work
from runner.session.rejudging import rejudge
from runner.session.salvaging import salvage_run
from runner.session.starting import create_run, plan_run
from runner.session.story import story_of, unresolved_of
from runner.session.verifying import verify_run
from runner.session.working import Wishes, work
from runner.summary import Summary
from runner.supervisor.heartbeat import read_status
from runner.supervisor.stop_request import request_stop


class Run:
    """One run on disk: look at it, work on it, export it."""

    def __init__(self, folder: Path) -> None:
        """Open the run in `folder`; RunNotFound or StateError if there is none."""
        leave_if_importing_main()
        # The user's code may change the working directory.
        self.folder = folder.absolute()
        self.name = Manifest.load(folder).run

    @property
    def config(self) -> RunConfig:
        """What the run was told, as last changed."""
        return Manifest.load(self.folder).config

    @classmethod
    @at_the_door
    def start(
        cls,
        config: RunConfig,
        *,
        name: str | None = None,
        state_dir: Path = STATE_DIR,
        new: bool = False,
        on_progress: Progress | None = None,
    ) -> "Run":
        """Check everything and create a run; nothing is sent before `work`.

        Args:
            config: What to ask, whom, how fast, and where the answers go.
            name: The run's name; by default the stem of the items file.
            state_dir: Where runs live.
            new: Begin another run although one on these items exists: pays again.
            on_progress: Told how far the items are read.

        Raises:
            UsageError: For what the user gave (items, task, output, server ...).
            RunExists: A run of that name, or on those items, is there already.
        """
        leave_if_importing_main()
        folder = create_run(
            config,
            name=name,
            state_dir=state_dir.absolute(),
            new=new,
            clock=SystemClock(),
            on_progress=on_progress,
        )
        return cls(folder)

    @classmethod
    @at_the_door
    def plan(
        cls,
        config: RunConfig,
        *,
        name: str | None = None,
        state_dir: Path = STATE_DIR,
        new: bool = False,
        on_progress: Progress | None = None,
    ) -> Plan:
        """What `start` would do with the same words; nothing is created or sent.

        Raises what `start` would raise, but for a server that does not answer:
        nobody is asked.
        """
        return plan_run(
            config, name=name, state_dir=state_dir, new=new, on_progress=on_progress
        )

    @classmethod
    @at_the_door
    def open(cls, name: str | None = None, state_dir: Path = STATE_DIR) -> "Run":
        """The run of that name; without one the latest unfinished, else the latest."""
        return cls(find_run(state_dir, name))

    @classmethod
    @at_the_door
    def at_work(cls, state_dir: Path = STATE_DIR) -> "Run | None":
        """The run that is being worked on, if any; UsageError if there are several."""
        folder = find_run_at_work(state_dir)
        return None if folder is None else cls(folder)

    @at_the_door
    def work(
        self,
        *,
        api_key: str | None = None,
        changes: Changes | None = None,
        accept_changes: bool = False,
        retry_failed: bool = False,
        retry_invalid: bool = False,
        on_status: Callable[[RunStatus], None] | None = None,
        on_progress: Progress | None = None,
    ) -> Finish:
        """Ask what has no outcome yet; when all is finished, write the files.

        In the main thread Ctrl-C and SIGTERM drain: nothing new starts, what is
        paid for is recorded.

        Args:
            api_key: The key; by default from the place the config names. Where
                nothing is left to ask none is needed.
            changes: What is told anew.
            accept_changes: Go on although items, task, model or server changed.
            retry_failed: Ask failed items again.
            retry_invalid: Ask items again whose answers stayed invalid.
            on_status: Called about once a second, and at the end.
            on_progress: Told how far items are read and files written.

        Raises:
            StateError: Locked, changed or damaged; nothing was sent.
            UsageError: What was told anew, or the key, cannot be used.
            StoreError: The checkpoint cannot be opened.
        """
        wishes = Wishes(
            changes=changes,
            accept_changes=accept_changes,
            retry_failed=retry_failed,
            retry_invalid=retry_invalid,
        )
        return work(
            self.folder,
            api_key=self._key(api_key, wishes),
            wishes=wishes,
            clock=SystemClock(),
            on_status=on_status or (lambda _: None),
            on_progress=on_progress,
        )

    resume = work

    def _key(self, given: str | None, wishes: Wishes) -> str:
        service = changed_config(self.config, wishes.changes).service
        if given is None and wishes.ask_nobody(self.status()):
            return NO_KEY_NEEDED
        return _key_for(service, given)

    def status(self) -> RunStatus:
        """One look, from any process, while it runs or after; takes no lock."""
        return read_status(self.folder)

    def unresolved(self) -> Unresolved:
        """Requests that may have been billed without an answer."""
        return unresolved_of(self.folder)

    @at_the_door
    def show(self, item: str) -> ItemStory:
        """All attempts of one item, given by its id or as `line:N`."""
        return story_of(self.folder, item)

    @at_the_door
    def export(
        self,
        *,
        processed_path: Path | None = None,
        format: Format = Format.JSONL,  # noqa: A002 - as the command line calls it
        overwrite: bool = False,
        on_progress: Progress | None = None,
    ) -> Summary:
        """Write processed, failed and summary files as of now.

        Args:
            processed_path: The first; the others go beside it. By default the run's
                own, for another `format` than `jsonl` `<stem>_<format>.jsonl`.
            format: What a line is.
            overwrite: Replace files that this run has not written.
            on_progress: Told how many lines are written.

        Raises OutputError, RunChanged for an items file that is needed, StateError.
        """
        return export_run(
            self.folder,
            processed_path=processed_path,
            in_format=format,
            overwrite=overwrite,
            on_progress=on_progress,
        )

    @at_the_door
    def rejudge(
        self, changes: Changes | None = None, *, on_progress: Progress | None = None
    ) -> Rejudged:
        """Judge all stored answers by the rules as they are now; sends nothing."""
        return rejudge(
            self.folder, changes, clock=SystemClock(), on_progress=on_progress
        )

    @at_the_door
    def verify(self, *, on_progress: Progress | None = None) -> Verified:
        """Read everything and say whether it is sound; writes nothing."""
        return verify_run(self.folder, on_progress=on_progress)

    @at_the_door
    def backup(self, folder: Path, *, on_progress: Progress | None = None) -> BackedUp:
        """Copy the run to a folder that is not there yet, also while it goes on.

        The copy is read again before it gets its name. Raises OutputError for the
        folder, StateDamaged if the run is not sound.
        """
        return back_up(self.folder, folder, on_progress=on_progress)

    @at_the_door
    def salvage(self, *, on_progress: Progress | None = None) -> Salvaged:
        """Bring what is readable into a new run beside this one; sends nothing.

        Items that may have had an answer are held back: `work` refuses until it is
        told `accept_changes`. Raises StateDamaged without a manifest or items.
        """
        return salvage_run(self.folder, on_progress=on_progress)

    def stop(self) -> bool:
        """Have a running session drain (SIGTERM); False if none runs.

        One that drains already is left alone: a second signal would give up what is
        in flight. Raises RunLocked if it runs where no signal of ours reaches it.
        """
        owner = owner_of(self.folder)
        if owner is None or not owner.is_alive():
            refuse_out_of_reach(self.folder)
            return False
        if self._drains():
            return True
        with contextlib.suppress(OSError):
            # On a full disk the run is stopped all the same, by "SIGTERM".
            request_stop(self.folder, owner)
        return owner.is_alive() and _is_told_to_end(owner.pid)

    def _drains(self) -> bool:
        try:
            return self.status().state is RunState.DRAINING
        except RunnerError:
            return False  # damaged: stopped all the same


@at_the_door
def run(  # noqa: PLR0913 - the library's face: each is one thing a user may say
    items: str | Path,
    *,
    prompt: str | None = None,
    task: str | Path | None = None,
    model: str | None = None,
    params: dict[str, Any] | None = None,
    rpm: int | None = None,
    tpm: int | None = None,
    max_cost_usd: Decimal | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    state_dir: str | Path = STATE_DIR,
    new: bool = False,
    engine: str = "local",
    api_key: str | None = None,
    on_status: Callable[[RunStatus], None] | None = None,
    **more: Any,
) -> Finish:
    """Start a run on `items` and work on it until it is finished or has to stop.

    `more` takes any further field of TaskSpec, Service, Pacing or Output by name,
    for example `schema_path=...`, `base_url=...`, `workers=4`. For the rest see
    `Run.start` and `Run.work`. With the `local` engine a script needs
    `if __name__ == "__main__":` round this call, because workers are processes.
    """
    items_path = Path(items)
    told = {
        **more,
        "prompt": prompt,
        "task_path": Path(task) if task else more.get("task_path"),
        "model": model,
        "params": params or {},
        "rpm": rpm,
        "tpm": tpm,
        "max_cost_usd": max_cost_usd,
    }
    output = default_output(items_path, Path(out) if out else None)
    config = RunConfig(
        items_path=items_path,
        id_field=told.pop("id_field", None),
        on_bad_line=told.pop("on_bad_line", "stop"),
        task=TaskSpec(**_taken(told, TaskSpec)),
        service=Service(**_taken(told, Service)),
        pacing=Pacing(**_taken(told, Pacing)),
        output=dataclasses.replace(output, **_taken(told, Output)),
        engine=engine,
    )
    if told:
        raise unknown_names("run", told, _KNOWN)
    config = _fitting(config)
    key = _key_for(config.service, api_key)  # before anything of it is stored
    started = Run.start(config, name=name, state_dir=Path(state_dir), new=new)
    return started.work(api_key=key, on_status=on_status)


@at_the_door
def _fitting(config: RunConfig) -> RunConfig:
    """The config as it is wanted; UsageError that names every value that is not."""
    return config


_KNOWN = {
    *inspect.signature(run).parameters.keys() - {"more"},
    *("id_field", "on_bad_line"),
    *(f.name for kind in (TaskSpec, Service, Pacing, Output) for f in fields(kind)),
}
"""All that `run` may be told."""


def _taken(told: dict[str, Any], kind: type) -> dict[str, Any]:
    """The fields of `kind` among what was told; they are taken out of it."""
    names = {f.name for f in dataclasses.fields(kind)} & told.keys()
    return {name: told.pop(name) for name in names}


def _key_for(service: Service, given: str | None) -> str:
    """The key, as a header can carry it, apart from the base URL that is stored."""
    if service.scenario is not None:
        return SIMULATED_KEY
    if given is not None:
        key = checked_key(given, "api_key")
    else:
        key = resolve_key(service.api_key_env, service.api_key_path, None)
    check_apart(key, service.base_url)
    return key


def _is_told_to_end(pid: int) -> bool:
    """False: it has ended by itself just now."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True
