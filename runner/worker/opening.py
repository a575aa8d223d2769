"""What does a worker open before it asks? Items, store, limiter, client, task.

Floor: the work. Knows the doors.
"""

import contextlib
import functools
import threading
from collections.abc import Callable

from runner.checkpoint.entries import Attempt
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import ShardReader
from runner.checkpoint.rescue import BYTES_A_THREAD
from runner.checkpoint.shard import Shard
from runner.client import Client, ClientSettings
from runner.clock import Clock
from runner.errors import RunnerError, StoreError, TaskError
from runner.itemfile import ItemIndex, ItemReader
from runner.limiter import Limiter
from runner.pricing import PriceBook
from runner.protocols import WorkerSettings
from runner.redaction import Redactor
from runner.retrying import Retrying
from runner.task import Patience, Task, identity_digest, load_task
from runner.worker.tools import Tools
from runner.worker.wants import ceilings_of, place_of

_AT_REST = 16
"""Connections beside one for each thread, so that each may rest between two calls."""


def open_items(settings: WorkerSettings, opened: contextlib.ExitStack) -> ItemReader:
    """The items of the run."""
    manifest = Manifest.load(settings.run_folder)
    index = ItemIndex.open(settings.run_folder / manifest.index)
    config = settings.config
    items = ItemReader(config.items_path, index, config.id_field)
    opened.callback(items.close)
    return items


def open_tools(
    settings: WorkerSettings,
    api_key: str,
    clock: Clock,
    stop: threading.Event,
    opened: contextlib.ExitStack,
    others_wait: Callable[[], bool],
) -> Tools:
    """All that walks share; what has to be closed goes onto `opened`.

    Raises RunnerError: the first thing that cannot be opened.
    """
    config = settings.config
    shard = _open_shard(settings)
    opened.callback(shard.close)
    limiter = _open_limiter(settings, clock)
    opened.callback(limiter.close)
    patience = Patience(clock)
    client = Client(
        _client_settings(settings),
        api_key,
        clock,
        has_answers=lambda: limiter.pace().is_proven,
    )
    opened.callback(client.close)
    return Tools(
        run_id=settings.run_id,
        slot=settings.slot,
        task=_unchanged_task(settings, patience),
        patience=patience,
        limiter=limiter,
        shard=shard,
        client=client,
        prices=PriceBook(config.service),
        clock=clock,
        pacing=config.pacing,
        stop=stop,
        retrying=Retrying(stop, clock),
        stored_reply=functools.partial(_stored_reply, settings),
        flights={},
        others_wait=others_wait,
        without_key=Redactor(api_key).lines,
    )


def no_thread(error: RuntimeError) -> RunnerError:
    """Why a worker without a single thread ends, and what to do."""
    return RunnerError(
        f"a worker gets no thread from this system: {error}",
        "raise `ulimit -u` or use fewer --workers and --threads, then `runner resume`",
    )


def _open_shard(settings: WorkerSettings) -> Shard:
    # Also where no caller is allowed yet: without it there is no rescue at all.
    rescue_bytes = max(1, settings.allowed) * BYTES_A_THREAD
    try:
        return Shard(settings.run_folder, settings.slot, rescue_bytes=rescue_bytes)
    except RuntimeError as error:  # its committer's thread could not be started
        raise no_thread(error) from error


def _open_limiter(settings: WorkerSettings, clock: Clock) -> Limiter:
    place = place_of(settings.run_folder, settings.key_cell, settings.slot)
    return Limiter(place, ceilings_of(settings.config.pacing), clock)


def _client_settings(settings: WorkerSettings) -> ClientSettings:
    service = settings.config.service
    return ClientSettings(
        base_url=service.base_url,
        organization=service.organization,
        project=service.project,
        timeout_s=settings.config.pacing.timeout_s,
        connections=settings.threads + _AT_REST,
        run=settings.run_id,
        obeys_proxies=service.scenario is None,
    )


def _stored_reply(
    settings: WorkerSettings, slot: int, number: int, attempt: int
) -> tuple[Attempt, bytes]:
    reader = ShardReader(settings.run_folder, slot, live=True)
    with contextlib.closing(reader):
        found = reader.attempt(number, attempt)
    if found is None:
        raise StoreError(f"attempt {attempt} of item {number} is not on disk")
    return found


def _unchanged_task(settings: WorkerSettings, patience: Patience) -> Task:
    """The task; TaskError if its files are not those the session began with."""
    spec = settings.config.task
    if identity_digest(spec) != settings.task_digest:
        raise TaskError(
            "the task changed while the run was using it",
            "put it back, or go on with --accept-changes",
        )
    return load_task(spec, settings.config.items_path, patience)
