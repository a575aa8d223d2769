"""What the user asked for: one RunConfig, passed whole.

Defaults live here and nowhere else. What of it may change between start and resume
is for `session/changes` to say.

Floor: words. Knows records, errors and fitting.
"""

import dataclasses
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from runner.errors import OutputError
from runner.fitting import Above0, Distinct, Filled, OneOf, Within
from runner.records import Endpoint, JsonObject

MOST_USD = Decimal(10**9)
_DAY_S = 86_400
PER_MINUTE = Within("a whole number", 1, 10**9)
WORKERS = Within("a whole number", 1, 512)
THREADS = Within("a whole number", 1, 4096)
TRIES = Within("a whole number", 1, 1000)
ITEMS = Within("a whole number", 1, 10**12)
CALL_S = Within("seconds", 1, _DAY_S)
NIGHT_S = Within("seconds", 1, 365 * _DAY_S)
SIZE = Within("bytes", 0, 10**18)

Text = Annotated[str, Filled()]
Words = Annotated[tuple[Text, ...], Distinct()]
RuleNames = tuple[Annotated[str, OneOf(("schema", "valid_regex", "choices"))], ...]
PerMinute = Annotated[int, PER_MINUTE]
Workers = Annotated[int, WORKERS]
Threads = Annotated[int, THREADS]
Tries = Annotated[int, TRIES]
Items = Annotated[int, ITEMS]
CallSeconds = Annotated[float, CALL_S]
NightSeconds = Annotated[float, NIGHT_S]
Size = Annotated[int, SIZE]
Usd = Annotated[Decimal, Above0("an amount of US dollars", MOST_USD)]
"""A type, and which values of it make sense: held against in `fitting`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """What to ask, and what counts as a valid answer."""

    prompt: Text | None = None
    """Template with `{{field}}`; exclusive with `task_path`."""
    prompt_path: Path | None = None
    """Where `prompt` was read from, for messages."""
    task_path: Path | None = None
    """A Python file with `get_prompt(item)`."""
    batch: bool = False
    """The items are OpenAI Batch-API lines and carry their own requests."""
    system: str | None = None
    endpoint: Endpoint = Endpoint.CHAT
    model: Text | None = None
    """None only for Batch-API lines, which name their own."""
    params: JsonObject = field(default_factory=dict)
    """Merged into every body, verbatim."""
    schema: JsonObject | None = None
    schema_path: Path | None = None
    valid_regex: Text | None = None
    choices: Words = ()
    reask_truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per million tokens."""

    input_usd: Decimal
    cached_input_usd: Decimal
    output_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Whom to ask. The key itself is never part of a config."""

    base_url: Text = "https://api.openai.com/v1"
    organization: str | None = None
    project: str | None = None
    api_key_env: Text = "OPENAI_API_KEY"
    api_key_path: Path | None = None
    prices: dict[str, Price] = field(default_factory=dict)
    """By model: what `--price` said, or the simulator's own table."""
    simulated: bool = False
    scenario: str | None = None
    """The embedded simulator's settings; None: not embedded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How fast and how long: what a resume may change freely."""

    rpm: PerMinute | None = None
    tpm: PerMinute | None = None
    workers: Workers | None = None
    """Worker processes at most; None: as many as are needed, up to 8. With `threads`,
    so many; None then means one for each core, at least 2 and at most 8."""
    threads: Threads | None = None
    """Calls in flight per worker; None: found while the run works, see the governor."""
    max_requests: Tries = 4
    """Answers an item may get until one is valid."""
    max_failures: Tries = 6
    """Failures of an item, while others succeed, until it is failed."""
    timeout_s: CallSeconds = 600.0
    """Deadline of one call, connection and body included."""
    max_cost_usd: Usd | None = None
    give_up_after_s: NightSeconds = 6 * 3600.0
    """How long nothing but outage or refusal is waited through."""
    min_free_bytes: Size | None = None
    """Disk space to keep; None: the smaller of 1 GiB and 5 % of the disk."""
    limit: Items | None = None
    """Stop after this many items of this session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the three files go and what an answer's key is called."""

    processed_path: Path
    failed_path: Path
    summary_path: Path
    result_key: Text = "llm"
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything a run is told."""

    items_path: Path
    id_field: Text | None = None
    on_bad_line: Annotated[str, OneOf(("stop", "skip"))] = "stop"
    task: TaskSpec
    service: Service = field(default_factory=Service)
    pacing: Pacing = field(default_factory=Pacing)
    output: Output
    engine: Annotated[str, OneOf(("local", "inline"))] = "local"

    @property
    def input_paths(self) -> tuple[Path, ...]:
        """All files that are read for it."""
        task = self.task
        told = (task.prompt_path, task.task_path, task.schema_path)
        return (self.items_path, *(path for path in told if path is not None))

    def to_json(self) -> JsonObject:
        """Plain JSON: paths and money as strings."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_json(cls, stored: JsonObject) -> "RunConfig":
        """The inverse of `to_json`."""
        service = dict(stored["service"])
        service["prices"] = {
            model: Price(**{name: Decimal(usd) for name, usd in price.items()})
            for model, price in service["prices"].items()
        }
        return cls(
            **{
                **stored,
                "items_path": Path(stored["items_path"]),
                "task": TaskSpec(**_revived(stored["task"])),
                "service": Service(**_revived(service)),
                "pacing": Pacing(**_revived(stored["pacing"])),
                "output": Output(**_revived(stored["output"])),
            }
        )


class Format(enum.StrEnum):
    """How a line of the processed and the failed file looks."""

    JSONL = "jsonl"
    """The item with its answer."""
    ANSWERS = "answers"
    """The answer alone, by id and line: needs no items file."""
    BATCH = "batch"
    """Output of OpenAI's Batch API."""


def default_output(items_path: Path, processed_path: Path | None = None) -> Output:
    """`<stem>_processed.jsonl`, `_failed.jsonl` and `_summary.json`.

    Beside the items, or beside `processed_path` where that is given, as `output_at`.
    """
    beside = items_path.parent / f"{items_path.stem}_processed.jsonl"
    return output_at(processed_path or beside)


def output_for(own: Output, in_format: Format) -> Output:
    """Where another format than the run's own goes: `<stem>_<format>.jsonl` and so on.

    Beside the run's own files, and never in their place.
    """
    name = f"{_stem(own.processed_path)}_{in_format}.jsonl"
    return output_at(own.processed_path.with_name(name))


def output_at(processed_path: Path) -> Output:
    """Three files beside each other, named after the first.

    Raises OutputError where that names no file (".", "/").
    """
    if not processed_path.name:
        raise OutputError(
            f"{processed_path} is a directory", "name a file in it (--out)"
        )
    stem = _stem(processed_path)
    return Output(
        processed_path=processed_path,
        failed_path=processed_path.with_name(f"{stem}_failed.jsonl"),
        summary_path=processed_path.with_name(f"{stem}_summary.json"),
    )


def _stem(processed: Path) -> str:
    return processed.stem.removesuffix("_processed")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path | Decimal):
        return str(value)
    return value


def _revived(stored: JsonObject) -> JsonObject:
    revived = dict(stored)
    for name, value in stored.items():
        if value is None:
            continue
        if name.endswith("_path"):
            revived[name] = Path(value)
        elif name.endswith("_usd"):
            revived[name] = Decimal(value)
    if "endpoint" in revived:
        revived["endpoint"] = Endpoint(revived["endpoint"])
    if "choices" in revived:
        revived["choices"] = tuple(revived["choices"])
    return revived
