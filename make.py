#!/usr/bin/env python3
"""All chores of this project, for a machine that has nothing but Python and git.

    python3 make.py demo    the main job on the embedded simulator: no key, no network;
                            goes on where it stopped, `--again` begins another run
    python3 make.py test    the tests
    python3 make.py lint    format, lint, types, floors
    python3 make.py check   test, then lint: what CI runs

Each makes its own environment in .venv first and installs what it needs. Further
words go to the tool: `python3 make.py test -k resume`.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / "bin"
DEMO = ROOT / "demo"
DEMO_STATE = "demo/state"
"""Below ROOT, where the demo's commands are to be pasted."""
SCENARIO = "invalid=0.1,always_invalid=5,cached=0.3,cached_min=64"
CODE = ["runner", "tests", "examples", "benchmarks", "make.py"]


def demo(extra: list[str]) -> None:
    """Classify this Python's standard library, interrupt it if you like."""
    is_again = "--again" in extra
    extra = [word for word in extra if word != "--again"]
    prepare("simulator")
    DEMO.mkdir(exist_ok=True)
    items = DEMO / "stdlib.jsonl"
    example = ROOT / "examples" / "stdlib"
    if not items.exists():
        call("python", str(example / "make_items.py"), str(items))
    # The files are the demo's own, also those of a run whose state was deleted.
    words = ["start", str(items), "--task", str(example / "task.py"), "--overwrite"]
    words += ["--model", "gpt-4o-mini", "--scenario", SCENARIO]
    words += ["--workers", "4", "--threads", "16"]
    found = None if is_again else demo_status()
    if is_again:
        words.append("--new")
    elif found and found["state"] in ("finished", "running", "draining"):
        counts, doing = found["items"], found["state"]
        done = counts["total"] - counts["pending"]
        print(
            f"the demo is {doing}: {done:,} of {counts['total']:,} items; look at it:"
        )
        print(look_at(found["run"]))
        return
    elif found:
        words = ["resume", found["run"]]
    print(f"for the commands it names: . {ENVIRONMENT.name}/bin/activate\n", flush=True)
    code = run_in_front("runner", *words, "--state-dir", DEMO_STATE, *extra)
    if found := demo_status():
        is_over = found["state"] == "finished"
        go_on = "" if is_over else "  go on      python3 make.py demo\n"
        print(f"\n{go_on}{look_at(found['run'])}")
    sys.exit(code)


def demo_status() -> dict[str, Any] | None:
    """What `runner status` says of the demo's latest run; None: there is none."""
    if not any((ROOT / DEMO_STATE).glob("*/manifest.json")):
        return None
    words = ["status", "--json", "--state-dir", DEMO_STATE]
    done = subprocess.run(
        [str(BIN / "runner"), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        print(
            "the demo's run cannot be read; another one: python3 make.py demo --again"
        )
        sys.exit(done.returncode)
    status: dict[str, Any] = json.loads(done.stdout)
    return status


def look_at(run: str) -> str:
    """Commands to paste below ROOT, whatever is activated."""
    runner = f"{ENVIRONMENT.name}/bin/runner"
    return (
        f"  status     {runner} status {run} --state-dir {DEMO_STATE}\n"
        f"  one item   {runner} show {run} line:1 --state-dir {DEMO_STATE}\n"
        "  once more  python3 make.py demo --again"
    )


def test(extra: list[str]) -> None:
    """Run the tests."""
    prepare("dev")
    # Most tests of whole runs wait for a simulated server: six at a time.
    call("pytest", "-n", "6", "--dist", "worksteal", *extra)


def lint(extra: list[str]) -> None:
    """Format, lint, types, floors."""
    prepare("dev")
    code = [name for name in CODE if (ROOT / name).exists()]
    call("ruff", "format", "--check", *code, *extra)
    call("ruff", "check", *code)
    call("mypy")
    # One by one: each folder of tests has a conftest of its own.
    for folder in sorted((ROOT / "tests").iterdir()):
        if folder.is_dir() and any(folder.glob("*.py")):
            call("mypy", str(folder))
    call("lint-imports")


def check(extra: list[str]) -> None:
    """What CI runs."""
    test(extra)
    lint([])


def prepare(extra: str) -> None:
    """Make .venv and install the project with `extra`, unless that is done."""
    if sys.version_info < (3, 11):
        sys.exit(f"runner needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    wanted = fingerprint()
    mark = ENVIRONMENT / f"installed-{extra}"
    if mark.exists() and mark.read_text() == wanted:
        return
    print(f"preparing {ENVIRONMENT.name} (once; about a minute) ...", flush=True)
    if not (BIN / "python").exists():
        venv.create(ENVIRONMENT, with_pip=True)
    # Twice quiet: errors are told, warnings about this machine's pip are not.
    install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    call("python", *install, "-c", "constraints.txt", "-e", f".[{extra}]")
    mark.write_text(wanted)


def fingerprint() -> str:
    """What decides whether the environment is up to date."""
    parts = [
        (ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def call(program: str, *words: str) -> None:
    """Run a program of the environment; its failure is ours."""
    if code := run_code(program, *words):
        sys.exit(code)


def run_in_front(program: str, *words: str) -> int:
    """Run a program that hears every signal that is meant for us; its exit code."""
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM or not is_in_front():
            for process in started:
                process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, pass_on)
    started.append(subprocess.Popen([str(BIN / program), *words], cwd=ROOT))
    code = started[0].wait()
    return code if code >= 0 else 128 - code  # as shells count a death by signal


def is_in_front() -> bool:
    """Whether a terminal sends its Ctrl-C to us, and so to our children as well."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False  # no terminal; or no standard input at all


def run_code(program: str, *words: str) -> int:
    """Run a program of the environment and give its exit code."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    # Tests start a thousand processes: each would compile the project once more.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [str(BIN / program), *words], cwd=ROOT, env=environment, check=False
    )
    return done.returncode


CHORES = {"demo": demo, "test": test, "lint": lint, "check": check}

if __name__ == "__main__":
    chore = CHORES.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if chore is None:
        sys.exit(__doc__)
    chore(sys.argv[2:])
