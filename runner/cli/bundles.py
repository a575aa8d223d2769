"""Which groups of options does each command take?

Floor: faces.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from runner.cli.asking_options import (
    Simulation,
    TheKey,
    WhatIsValid,
    WhatToAsk,
    WhichItems,
    WhomToAsk,
)
from runner.cli.declaring import flag, option, path
from runner.cli.running_options import (
    Again,
    First,
    HowFast,
    HowLong,
    Moved,
    Place,
    WhereTo,
)
from runner.cli.values import one_of, whole
from runner.config import Format
from runner.fitting import Within

_ATTEMPTS = Within("a whole number", 1, 10**6)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """`runner start`."""

    ask: WhatToAsk
    which: WhichItems
    valid: WhatIsValid
    whom: WhomToAsk
    key: TheKey
    simulation: Simulation
    fast: HowFast
    long: HowLong
    where: WhereTo
    place: Place
    first: First


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOptions:
    """`runner resume`: what is not given stays as it was."""

    again: Again
    fast: HowFast
    long: HowLong
    key: TheKey
    ask: WhatToAsk
    valid: WhatIsValid
    whom: WhomToAsk
    moved: Moved
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a status is shown."""

    heading: ClassVar[str] = "Options"

    watch: Annotated[
        bool,
        flag("--watch", "look each second, until the run stops or Ctrl-C"),
    ] = False
    as_json: Annotated[bool, flag("--json", "one line of JSON")] = False
    of_all: Annotated[bool, flag("--all", "every run there is, a line each")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions:
    """`runner status`."""

    look: Look
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """What of an item is shown."""

    heading: ClassVar[str] = "Options"

    raw: Annotated[
        bool, flag("--raw", "only the bytes received last, as they came")
    ] = False
    attempt: Annotated[
        int | None,
        option("--attempt", "N", "only this attempt", whole("--attempt", _ATTEMPTS)),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """`runner show`."""

    bodies: Bodies
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class TheRule:
    """Where a rule in Python is."""

    heading: ClassVar[str] = "What is valid"

    task_path: Annotated[
        Path | None,
        path("--task", "Python file with is_response_valid(response)", "FILE.py"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeOptions:
    """`runner rejudge`: without any of them by the run's own rules."""

    rule: TheRule
    valid: WhatIsValid
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is written."""

    heading: ClassVar[str] = "Where"

    out: Annotated[
        Path | None,
        path("--out", "processed file; the other two go beside it", is_file=True),
    ] = None
    format: Annotated[
        str | None,
        option(
            "--format",
            "|".join(Format),
            "items with their answer, answers alone (needs no items), or output of"
            " OpenAI's Batch API; the latter two into <stem>_<format>.jsonl",
            one_of("--format", tuple(Format)),
            default="jsonl",
        ),
    ] = None
    overwrite: Annotated[
        bool, flag("--overwrite", "replace files this run has not written")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """`runner export`."""

    files: Files
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOptions:
    """`runner stop`."""

    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a finding is told."""

    heading: ClassVar[str] = "Options"

    as_json: Annotated[bool, flag("--json", "one line of JSON")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """`runner verify`."""

    form: Form
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOptions:
    """`runner backup` and `runner salvage`."""

    place: Place
