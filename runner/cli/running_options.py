"""Which options say how fast, how long and where to? A group each.

An option that is not given is None (or empty): defaults belong to `config`, and
on a resume None means "as before".

Floor: faces.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar

from runner.cli.declaring import flag, option, path
from runner.cli.values import duration_s, size_bytes, text_of, usd, whole
from runner.config import (
    CALL_S,
    ITEMS,
    NIGHT_S,
    PER_MINUTE,
    THREADS,
    TRIES,
    WORKERS,
    Pacing,
)
from runner.run_folder import STATE_DIR

_PACING = Pacing()


@dataclass(frozen=True, slots=True, kw_only=True)
class HowFast:
    """Limits of this run; those of the key are learned and kept as well."""

    heading: ClassVar[str] = "How fast"

    rpm: Annotated[
        int | None,
        option("--rpm", "N", "requests a minute", whole("--rpm", PER_MINUTE)),
    ] = None
    tpm: Annotated[
        int | None,
        option("--tpm", "N", "tokens a minute", whole("--tpm", PER_MINUTE)),
    ] = None
    workers: Annotated[
        int | None,
        option(
            "--workers",
            "N",
            "processes",
            whole("--workers", WORKERS),
            default="as needed, up to 8",
        ),
    ] = None
    threads: Annotated[
        int | None,
        option(
            "--threads",
            "N",
            "calls in flight per worker",
            whole("--threads", THREADS),
            default="found",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HowLong:
    """When to stop trying, paying and waiting."""

    heading: ClassVar[str] = "How long"

    max_requests: Annotated[
        int | None,
        option(
            "--max-requests",
            "N",
            "answers an item may get until one is valid",
            whole("--max-requests", TRIES),
            default=str(_PACING.max_requests),
        ),
    ] = None
    timeout_s: Annotated[
        float | None,
        option(
            "--timeout",
            "S",
            "deadline of one call, all of it",
            duration_s("--timeout", CALL_S),
            default=f"{_PACING.timeout_s:g} s",
        ),
    ] = None
    max_cost_usd: Annotated[
        Decimal | None,
        option("--max-cost", "USD", "never spend more than this", usd("--max-cost")),
    ] = None
    give_up_after_s: Annotated[
        float | None,
        option(
            "--give-up-after",
            "6h",
            "stop after so long without any answer",
            duration_s("--give-up-after", NIGHT_S),
            default=f"{_PACING.give_up_after_s / 3600:g}h",
        ),
    ] = None
    min_free_bytes: Annotated[
        int | None,
        option(
            "--min-free",
            "SIZE",
            "disk space to keep free",
            size_bytes("--min-free"),
            default="1GiB or 5 % of the disk, the smaller",
        ),
    ] = None
    limit: Annotated[
        int | None,
        option(
            "--limit",
            "N",
            "stop after N items; a later resume goes on",
            whole("--limit", ITEMS),
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhereTo:
    """Names of what is written."""

    heading: ClassVar[str] = "Where"

    out: Annotated[
        Path | None,
        path("--out", "processed file; the other two go beside it", is_file=True),
    ] = None
    overwrite: Annotated[
        bool, flag("--overwrite", "replace files this run has not written")
    ] = False
    result_key: Annotated[
        str | None,
        option(
            "--result-key",
            "KEY",
            "key the result has in a processed line",
            text_of("--result-key"),
            default="llm",
        ),
    ] = None
    name: Annotated[
        str | None,
        option(
            "--name",
            "RUN",
            "the run's name",
            text_of("--name"),
            default="the items' stem",
        ),
    ] = None
    new: Annotated[
        bool,
        flag("--new", "another run on the same items: pays again"),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Files that have other places than when the run began."""

    heading: ClassVar[str] = "Where"

    items_path: Annotated[
        Path | None,
        path("--items", "the items file, where it is by now", is_file=True),
    ] = None
    out: Annotated[
        Path | None,
        path("--out", "the processed file from now on, as in start", is_file=True),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Looking before leaping."""

    heading: ClassVar[str] = "First"

    dry_run: Annotated[
        bool, flag("--dry-run", "check everything, show the plan, send nothing")
    ] = False
    yes: Annotated[
        bool,
        flag("--yes", "don't ask before a run that may cost more than $10"),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where runs live."""

    heading: ClassVar[str] = "Where"

    state_dir: Annotated[
        Path,
        path("--state-dir", "folder of all runs", "DIR", default=str(STATE_DIR)),
    ] = STATE_DIR


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What a resume does besides going on."""

    heading: ClassVar[str] = "Again"

    accept_changes: Annotated[
        bool,
        flag("--accept-changes", "go on although items, question or model changed"),
    ] = False
    retry_failed: Annotated[bool, flag("--retry-failed", "ask failed items again")] = (
        False
    )
    retry_invalid: Annotated[
        bool, flag("--retry-invalid", "ask again where no answer was valid")
    ] = False
