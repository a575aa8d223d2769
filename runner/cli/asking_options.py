"""Which options say what to ask, what is valid and whom to ask? A group each.

An option that is not given is None (or empty): defaults belong to `config`, and
on a resume None means "as before".

Floor: faces.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from runner.cli.declaring import flag, option, path, repeated
from runner.cli.values import one_of, rule_of, text_of
from runner.config import Service
from runner.errors import UsageError
from runner.records import PATHS


def _no_key(_: str) -> str:
    raise UsageError(
        "the key is never given as an option: everybody on this machine could read"
        " it in the list of processes",
        "set OPENAI_API_KEY, or use --api-key-env NAME or --api-key-file F",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatToAsk:
    """The question; a resume takes another one only with --accept-changes."""

    heading: ClassVar[str] = "What to ask"

    prompt: Annotated[
        str | None,
        option(
            "--prompt",
            "TEXT",
            "template with {{field}} of the item",
            text_of("--prompt"),
        ),
    ] = None
    prompt_path: Annotated[
        Path | None, path("--prompt-file", "file with such a template")
    ] = None
    task_path: Annotated[
        Path | None,
        path("--task", "Python file with get_prompt(item)", "FILE.py"),
    ] = None
    system: Annotated[
        str | None,
        option("--system", "TEXT", "system message, a template too", str),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichItems:
    """How the items file is read."""

    heading: ClassVar[str] = "Which items"

    id_field: Annotated[
        str | None,
        option(
            "--id-field",
            "NAME",
            "field that tells items apart; otherwise custom_id, id or the line",
            text_of("--id-field"),
        ),
    ] = None
    on_bad_line: Annotated[
        str | None,
        option(
            "--on-bad-line",
            "stop|skip",
            "what a line that is no item means",
            one_of("--on-bad-line", ("stop", "skip")),
            default="stop",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIsValid:
    """When an answer can be used; otherwise the item is asked again."""

    heading: ClassVar[str] = "What is valid"

    schema_path: Annotated[
        str | None,
        option(
            "--schema",
            "F.json",
            "JSON schema; asked for, and checked",
            rule_of("--schema"),
        ),
    ] = None
    valid_regex: Annotated[
        str | None,
        option(
            "--valid-regex",
            "RE",
            "must be found in the answer",
            rule_of("--valid-regex"),
        ),
    ] = None
    choices: Annotated[
        str | None,
        option(
            "--choices",
            "A,B,C",
            "the answer must be one of these words",
            rule_of("--choices"),
        ),
    ] = None
    reask_truncated: Annotated[
        bool,
        flag("--reask-truncated", "ask again after length, filter or refusal"),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WhomToAsk:
    """The server and the model."""

    heading: ClassVar[str] = "Whom to ask"

    model: Annotated[
        str | None, option("--model", "M", "model to ask", text_of("--model"))
    ] = None
    base_url: Annotated[
        str | None,
        option(
            "--base-url",
            "URL",
            "OpenAI-compatible server",
            text_of("--base-url"),
            default=f"OPENAI_BASE_URL, else {Service().base_url}",
        ),
    ] = None
    endpoint: Annotated[
        str | None,
        option(
            "--endpoint",
            "|".join(PATHS),
            "shape of request and answer",
            one_of("--endpoint", tuple(PATHS)),
            default="chat",
        ),
    ] = None
    params: Annotated[
        list[str] | None,
        repeated("--param", "KEY=JSON", "into every request body; repeatable"),
    ] = None
    prices: Annotated[
        list[str] | None,
        repeated(
            "--price",
            "M=IN,CACHED,OUT",
            "USD per million tokens of model M; repeatable",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TheKey:
    """Where the key is found; never its value."""

    heading: ClassVar[str] = "The key"

    api_key_env: Annotated[
        str | None,
        option(
            "--api-key-env",
            "NAME",
            "environment variable that holds it",
            text_of("--api-key-env"),
            default="OPENAI_API_KEY",
        ),
    ] = None
    api_key_path: Annotated[
        Path | None,
        path("--api-key-file", "file that holds it, readable by you only"),
    ] = None
    api_key: Annotated[
        str | None,
        option("--api-key", "", "", _no_key, is_hidden=True),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A server that makes its answers up: no key, no network, no cost."""

    heading: ClassVar[str] = "Without a server"

    simulate: Annotated[
        bool, flag("--simulate", "ask a simulated server; costs nothing")
    ] = False
    scenario: Annotated[
        str | None,
        option(
            "--scenario",
            "KEY=VALUE,...",
            "how it behaves (see `runner simulate --help`); implies --simulate",
            str,
        ),
    ] = None
