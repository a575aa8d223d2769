"""What is said before anything is sent?

Floor: faces. Pure: from a config to lines.
"""

import json
from dataclasses import dataclass

from runner.api_records import Plan, Unresolved
from runner.config import Pacing, RunConfig, TaskSpec
from runner.display.facts import estimate_words
from runner.printable import printable, printable_lines
from runner.records import JsonObject
from runner.run_status import RunStatus
from runner.wording import bound, count, duration, shortened, usd

_MOST_IDS = 3
_MOST_OF_RULES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a session is going to do."""

    config: RunConfig
    status: RunStatus
    proxy: str | None = None
    """Without its password; None: straight to the server."""
    rules: tuple[str, ...] = ()
    """Those of the user's that judge; empty: only the default one does."""
    price_source: str | None = None
    watch_command: str = ""


def announced(what: Announcement) -> str:
    """Four to eight lines: what, whom, how fast, how dear, where to."""
    config, status = what.config, what.status
    estimate = estimate_words(status)
    items = printable(config.items_path)
    done = status.items - status.left
    first = f"run {printable(status.run)}: {count(status.items, 'item')} of {items}"
    if done or status.anew:
        first += f", {count(done)} done, {count(status.left)} to go"
    if status.anew:
        first += f" ({count(status.anew)} of them asked again)"
    lines = [
        first,
        f"  asks    {_whom(what)}",
        *([f"  rules   {rules_words(what.rules)}"] if what.rules else []),
        f"  limits  {_limits(config.pacing)}",
        *([f"  prices  {what.price_source}"] if what.price_source else []),
        *([f"  cost    in all {estimate}"] if estimate else []),
        f"  writes  {_outputs(config)}",
        f"  look    {what.watch_command} (in another terminal); Ctrl-C loses nothing",
    ]
    return "\n".join(lines)


def planned(plan: Plan, config: RunConfig) -> str:
    """What `--dry-run` shows."""
    left_out = f", {count(plan.rejected, 'line')} left out" if plan.rejected else ""
    guess = f"about {count(plan.input_tokens_estimate)} input tokens"
    which = "all" if _is_whole(plan) else _first(plan)
    items = f"{count(plan.items, 'item')} of {printable(config.items_path)}"
    if plan.copies:
        items += f" ({count(plan.copies)} of them copies of lines before)"
    return "\n".join(
        [
            f"{items}{left_out}",
            "the first request:",
            _shown(plan.first_request),
            f"{guess} in {which} (a guess)",
            f"{worst_words(plan)} ({plan.price_source})",
            "nothing was created, nothing was sent",
        ]
    )


def _shown(body: JsonObject) -> str:
    """As the model reads it; what must not reach a terminal stays an escape."""
    text = json.dumps(body, ensure_ascii=False, indent=2)
    return "".join(
        each if printable_lines(each) == each else json.dumps(each)[1:-1]
        for each in text
    )


def worst_words(plan: Plan) -> str:
    """What asking every item, or the first `--limit` of them, once costs at most."""
    if plan.worst_usd is None:
        return "cost unknown: no price, or no bound, for some request"
    worst = usd(plan.worst_usd, is_bound=True)
    which = "item" if _is_whole(plan) else f"of {_first(plan)}"
    return f"cost at most {worst}, each {which} asked once at its highest price"


def _is_whole(plan: Plan) -> bool:
    return plan.counted == plan.items


def _first(plan: Plan) -> str:
    return f"the first {count(plan.counted, 'item')} (--limit)"


def unresolved_words(unresolved: Unresolved) -> str:
    """Said before a resume sends anything."""
    ids = [printable(text) for text in unresolved.first_items[:_MOST_IDS]]
    more = ", ..." if unresolved.count > len(ids) else ""
    done = unresolved.of_done
    but = f", but for {count(done)} whose items have an outcome" if done else ""
    return (
        f"{count(unresolved.count, 'request')} may have been billed without an answer"
        f" ({bound(unresolved.worst_usd)};"
        f" items {', '.join(ids)}{more}): they are asked again{but}"
    )


def rules_words(rules: tuple[str, ...]) -> str:
    """`choices yes|no, is_response_valid of task.py`, in one line."""
    words = printable(", ".join(rules)) or "none but the default"
    return shortened(words, _MOST_OF_RULES)


def _whom(what: Announcement) -> str:
    config = what.config
    if config.service.scenario is not None:
        server = "a simulated server (nothing is billed)"
    else:
        server = printable(config.service.base_url)
    through = f", through proxy {printable(what.proxy)}" if what.proxy else ""
    return f"{_model(config.task)} at {server}{through}"


def _model(task: TaskSpec) -> str:
    if task.batch:
        return "the model each Batch line names"
    return f"{printable(task.model)} ({task.endpoint})"


def _limits(pacing: Pacing) -> str:
    words = [f"{count(pacing.rpm)} requests/min" if pacing.rpm else ""]
    words.append(f"{count(pacing.tpm)} tokens/min" if pacing.tpm else "")
    if not (pacing.rpm or pacing.tpm):
        words.append("those the server tells of")
    words.append(f"{count(pacing.max_requests, 'answer')} an item")
    words.append(f"gives up after {duration(pacing.give_up_after_s)} without any")
    if pacing.max_cost_usd is None:
        words.append("no dollar limit (--max-cost)")
    else:
        words.append(f"at most {usd(pacing.max_cost_usd)}")
    if pacing.limit:
        words.append(f"{count(pacing.limit, 'item')} now (--limit)")
    return ", ".join(word for word in words if word)


def _outputs(config: RunConfig) -> str:
    output = config.output
    paths = (output.failed_path, output.summary_path)
    beside = ", ".join(printable(path.name) for path in paths)
    return f"{printable(output.processed_path)}, {beside}"
