"""Fixed records for tests of the command line."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.api_records import Finish, ItemStory, Plan
from runner.checkpoint.entries import Attempt
from runner.config import RunConfig, Service, TaskSpec, default_output
from runner.records import AttemptState, Endpoint, OutcomeState, Totals
from runner.run_status import RunState, RunStatus, Stop, StopKind
from runner.summary import Summary, WrittenFile

ITEMS = Path("articles.jsonl")
RAW = b'{"text": "\x1b[31myes"}\xff'


def a_status(**changes: Any) -> RunStatus:
    """A stopped run: 4 of 10 items have an outcome."""
    status = RunStatus(
        run="articles",
        state=RunState.STOPPED,
        stopped_because="stopped by Ctrl-C",
        items=10,
        totals=Totals(valid=4, begun=4, answered=4, answers_usd=Decimal("0.004")),
        unresolved=0,
        in_flight=0,
        requests_per_minute=None,
        tokens_per_minute=None,
    )
    return replace(status, **changes)


def a_finish(kind: StopKind | None = StopKind.INTERRUPTED, **changes: Any) -> Finish:
    """A session that was stopped (or, with None, that finished)."""
    if kind is None:
        totals = Totals(valid=10)
        status = a_status(state=RunState.FINISHED, totals=totals)
        finish = Finish(stop=None, status=status, summary=a_summary())
    else:
        stop = Stop(kind=kind, message=f"because of {kind}", hint="mend it")
        finish = Finish(stop=stop, status=a_status(), summary=None)
    return replace(finish, **changes)


def a_plan(**changes: Any) -> Plan:
    """A plan for 10 items at $2."""
    plan = Plan(
        items=10,
        rejected=0,
        first_request={"model": "gpt-4o-mini"},
        counted=10,
        input_tokens_estimate=1_000,
        worst_usd=Decimal(2),
        price_source="genai-prices 0.2.3",
    )
    return replace(plan, **changes)


def a_config(**changes: Any) -> RunConfig:
    """The config of a run that is resumed."""
    config = RunConfig(
        items_path=ITEMS,
        task=TaskSpec(prompt="{{text}}", model="gpt-4o-mini"),
        service=Service(),
        output=default_output(ITEMS),
    )
    return replace(config, **changes)


def a_story() -> ItemStory:
    """An item with two attempts."""
    attempt = Attempt(
        number=0,
        item_id="a-1",
        fingerprint="00",
        attempt=1,
        state=AttemptState.SETTLED,
        slot=1,
        started_unix_s=1_800_000_000.0,
        request_digest="00",
        endpoint=Endpoint.CHAT,
        worst_usd=None,
    )
    return ItemStory(
        item_id="a-1",
        number=0,
        line=1,
        state=OutcomeState.VALID,
        reason=None,
        attempts=((attempt, b"first"), (replace(attempt, attempt=2), RAW)),
        result="yes",
    )


def a_summary() -> Summary:
    """The summary of a finished run."""
    file = WrittenFile(name="x.jsonl", lines=10, size_bytes=1, sha256="0" * 64)
    return Summary(
        run="articles",
        state=RunState.FINISHED,
        stopped_because=None,
        format="jsonl",
        items=10,
        valid=10,
        invalid=0,
        failed=0,
        rejected_lines=0,
        totals=Totals(valid=10),
        sessions=(),
        models=("gpt-4o-mini",),
        price_source="genai-prices 0.2.3",
        simulated=False,
        processed_file=file,
        failed_file=file,
        summary_name="articles_summary.json",
    )
