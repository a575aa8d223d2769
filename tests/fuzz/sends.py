"""Is every request at the server one that the checkpoint knows of, and the reverse?

    python -m fuzz.sends 50000 --faults 0.2

One run without kills. Requests at the server must be attempts - not_sent, one by
one. Meanwhile its memory, descriptors, WAL and log are watched: a night in minutes.
"""

import argparse
import collections
import sys
import time
from pathlib import Path

from fuzz.stage import Stage, reading, staged
from fuzz.watching import Sample, Watch, slope_mib_an_hour
from runner.checkpoint.manifest import Manifest
from runner.records import AttemptState

_MOST_WAL_BYTES = 64 << 20
_MOST_LOG_BYTES = 100_000_000
_WARM_UP = 0.6
"""Part of the samples that come before anything is steady: SQLite's page caches fill
up to 32 MiB a shard (diskcache's 8,192 pages), which takes about 10,000 sends each."""
_FAULTS = [
    "error_500",
    "error_503",
    "error_string",
    "html",
    "error_in_200",
    "malformed",
    "reset",
    "close_before_reply",
    "invalid",
    "no_usage",
    "truncated",
]


def scenario(faults: float, latency_s: float) -> str:
    """Settings of the simulator: faults in equal parts, and now and then a 429."""
    rates = {name: faults / len(_FAULTS) for name in _FAULTS}
    rates["rate_limited_at_random"] = faults / 1_000
    told = {"latency": latency_s, "latency_max": latency_s * 20, **rates}
    return ",".join(f"{name}={value}" for name, value in told.items())


def differences(run_folder: Path, stage: Stage) -> tuple[int, int, list[str]]:
    """Requests at the server, sends on record, and what only one side knows."""
    at_server = collections.Counter[str]()
    for line in stage.ledger():
        at_server[line["client_request_id"] or "none"] += 1
    with reading(run_folder) as reader:
        run_id = Manifest.load(run_folder).run_id
        sent = {
            f"{run_id}-{number}-{attempt.attempt}"
            for number in set(reader.numbers_attempted())
            for attempt, _ in reader.attempts(number)
            if attempt.state is not AttemptState.NOT_SENT
        }
        totals = reader.totals()
    wrong = [f"at the server {n} times: {i}" for i, n in at_server.items() if n > 1]
    wrong += [f"no record of it: {i}" for i in at_server.keys() - sent]
    wrong += [f"never came to the server: {i}" for i in sent - at_server.keys()]
    if totals.begun - totals.not_sent != at_server.total():
        wrong.append(f"the totals say {totals.begun} - {totals.not_sent}")
    if totals.open:
        wrong.append(f"{totals.open} attempts are open")
    return at_server.total(), len(sent), wrong


def growing(samples: list[Sample]) -> tuple[str, list[str]]:
    """What a watch saw, in words, and what was too much."""
    # Before the workers are there and after they have gone memory says little.
    all_there = max((sample.processes for sample in samples), default=0)
    at_work = [sample for sample in samples if sample.processes == all_there]
    steady = at_work[int(len(at_work) * _WARM_UP) : -1]
    if len(steady) < 3:
        return "too short to watch", []
    wal = max(sample.wal_bytes for sample in samples)
    log = max(sample.log_bytes for sample in samples)
    least, most = (f(s.descriptors for s in steady) for f in (min, max))
    pss = [sample.pss_kib / 1024 for sample in steady]
    quarters = [pss[len(pss) * quarter // 4] for quarter in range(4)] + [pss[-1]]
    words = (
        f"memory after warm-up {' → '.join(f'{mib:.0f}' for mib in quarters)} MiB,"
        f" at most {max(pss):.0f} ({slope_mib_an_hour(steady):+.1f} MiB an hour);"
        f" descriptors {least} to {most}; WAL at most {wal / (1 << 20):.1f} MiB;"
        f" log {log / 1000:.0f} kB"
    )
    wrong = []
    if wal > _MOST_WAL_BYTES:
        wrong.append(f"a WAL of {wal} bytes")
    if log > _MOST_LOG_BYTES:
        wrong.append(f"a log of {log} bytes")
    return words, wrong


def searched(
    requests: int, faults: float, latency_s: float, threads: int, seed: int
) -> list[str]:
    """One run of about so many requests; what was wrong with it."""
    # A fault of `_FAULTS` costs another request, or another answer.
    count = max(1, int(requests * (1 - faults * 0.9)))
    with staged(scenario(faults, latency_s), seed) as stage:
        begun_s = time.monotonic()
        words = ["start", stage.items(count, "many"), "--model", "gpt-4o-mini"]
        words += ["--prompt", "Echo {{text}}", "--workers", 2, "--threads", threads]
        command = stage.command(*words, "--max-requests", 10)
        run_folder = stage.state / "many"
        watch = Watch(command.pid, run_folder, every_s=1.0)
        output, _ = command.communicate()
        watch.stop()
        took_s = time.monotonic() - begun_s
        if command.returncode not in (0, 3):
            return [f"exit code {command.returncode}: {output[-2000:]}"]
        at_server, sent, wrong = differences(run_folder, stage)
        watched, too_much = growing(watch.samples)
        print(
            f"{count} items: {at_server} requests at the server - {sent} sends on"
            f" record = {at_server - sent}, {len(wrong)} differences;"
            f" {took_s:.0f} s, {at_server / took_s:.0f} a second; {watched}"
        )
        return wrong + too_much


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="fuzz.sends", description=__doc__)
    parser.add_argument("requests", type=int)
    parser.add_argument("--faults", type=float, default=0.2)
    parser.add_argument("--latency", type=float, default=0.1, metavar="S")
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    wrong = searched(
        asked.requests, asked.faults, asked.latency, asked.threads, asked.seed
    )
    print("\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
