"""What is different from when the run began, and whether that may be.

Pace, limits and the places of files may always change. Items, prompt, task file,
schema, model, parameters and server may not, unless the user accepts it: answers
given before stay as they are, paid once, and a mixture has to be wanted.

Floor: the run.
"""

import dataclasses
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.api_records import Changes
from runner.config import (
    Output,
    Pacing,
    RunConfig,
    Service,
    TaskSpec,
    default_output,
)
from runner.errors import RunChanged, UsageError
from runner.preflight import check_base_url
from runner.task import identity, may_be_a_rule

_MOST_LINES = 12
_SERVER = "base-url"
_RULES = {
    *("schema_path", "valid_regex", "choices", "dropped_rules", "reask_truncated"),
    *("task_path", "items_path"),
}
"""What a rejudgement may be told."""
_PACE = {f.name for f in dataclasses.fields(Pacing)}
_TASK = {f.name for f in dataclasses.fields(TaskSpec)}


def changed_config(config: RunConfig, changes: Changes | None) -> RunConfig:
    """The run's config with what was told anew; files are read anew.

    Raises EndpointError for a base URL that is none, or holds a password, and
    UsageError for any where the run is simulated.
    """
    told = _told(changes or Changes())
    pacing = {n: v for n, v in told.items() if n in _PACE}
    return dataclasses.replace(
        config,
        pacing=dataclasses.replace(config.pacing, **pacing),
        task=_changed_task(_without_rules(config.task, told), told),
        service=_changed_service(config.service, told),
        items_path=_place(told, "items_path", config.items_path),
        output=_changed_output(config, told),
    )


def refuse_all_but_rules(changes: Changes | None) -> None:
    """UsageError for what a rejudgement has no say in: it would be kept unasked."""
    if more := sorted(_told(changes or Changes()).keys() - _RULES):
        raise UsageError(
            f"rejudge() takes rules, not {', '.join(more)}",
            "give that to the next resume: work(changes=...)",
        )


def identity_of(config: RunConfig) -> dict[str, str]:
    """All that must not change without a word, by name."""
    server = "the simulator" if config.service.scenario is not None else None
    return {
        **identity(config.task),
        _SERVER: server or config.service.base_url,
    }


def check_unchanged(
    before: dict[str, str], after: dict[str, str], *, accept: bool
) -> None:
    """RunChanged, showing the difference, unless it is accepted."""
    if accept or before == after:
        return
    names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    shown = "\n".join(_difference(name, before, after) for name in names)
    if _SERVER in names:
        shown += (
            f"\n  the key would go to {_host(after)}; this run has given it to"
            f" {_host(before)} only"
        )
    raise RunChanged(
        f"{', '.join(names)} changed since this run began:\n{shown}\n",
        _ways_on(names),
    )


def _ways_on(names: list[str]) -> str:
    """What can be done about changes; what is free first."""
    free = "`runner rejudge` takes over what only changes the rule, for free; "
    is_free = all(may_be_a_rule(name) for name in names)
    return (
        f"{free if is_free else ''}go on with --accept-changes (answers given before"
        " stay as they are), or begin another run with --new (pays for all again)"
    )


def _told(changes: Changes) -> dict[str, Any]:
    values = {f.name: getattr(changes, f.name) for f in dataclasses.fields(changes)}
    return {
        name: value
        for name, value in values.items()
        if value is not None and value not in ((), {})
    }


def _without_rules(task: TaskSpec, told: dict[str, Any]) -> TaskSpec:
    """The task without the rules that were dropped."""
    dropped = told.get("dropped_rules", ())
    if "schema" in dropped:
        task = dataclasses.replace(task, schema=None, schema_path=None)
    if "valid_regex" in dropped:
        task = dataclasses.replace(task, valid_regex=None)
    if "choices" in dropped:
        task = dataclasses.replace(task, choices=())
    return task


def _changed_task(task: TaskSpec, told: dict[str, Any]) -> TaskSpec:
    changed = {name: value for name, value in told.items() if name in _TASK}
    if "params" in changed:
        changed["params"] = {**task.params, **changed["params"]}
    if {"prompt", "prompt_path", "task_path"} & changed.keys():
        for name in ("prompt", "prompt_path", "task_path"):
            changed.setdefault(name, None)
    # What was read from a file is read from it again.
    prompt_path = changed.get("prompt_path", task.prompt_path)
    if prompt_path is not None and changed.get("prompt") is None:
        changed["prompt"] = None
    if changed.get("schema_path", task.schema_path) is not None:
        changed["schema"] = None
    return dataclasses.replace(task, **changed)


def _place(told: dict[str, Any], name: str, before: Path) -> Path:
    """A file's place; the one that is told means the same from any folder."""
    return told[name].absolute() if name in told else before


def _changed_output(config: RunConfig, told: dict[str, Any]) -> Output:
    """Three files elsewhere; ones that are there already need `overwrite` anew."""
    if "processed_path" not in told:
        return config.output
    processed = _place(told, "processed_path", config.output.processed_path)
    elsewhere = default_output(config.items_path, processed)
    return dataclasses.replace(elsewhere, result_key=config.output.result_key)


def _changed_service(service: Service, told: dict[str, Any]) -> Service:
    changed: dict[str, Any] = {}
    if "base_url" in told:
        if service.scenario is not None:
            raise UsageError(
                "this run asks its own simulator, and no --base-url",
                "begin another for a real server: runner start ... --new",
            )
        check_base_url(told["base_url"])
        changed["base_url"] = told["base_url"]
    if "prices" in told:
        changed["prices"] = {**service.prices, **told["prices"]}
    if "api_key_env" in told:
        changed |= {"api_key_env": told["api_key_env"], "api_key_path": None}
    if "api_key_path" in told:
        changed["api_key_path"] = told["api_key_path"].absolute()
    return dataclasses.replace(service, **changed)


def _difference(name: str, before: dict[str, str], after: dict[str, str]) -> str:
    lines = list(_diff_lines(before.get(name, ""), after.get(name, "")))
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES
        lines = [*lines[:_MOST_LINES], f"... {more} more lines"]
    return "\n".join([f"  {name}:", *(f"    {line}" for line in lines)])


def _host(named: dict[str, str]) -> str:
    """Who answers at a base URL, with its port; the simulator is no host."""
    server = named.get(_SERVER, "nobody")
    return urlsplit(server).netloc or server


def _diff_lines(before: str, after: str) -> Iterator[str]:
    compared = difflib.unified_diff(
        before.splitlines(), after.splitlines(), lineterm="", n=0
    )
    return (line for line in compared if not line.startswith(("---", "+++", "@@")))
