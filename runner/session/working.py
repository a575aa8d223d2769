"""One start or resume, from the lock to the exported files.

Floor: the run.
"""

import contextlib
import dataclasses
import logging
import logging.handlers
import math
import os
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path

from runner import engines
from runner.api_records import Changes, Finish, Progress
from runner.checkpoint.anew import load_due
from runner.checkpoint.manifest import Manifest
from runner.clock import Clock
from runner.config import RunConfig
from runner.durable import blaming_the_disk, open_private
from runner.errors import OutputError, RunChanged, StoreError
from runner.itemfile import ItemIndex, digest_of
from runner.records import OutcomeState
from runner.run_folder import LOG
from runner.run_status import RunState, RunStatus, Stop, StopKind
from runner.session.changes import changed_config, check_unchanged, identity_of
from runner.session.exporting import export_run
from runner.session.naming import refuse_shared_output
from runner.session.noting import as_allowed_now, check_ours, set_room_aside
from runner.session.simulating import server_for
from runner.session.survey import Survey
from runner.supervisor.concurrency import check_descriptors, concurrency_for
from runner.supervisor.heartbeat import (
    began_unix_s,
    read_status,
    write_heartbeat,
    write_last_words,
)
from runner.supervisor.loop import Supervisor
from runner.supervisor.opened import OpenRun, holding
from runner.supervisor.signals import Signals, listening

