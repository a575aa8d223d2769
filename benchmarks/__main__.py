"""Compares this project with the tools people use, on one machine, in one go.

    python3 benchmarks                       everybody, 5 times, without a limit
    python3 benchmarks --workload bucket,window --contestants runner,cookbook
    python3 benchmarks --repeats 1 --append  one more of each
    python3 benchmarks --page                the docs' page from the data files

Needs nginx with its Lua module (apt install nginx libnginx-mod-http-lua).
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
import page
import provider
import record
import report
from figures import Figures, figures
from roster import ROSTER, Contestant, Stage
from workloads import WORKLOADS, Workload

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main() -> None:
    """Run what the command line names, and write its data file and table."""
    words = _words()
    if words.page:
        page.write(words.results)
        return
    provider.require_packages()
    for workload in words.workload:
        runs = _interleaved(words, workload)
        target = words.results / f"{workload.name}.json"
        data = record.write(target, workload, runs, append=words.append)
        print(f"\n{report.table(data)}\n{target}")


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workload", default="open", help=", ".join(WORKLOADS))
    parser.add_argument("--contestants", default="", help=", ".join(ROSTER))
    parser.add_argument("--items", type=int, help="instead of the workload's")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--append", action="store_true", help="to the runs there are")
    parser.add_argument("--page", action="store_true", help="renew the docs' page")
    parser.add_argument("--keep", type=Path, help="keep each run's files here")
    words = parser.parse_args()
    try:
        words.workload = [WORKLOADS[name] for name in words.workload.split(",")]
        names = [name for name in words.contestants.split(",") if name]
        words.contestants = [ROSTER[name] for name in names or ROSTER]
    except KeyError as error:
        parser.error(f"there is no {error}")
    if words.items:
        words.workload = [
            dataclasses.replace(workload, items=words.items)
            for workload in words.workload
        ]
    return words


def _interleaved(words: argparse.Namespace, workload: Workload) -> list[Figures]:
    """Run everybody once, then everybody again: a slow minute hits all alike."""
    is_limited = bool(workload.rpm or workload.tpm)
    here = [c for c in words.contestants if c.is_paced or not is_limited]
    pythons = {c.name: environments.python_for(c.requirements_file()) for c in here}
    runs = []
    for repeat in range(words.repeats):
        for contestant in here:
            run = _measured(contestant, pythons[contestant.name], workload, words)
            runs.append(run)
            print(f"{repeat + 1}/{words.repeats} {report.line(run)}", flush=True)
    return runs


def _measured(
    contestant: Contestant, python: Path, workload: Workload, words: argparse.Namespace
) -> Figures:
    workload = dataclasses.replace(
        workload, items=min(workload.items, contestant.most_items)
    )
    if words.keep:
        words.keep.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{contestant.name}-", dir=words.keep))
    workload.write_items(folder / "items.jsonl")
    with provider.serving(workload, folder / "server") as server:
        stage = Stage(
            python=python,
            items=folder / "items.jsonl",
            out=folder / "out.jsonl",
            folder=folder,
            base_url=server.base_url,
        )
        command = contestant.command(stage, workload)
        environment = _environment(stage, server) | contestant.environment
        used = _run(command, stage, environment, words.timeout)
        server_cpu_s = server.cpu_s()
    answers = provider.read_log(server.log)
    names = (contestant.name, workload.name)
    run = figures(names, workload, used, answers, stage.out, server_cpu_s)
    if not words.keep:
        shutil.rmtree(folder)
    return run


def _run(
    command: list[str], stage: Stage, environment: dict[str, str], timeout_s: float
) -> dict[str, float]:
    """Run a contestant away from this process; its own output goes to said.txt."""
    result = stage.folder / "used.json"
    measured = [sys.executable, str(HERE / "measured.py"), str(result), str(timeout_s)]
    with (stage.folder / "said.txt").open("w") as said:
        subprocess.run(
            [*measured, *command],
            cwd=stage.folder,
            env=environment,
            stdout=said,
            stderr=said,
            check=True,
        )
    used: dict[str, float] = json.loads(result.read_text())
    return used


def _environment(stage: Stage, server: provider.Provider) -> dict[str, str]:
    """Nothing of this shell's but PATH: settings of its user would be a tuning."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(stage.folder),
        "XDG_STATE_HOME": str(stage.folder / "limits"),
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": stage.base_url,
    }
    if server.certificate.name:
        environment["SSL_CERT_FILE"] = str(server.certificate)
        environment["REQUESTS_CA_BUNDLE"] = str(server.certificate)
    return environment


if __name__ == "__main__":
    main()
