"""How a run comes into being: everything is checked before anything is spent.

Floor: the run.
"""

import dataclasses
import os
import re
from pathlib import Path

from runner.api_records import Plan, Progress
from runner.checkpoint.manifest import Manifest, new_run_id
from runner.clock import Clock
from runner.config import RunConfig
from runner.durable import blaming_the_disk
from runner.errors import StateError
from runner.finalizer import check_targets
from runner.itemfile import is_batch_file, refuse_nearly_batch
from runner.preflight import check_base_url, probe
from runner.run_folder import INDEX, REJECTED, folder_of
from runner.session.building import building, locked, moved
from runner.session.changes import identity_of
from runner.session.ground import check_ground, check_room
from runner.session.naming import (
    check_name,
    free_name,
    refuse_known,
    refuse_shared_output,
)
from runner.session.simulating import simulated_service
from runner.session.survey import Survey
from runner.supervisor.concurrency import check_descriptors, concurrency_for

_MOST_NAME = 100


def plan_run(
    config: RunConfig,
    *,
    name: str | None,
    state_dir: Path,
    new: bool,
    on_progress: Progress | None,
) -> Plan:
    """What a start would do; nothing is created, nothing sent, nobody asked.

    Raises what `create_run` would raise, but for a server that does not answer.
    """
    config = completed(config)
    _check_asking(config)
    check_ground(state_dir)
    _admitted(config, name, state_dir, new=new)
    check_room(state_dir, config.pacing.min_free_bytes)
    survey = Survey(_with_simulation(config))
    found = survey.scan(on_progress=on_progress)
    survey.check_sendable()
    check_descriptors(concurrency_for(config.pacing, len(found.index)))
    assert survey.first is not None
    return Plan(
        items=len(found.index),
        rejected=found.rejected.count,
        copies=found.copies,
        first_request=survey.first.body,
        counted=survey.counted,
        input_tokens_estimate=survey.input_tokens_estimate,
        worst_usd=survey.worst_usd,
        price_source=survey.prices.describe(),
    )


def create_run(
    config: RunConfig,
    *,
    name: str | None,
    state_dir: Path,
    new: bool,
    clock: Clock,
    on_progress: Progress | None,
) -> Path:
    """Check everything and create the run's folder; nothing is sent.

    Raises UsageError and its kinds for what the user gave, RunExists where a run
    of that name or on those items is there already, StateError for the folder.
    """
    config = completed(config)
    _check_asking(config)
    check_ground(state_dir)
    _admitted(config, name, state_dir, new=new)
    check_room(state_dir, config.pacing.min_free_bytes)
    config = _with_server(config)
    with blaming_the_disk(state_dir), building(state_dir) as folder:
        survey = Survey(config)
        found = survey.scan(rejected_path=folder / REJECTED, on_progress=on_progress)
        survey.check_sendable()
        check_descriptors(concurrency_for(config.pacing, len(found.index)))
        found.index.save(folder / INDEX)
        manifest = Manifest(
            run="",
            run_id=new_run_id(),
            created_unix_s=round(clock.unix_s(), 3),
            config=config,
            identity=identity_of(config),
            items=len(found.index),
            items_sha256=found.digest.sha256,
            items_bytes=found.digest.size,
            next_number=found.index.next_number,
        )
        with locked(state_dir):
            # Once more: another start may have been faster.
            name = _admitted(config, name, state_dir, new=new)
            named = dataclasses.replace(manifest, run=name)
            named.with_index_sealed(folder).save(folder)
            return _placed(folder, config, name, state_dir)


def _admitted(
    config: RunConfig, name: str | None, state_dir: Path, *, new: bool
) -> str:
    """The name the run gets; RunExists or OutputError if something is in its way."""
    name = check_name(name or _default_name(config.items_path))
    if new:
        name = free_name(state_dir, name)
    else:
        refuse_known(state_dir, name, config.items_path)
    check_targets(config.output, inputs=config.input_paths, written={})
    if not config.output.overwrite:
        refuse_shared_output(state_dir, config.output)
    return name


def _default_name(items_path: Path) -> str:
    """The items' stem, with a dash for what no run's name may hold."""
    stem = re.sub(r"[ -]*[^\w.\- ]+[ -]*", "-", items_path.stem)
    return stem.lstrip("-._ ")[:_MOST_NAME].rstrip("-. ") or items_path.stem


def _placed(folder: Path, config: RunConfig, name: str, state_dir: Path) -> Path:
    """The run's folder, where it stays."""
    target = folder_of(state_dir, name)
    try:
        moved(folder, target)
    except OSError as error:
        # Something that takes no lock was there first: perhaps a run all the same.
        refuse_known(state_dir, name, config.items_path)
        raise StateError(
            f"{target} cannot be created ({error.strerror or error})",
            "give this run another --name",
        ) from error
    return target


def completed(config: RunConfig) -> RunConfig:
    """With what a resume elsewhere would not know: full paths, who pays, the shape."""
    task, output, service = config.task, config.output, config.service
    key_path = service.api_key_path
    return dataclasses.replace(
        config,
        items_path=config.items_path.absolute(),
        task=dataclasses.replace(
            task,
            batch=task.batch or is_batch_file(config.items_path),
            prompt_path=task.prompt_path and task.prompt_path.absolute(),
            task_path=task.task_path and task.task_path.absolute(),
            schema_path=task.schema_path and task.schema_path.absolute(),
        ),
        output=dataclasses.replace(
            output,
            processed_path=output.processed_path.absolute(),
            failed_path=output.failed_path.absolute(),
            summary_path=output.summary_path.absolute(),
        ),
        service=dataclasses.replace(
            service,
            api_key_path=key_path and key_path.absolute(),
            # As the SDK reads them, once: limits and the bill belong to them.
            organization=service.organization
            or os.environ.get("OPENAI_ORG_ID")
            or None,
            project=service.project or os.environ.get("OPENAI_PROJECT_ID") or None,
        ),
    )


def _check_asking(config: RunConfig) -> None:
    """ItemFileError where items were to bring their questions, and do not quite."""
    task = config.task
    told = task.prompt, task.prompt_path, task.task_path
    if not task.batch and all(each is None for each in told):
        refuse_nearly_batch(config.items_path)


def _with_server(config: RunConfig) -> RunConfig:
    """Make sure that something answers there; take over a simulator's prices."""
    config = _with_simulation(config)
    if config.service.scenario is not None:
        return config
    simulated = probe(config.service.base_url)
    if not simulated:
        return config
    prices = {**simulated, **config.service.prices}
    service = dataclasses.replace(config.service, simulated=True, prices=prices)
    return dataclasses.replace(config, service=service)


def _with_simulation(config: RunConfig) -> RunConfig:
    if config.service.scenario is None:
        check_base_url(config.service.base_url)
    return dataclasses.replace(config, service=simulated_service(config.service))