_LOG_BYTES = 10_000_000
_LOG_FILES = 10
_log = logging.getLogger("runner.session")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a session is to do besides going on."""

    changes: Changes | None = None
    accept_changes: bool = False
    retry_failed: bool = False
    retry_invalid: bool = False

    def ask_nobody(self, status: RunStatus) -> bool:
        """Whether nothing is left to ask: the files can be written without a key."""
        totals = status.totals
        anew = totals.failed * self.retry_failed + totals.invalid * self.retry_invalid
        return not (status.left or anew or self.accept_changes)


def work(
    run_folder: Path,
    *,
    api_key: str,
    wishes: Wishes,
    clock: Clock,
    on_status: Callable[[RunStatus], None],
    on_progress: Progress | None,
) -> Finish:
    """Work on a run until it is finished or has to stop.

    Raises RunLocked, RunChanged, StateDamaged, UsageError or StoreError before
    anything is sent, and HalfJudged where a rejudgement is to be finished first.
    """
    # Signals are heard from the first request until the files are written.
    with blaming_the_disk(run_folder), contextlib.ExitStack() as heard:
        with contextlib.ExitStack() as opened:
            manifest = opened.enter_context(holding(run_folder, clock))
            manifest = _ready(run_folder, manifest, wishes, on_progress)
            config = opened.enter_context(server_for(run_folder, manifest.config))
            opened.enter_context(_logging_to(run_folder / LOG))
            run = OpenRun(run_folder, manifest, config, api_key, clock, opened)
            run.ask_anew(_states(wishes))
            check_descriptors(run.decide_concurrency())
            nothing_left = not len(run.backlog)
            signals = heard.enter_context(listening(clock))
            if nothing_left:
                finish = _nothing_left(run, on_status)
            else:
                set_room_aside(run_folder)
                finish = _supervise(run, opened, signals, on_status)
        if finish.status.state is not RunState.FINISHED:
            return finish
        return _with_files(run_folder, finish, signals, on_progress)


def _nothing_left(run: OpenRun, on_status: Callable[[RunStatus], None]) -> Finish:
    """Every item had its outcome before: no session, and no new beginning of one."""
    before = read_status(run.folder)
    status = dataclasses.replace(
        before,
        state=RunState.FINISHED,
        stopped_because=None,
        unresolved=before.totals.open,
        in_flight=0,
        started_unix_s=began_unix_s(run.folder),
        heartbeat_unix_s=run.clock.unix_s(),
    )
    write_heartbeat(run.folder, status)
    on_status(status)
    _log.info("nothing is left to do")
    return Finish(stop=None, status=status, summary=None, nothing_left=True)


def _supervise(
    run: OpenRun,
    opened: contextlib.ExitStack,
    signals: Signals,
    on_status: Callable[[RunStatus], None],
) -> Finish:
    engine = engines.load(run.config.engine)
    opened.callback(engine.close)
    supervisor = Supervisor(run, engine, run.clock, signals, on_status)
    run.begin_session(supervisor.totals())
    _log.info("session begins: %d items to do", len(run.backlog))
    stop = supervisor.work()
    is_finished = supervisor.is_finished
    if is_finished and (signals.drain or (stop and stop.kind is StopKind.LIMIT)):
        # A signal after the last item changes nothing, and it was the last anyway.
        stop = None
    status = supervisor.status(RunState.FINISHED if is_finished else RunState.STOPPED)
    _note_end(run, supervisor, stop, status)
    on_status(status)
    _log.info("session ends: %s", stop.message if stop else "every item has an outcome")
    return Finish(stop=stop, status=status, summary=None)


def _note_end(
    run: OpenRun, supervisor: Supervisor, stop: Stop | None, status: RunStatus
) -> None:
    """Note how the session ended: each note by itself, where the disk is full.

    Raises StoreError or OSError if a session that ended well cannot be noted.
    """

    def session() -> None:
        run.end_session(supervisor.totals(), stop)
        if status.state is RunState.FINISHED:
            run.forget_asked_anew()

    notes = (
        session,
        lambda: run.mark(supervisor.totals_by_slot()),
        lambda: write_last_words(run.folder, status),
    )
    for note in notes:
        try:
            note()
        except (StoreError, OSError) as error:
            if stop is None:
                raise
            # Why it stopped matters more than that this is not on disk.
            _log.warning("the end of the session is not noted in full: %s", error)


class _BrokenOff(Exception):
    """Somebody does not want to wait until the files are written."""


def _with_files(
    run_folder: Path, finish: Finish, signals: Signals, on_progress: Progress | None
) -> Finish:
    """Write the files of a finished run; only a second signal keeps it from that."""

    def told(what: str, done: int, total: int) -> None:
        # Called before the first row and after the last: nothing is replaced then.
        if signals.abandon:
            raise _BrokenOff
        if on_progress:
            on_progress(what, done, total)

    try:
        summary = export_run(run_folder, on_progress=told)
    except _BrokenOff:
        stop = Stop(
            kind=signals.drain or StopKind.INTERRUPTED,
            message="a second signal came while the files were being written; every"
            " item has its outcome, and `runner export` writes them",
        )
        status = dataclasses.replace(finish.status, state=RunState.STOPPED)
        return dataclasses.replace(finish, stop=stop, status=status)
    except OutputError as error:
        name = run_folder.name
        then = f"`runner export {name}` writes the files then"
        raise OutputError(
            f"every item of run {name} has its outcome on record, but {error.message}",
            "; ".join(filter(None, (error.hint, then))),
        ) from error
    return dataclasses.replace(finish, summary=summary)


def _ready(
    run_folder: Path,
    manifest: Manifest,
    wishes: Wishes,
    on_progress: Progress | None,
) -> Manifest:
    """The manifest to work by; HalfJudged, RunChanged or others if there is none."""
    if not (wishes.accept_changes or _is_moved(wishes)):
        manifest.refuse_half_judged()
    manifest.remove_unnamed(run_folder)
    manifest = _with_consent(run_folder, manifest, wishes)
    manifest = _updated(run_folder, manifest, wishes, on_progress)
    # Only now: a rejudgement cannot end while a line differs that nobody has back, or
    # while nobody knows where the items are.
    manifest.refuse_half_judged()
    return manifest


def _is_moved(wishes: Wishes) -> bool:
    return wishes.changes is not None and wishes.changes.items_path is not None


def _with_consent(run_folder: Path, manifest: Manifest, wishes: Wishes) -> Manifest:
    """Nothing is held back any more; RunChanged where nobody has agreed to that."""
    if manifest.held_back is None:
        return manifest
    if not wishes.accept_changes:
        many = len(load_due(run_folder, manifest.held_back))
        items = "item" if many == 1 else "items"
        raise RunChanged(
            f"{many:,} {items} may have lost an answer in the damage; asking again"
            " pays again",
            f"`runner resume {manifest.run} --accept-changes`",
        )
    manifest = dataclasses.replace(manifest, held_back=None)
    manifest.save(run_folder)
    return manifest


def _updated(
    run_folder: Path,
    manifest: Manifest,
    wishes: Wishes,
    on_progress: Progress | None,
) -> Manifest:
    """The manifest with what was told anew; RunChanged if that is not accepted."""
    config = changed_config(_without_old_limit(manifest), wishes.changes)
    identity = identity_of(config)
    check_unchanged(manifest.identity, identity, accept=wishes.accept_changes)
    if config.output != manifest.config.output:
        refuse_shared_output(run_folder.parent, config.output, manifest.run)
    output = as_allowed_now(run_folder, config.output)
    check_ours(run_folder, output, inputs=config.input_paths)
    changed = dataclasses.replace(manifest, config=config, identity=identity)
    if digest_of(config.items_path).sha256 != manifest.items_sha256:
        changed = _with_items(run_folder, changed, wishes, on_progress)
    else:
        _resurvey_if_needed(run_folder, changed, manifest, on_progress)
    if changed != manifest:
        # The last refusal before anything counts: exit 2 leaves all as it was.
        check_descriptors(concurrency_for(changed.config.pacing, changed.items))
        changed.save(run_folder)
    return changed


def _without_old_limit(manifest: Manifest) -> RunConfig:
    """A limit is for one session; one without shards is only about to begin it."""
    config = manifest.config
    if not manifest.shards:
        return config
    return dataclasses.replace(
        config, pacing=dataclasses.replace(config.pacing, limit=None)
    )


def _resurvey_if_needed(
    run_folder: Path,
    changed: Manifest,
    manifest: Manifest,
    on_progress: Progress | None,
) -> None:
    """Render every request again where another task or a new limit needs a check."""
    now, before = changed.config.pacing, manifest.config.pacing
    # A higher one lets through what the lower one did: a million items need no look.
    is_tpm_lower = now.tpm is not None and now.tpm < (before.tpm or math.inf)
    is_needed = is_tpm_lower or now.max_cost_usd != before.max_cost_usd
    if not is_needed and changed.identity == manifest.identity:
        return
    survey = Survey(changed.config)
    survey.scan(
        known=ItemIndex.open(run_folder / changed.index), on_progress=on_progress
    )
    survey.check_sendable()


def _with_items(
    run_folder: Path,
    manifest: Manifest,
    wishes: Wishes,
    on_progress: Progress | None,
) -> Manifest:
    """The manifest with the items as they are now; RunChanged if not accepted.

    What belongs to them is on disk under new names when this returns. It counts
    once the manifest is saved, all of it at once, and not before.
    """
    before = ItemIndex.open(run_folder / manifest.index)
    manifest = manifest.with_items_renamed()
    survey = Survey(manifest.config)
    found = survey.scan(
        rejected_path=run_folder / manifest.rejected,
        known=before,
        on_progress=on_progress,
    )
    difference = before.difference(found.index)
    if not wishes.accept_changes and not difference.is_none:
        lines = ", ".join(str(line) for line in difference.first_lines)
        word = "line" if len(difference.first_lines) == 1 else "lines"
        raise RunChanged(
            f"{manifest.config.items_path} changed since this run began:"
            f" {difference.unchanged:,} items unchanged, {difference.changed:,}"
            f" changed, {difference.new:,} new, {difference.removed:,} removed"
            + (f" ({word} {lines})" if lines else ""),
            "go on with --accept-changes (changed and new items are asked, removed"
            " ones are left out), or put the file back",
        )
    survey.check_sendable()
    found.index.save(run_folder / manifest.index)
    manifest = manifest.with_index_sealed(run_folder)
    return dataclasses.replace(
        manifest,
        items=len(found.index),
        items_sha256=found.digest.sha256,
        items_bytes=found.digest.size,
        next_number=found.index.next_number,
    )


def _states(wishes: Wishes) -> set[OutcomeState]:
    states = set()
    if wishes.retry_failed:
        states.add(OutcomeState.FAILED)
    if wishes.retry_invalid:
        states.add(OutcomeState.INVALID)
    return states


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Keep a log beside the run: at most 10 private files of 10 MB, by one writer.

    A disk that cannot take its lines stops the run by the heartbeat it cannot take
    either; until then, and while it is closed, the log says nothing of itself.
    """

    def opened() -> TextIOWrapper:
        return os.fdopen(open_private(path), "a", encoding="utf-8")

    opened().close()  # told at once where that is impossible
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES - 1, delay=True
    )
    # Both are logging's hooks. The first is also for each file after a full one.
    handler._open = opened  # type: ignore[method-assign] # noqa: SLF001
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    handler.handleError = _unlogged  # type: ignore[method-assign, assignment]
    logger = logging.getLogger("runner")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        with contextlib.suppress(OSError):
            handler.close()


def _unlogged(_record: logging.LogRecord) -> None:
    """Instead of a traceback on the terminal for each line (`Handler.handleError`)."""
