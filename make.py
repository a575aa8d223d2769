#!/usr/bin/env python3
"""All chores of this project, for a machine that has nothing but Python and git.

    python3 make.py demo    the main job on the embedded simulator: no key, no network
    python3 make.py test    the tests
    python3 make.py lint    format, lint, types, floors
    python3 make.py check   test, then lint: what CI runs

Each makes its own environment in .venv first and installs what it needs. Further
words go to the tool: `python3 make.py test -k resume`.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / "bin"
DEMO = ROOT / "demo"
SCENARIO = "invalid=0.1,always_invalid=5,cached=0.3,cached_min=64"
CODE = ["runner", "tests", "examples", "benchmarks", "make.py"]


def demo(extra: list[str]) -> None:
    """Classify this Python's standard library, interrupt it if you like."""
    prepare("simulator")
    DEMO.mkdir(exist_ok=True)
    items = DEMO / "stdlib.jsonl"
    example = ROOT / "examples" / "stdlib"
    if not items.exists():
        call("python", str(example / "make_items.py"), str(items))
    words = ["start", str(items), "--task", str(example / "task.py")]
    words += ["--model", "gpt-4o-mini", "--scenario", SCENARIO, "--new", "--overwrite"]
    words += ["--workers", "4", "--threads", "16", "--state-dir", str(DEMO / "state")]
    print(f"for the commands it names: . {ENVIRONMENT.name}/bin/activate\n", flush=True)
    # In our place: a Ctrl-C is for the run, which finishes what is in flight.
    os.execv(BIN / "runner", ["runner", *words, *extra])


def test(extra: list[str]) -> None:
    """Run the tests."""
    prepare("dev")
    # Most tests of whole runs wait for a simulated server: four at a time.
    call("pytest", "-n", "4", "--dist", "worksteal", *extra)


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
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
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


def run_code(program: str, *words: str) -> int:
    """Run a program of the environment and give its exit code."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
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
