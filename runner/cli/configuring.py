"""From the options given to what the library is told.

Floor: faces. Knows the option groups, config and api_records.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.api_records import Changes
from runner.cli.asking_options import TheKey, WhatIsValid, WhatToAsk, WhomToAsk
from runner.cli.bundles import RejudgeOptions, ResumeOptions, StartOptions
from runner.cli.values import choices, params
from runner.config import (
    Output,
    Pacing,
    Price,
    RunConfig,
    Service,
    TaskSpec,
    default_output,
)
from runner.errors import UsageError
from runner.pricing import parse_price
from runner.records import Endpoint

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
_DROPPABLE = {
    "schema_path": "--schema",
    "valid_regex": "--valid-regex",
    "choices": "--choices",
}


def config_of(items_path: Path, given: StartOptions) -> RunConfig:
    """What `runner start` was told; UsageError for what does not go together."""
    _check_rules_filled(given.valid)
    return RunConfig(
        items_path=items_path,
        **_given(given.which),
        task=TaskSpec(**_task(given.ask, given.valid, given.whom)),
        service=_service(given),
        pacing=Pacing(**_given(given.fast), **_given(given.long)),
        output=_output(items_path, given),
    )


def changes_of(given: ResumeOptions) -> Changes:
    """What `runner resume` was told anew."""
    whom = _given(given.whom)
    return Changes(
        **_given(given.fast),
        **_given(given.long),
        **_task(given.ask, given.valid, given.whom),
        base_url=whom.get("base_url"),
        prices=_prices(given.whom.prices),
        api_key_env=given.key.api_key_env,
        api_key_path=given.key.api_key_path,
        items_path=given.moved.items_path,
        processed_path=given.moved.out,
    )


def rules_of(given: RejudgeOptions) -> Changes:
    """The validity rule that `runner rejudge` was told."""
    return Changes(**_given(given.rule), **_rules(given.valid))


def check_key_source(key: TheKey) -> None:
    """UsageError when two places are named for one key."""
    if key.api_key_env and key.api_key_path:
        raise UsageError(
            "--api-key-env and --api-key-file name two places for one key",
            "keep one of them",
        )


def check_prices(task: TaskSpec, prices: Mapping[str, Price]) -> None:
    """UsageError for the price of a model that nobody is going to ask.

    Only where one model is asked and can be known: a task file, Batch lines and
    `models` (fallbacks, as OpenRouter has them) choose among several.
    """
    model = task.model
    if model is None or task.task_path is not None or "models" in task.params:
        return
    for priced in prices:
        if not _may_answer_for(model.casefold(), priced.casefold()):
            raise UsageError(
                f"--price names {priced}, but --model {model} is asked",
                f"write --price {model}=INPUT,CACHED,OUTPUT",
            )


def _may_answer_for(model: str, priced: str) -> bool:
    """Whether it is that model, a dated version of it, or the choice of a router."""
    version = priced.removeprefix(model)
    is_version = priced != version and re.fullmatch(r"[-@:]\d.*", version)
    return priced == model or bool(is_version) or model.endswith("/auto")


def _given(group: Any) -> dict[str, Any]:
    """The options of a group that were given, by name."""
    values = {f.name: getattr(group, f.name) for f in dataclasses.fields(group)}
    return {name: value for name, value in values.items() if _is_given(value)}


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value != []


def _task(ask: WhatToAsk, valid: WhatIsValid, whom: WhomToAsk) -> dict[str, Any]:
    """Fields of TaskSpec, which Changes has too."""
    _check_one_question(ask)
    told = {**_given(ask), **_rules(valid)}
    if whom.model is not None:
        told["model"] = whom.model
    if whom.endpoint is not None:
        told["endpoint"] = Endpoint(whom.endpoint)
    if whom.params:
        told["params"] = params("--param", whom.params)
    return told


def _check_one_question(ask: WhatToAsk) -> None:
    named = {
        "--prompt": ask.prompt,
        "--prompt-file": ask.prompt_path,
        "--task": ask.task_path,
    }
    both = [option for option, value in named.items() if value is not None]
    if len(both) > 1:
        raise UsageError(
            f"{' and '.join(both)} both say what to ask", "keep one of them"
        )


def _check_rules_filled(valid: WhatIsValid) -> None:
    """An empty rule drops one: a run that begins has none to drop."""
    for field, option in _DROPPABLE.items():
        if getattr(valid, field) == "":
            raise UsageError(f"{option} is empty", "leave it out, or say the rule")


def _rules(valid: WhatIsValid) -> dict[str, Any]:
    told = _given(valid)
    dropped = [field for field in _DROPPABLE if told.get(field) == ""]
    for field in dropped:
        del told[field]
    if "schema_path" in told:
        told["schema_path"] = Path(told["schema_path"])
    if "choices" in told:
        told["choices"] = choices("--choices", told["choices"])
    if dropped:
        told["dropped_rules"] = tuple(f.removesuffix("_path") for f in dropped)
    return told


def _service(given: StartOptions) -> Service:
    check_key_source(given.key)
    told: dict[str, Any] = {
        "prices": _prices(given.whom.prices),
        "scenario": _scenario(given),
    }
    base_url = given.whom.base_url or os.environ.get(BASE_URL_VARIABLE)
    if base_url:
        told["base_url"] = base_url
    if given.key.api_key_env:
        told["api_key_env"] = given.key.api_key_env
    if given.key.api_key_path:
        told["api_key_path"] = given.key.api_key_path.absolute()
    return Service(**told)


def _scenario(given: StartOptions) -> str | None:
    """The embedded simulator's settings; None: a real server is asked."""
    if not given.simulation.simulate and given.simulation.scenario is None:
        return None
    if given.whom.base_url:
        raise UsageError(
            "--simulate asks a server of its own, --base-url names another",
            "leave one of them out",
        )
    return given.simulation.scenario or ""


def _prices(texts: list[str] | None) -> dict[str, Price]:
    return dict(parse_price(text) for text in texts or ())


def _output(items_path: Path, given: StartOptions) -> Output:
    told: Mapping[str, Any] = {
        name: value
        for name, value in _given(given.where).items()
        if name in ("overwrite", "result_key")
    }
    output = default_output(items_path, given.where.out)
    return dataclasses.replace(output, **told)
