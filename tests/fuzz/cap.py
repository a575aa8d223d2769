"""Does the dollar cap hold, by the server's own books?

    python -m fuzz.cap 200

Random runs (model, latency, faults, usage left out, reasoning, kills) with
`--max-cost`. What the simulator billed for a run, by its own prices, may at no
moment be more than the cap: its sum only grows, so the end decides.
"""

import argparse
import dataclasses
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from fuzz.stage import KEY, Stage, staged
from runner.api import Run
from runner.checkpoint.manifest import Manifest
from runner.config import Pacing, RunConfig, Service, TaskSpec, default_output
from runner.errors import StateError, UsageError
from runner.run_status import StopKind
from runner.simulator.prices import PRICES, is_reasoning

_CLEAN = dict.fromkeys(
    [
        "no_usage",
        "malformed",
        "reset",
        "close_before_reply",
        "hang",
        "error_500",
        "error_in_200",
        "invalid",
        "truncated",
        "cached",
        "no_headers",
        "trickle_body",
    ],
    0.0,
)
_RATES = (0.05, 0.15)
"""Three faults of these: much more would be an outage."""
_SESSIONS = 4
_ENDED, _CAPPED, _OTHERWISE, _BROKEN = 0, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Draw:
    """One run, as its seed has it."""

    seed: int
    model: str
    items: int
    limit_tokens: int
    cap_usd: Decimal
    threads: int
    engine: str
    kill_after_s: tuple[float, ...]
    """A session each; then one that nobody kills."""
    settings: dict[str, object]

    @classmethod
    def of(cls, seed: int) -> "Draw":
        """The run of that seed."""
        draw = random.Random(seed)
        model = draw.choice([m for m in PRICES if not m.startswith("text-")])
        items, limit_tokens = draw.randint(10, 50), draw.choice((16, 100, 600))
        worst_usd = PRICES[model][2] * limit_tokens / 1_000_000
        share = Decimal(str(round(draw.uniform(0.05, 1.2), 3)))
        kills = draw.choice((0, 0, 1, 2))
        return cls(
            seed=seed,
            model=model,
            items=items,
            limit_tokens=limit_tokens,
            cap_usd=(worst_usd * items * share).quantize(Decimal("1e-9")),
            threads=draw.choice((1, 4, 12)),
            engine="local" if seed % 10 == 0 else "inline",
            kill_after_s=tuple(draw.uniform(0.1, 1.5) for _ in range(kills)),
            settings={
                **{n: draw.choice(_RATES) for n in draw.sample(sorted(_CLEAN), 3)},
                "latency": draw.choice((0.005, 0.05, 0.3)),
                "words": draw.choice((5, 400)),
                "reasoning": draw.choice((0, 500)) if is_reasoning(model) else 0,
            },
        )


def spent_usd(stage: Stage, run_id: str) -> tuple[Decimal, int]:
    """What the server billed for a run, and for how many answers."""
    costs = [
        Decimal(line["cost_usd"])
        for line in stage.ledger()
        if line["billed"] and (line["client_request_id"] or "").startswith(run_id)
    ]
    return sum(costs, Decimal(0)), len(costs)


def one_run(stage: Stage, drawn: Draw) -> tuple[str, list[str]]:
    """How it ended, and what was wrong."""
    name = f"cap{drawn.seed}"
    stage.scenario(**_CLEAN)
    stage.scenario(**drawn.settings)
    items = stage.items(drawn.items, name)
    os.environ["XDG_STATE_HOME"] = str(stage.folder / "xdg")
    config = _config(stage, drawn, items)
    try:
        started = Run.start(config, name=name, state_dir=stage.state)
    except UsageError:
        return "refused: not one request fits under the cap", []
    run_id = Manifest.load(started.folder).run_id
    codes = []
    for session in range(_SESSIONS):
        kills = drawn.kill_after_s
        codes.append(
            _session(started, kills[session] if session < len(kills) else None)
        )
        if codes[-1] in (_ENDED, _CAPPED, _BROKEN):
            break
    spent, answers = spent_usd(stage, run_id)
    words = f"{drawn.engine}, {len(codes)} sessions, {answers} answers"
    wrong = []
    if spent > drawn.cap_usd:
        wrong.append(f"{words}: ${spent} of ${drawn.cap_usd}: {drawn}")
    if codes[-1] == _BROKEN:
        wrong.append(f"{words}: broke: {drawn}")
    status = started.status()
    committed = status.totals.answers_usd + status.totals.unpriced_usd
    if committed > drawn.cap_usd:
        wrong.append(f"on record ${committed} of ${drawn.cap_usd}: {drawn}")
    return "capped" if codes[-1] == _CAPPED else "ended", wrong


def _config(stage: Stage, drawn: Draw, items: Path) -> RunConfig:
    return RunConfig(
        items_path=items,
        task=TaskSpec(
            prompt="Say something about {{text}}",
            model=drawn.model,
            params={"max_completion_tokens": drawn.limit_tokens},
        ),
        service=Service(base_url=stage.simulator.base_url),
        pacing=Pacing(
            workers=2,
            threads=drawn.threads,
            max_cost_usd=drawn.cap_usd,
            timeout_s=1.0,
            give_up_after_s=5.0,
        ),
        output=dataclasses.replace(default_output(items), overwrite=True),
        engine=drawn.engine,
    )


def _session(run: Run, kill_after_s: float | None) -> int:
    """One session in a process group of its own, which may be killed."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _work(run)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.killpg(pid, signal.SIGKILL)
        else:
            return _OTHERWISE
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _work(run: Run) -> None:
    """In a process of its own, which ends here."""
    give_up_s = time.monotonic() + 10
    while True:
        try:
            stop = run.work(api_key=KEY).stop
        except StateError as error:
            # Workers of a killed session may still be recording.
            if time.monotonic() > give_up_s:
                print(f"broke: {error!r}", file=sys.stderr, flush=True)
                os._exit(_BROKEN)
            time.sleep(0.2)
            continue
        except BaseException as error:  # noqa: BLE001 - what is searched for
            print(f"broke: {error!r}", file=sys.stderr, flush=True)
            os._exit(_BROKEN)
        if stop is None:
            os._exit(_ENDED)
        os._exit(_CAPPED if stop.kind is StopKind.BUDGET else _OTHERWISE)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="fuzz.cap", description=__doc__)
    parser.add_argument("runs", type=int)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    asked = parser.parse_args()
    begun_s, ends, wrong = time.monotonic(), Counter[str](), 0
    with staged("", asked.seed) as stage:
        for seed in range(asked.seed, asked.seed + asked.runs):
            end, found = one_run(stage, Draw.of(seed))
            ends[end] += 1
            wrong += bool(found)
            for line in found:
                print(line, flush=True)
        answers = sum(line["billed"] for line in stage.ledger())
    took_s = time.monotonic() - begun_s
    print(
        f"{asked.runs} runs ({dict(ends)}), {answers} billed answers, {wrong} runs"
        f" above their cap or broken, {took_s:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
