"""Where does a contestant run? In an environment of its own, with pinned packages.

Made once for each content of its requirements, in the user's cache folder.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))


def python_for(requirements: Path | None) -> Path:
    """Return the Python of an environment with `requirements`; None: with runner."""
    if requirements is None:
        words = ["-c", str(ROOT / "constraints.txt"), "-e", str(ROOT)]
        parts = [ROOT / "constraints.txt", ROOT / "pyproject.toml"]
    else:
        words = ["-r", str(requirements)]
        parts = [requirements]
    mark = hashlib.sha256(" ".join([sys.version, *words]).encode())
    for part in parts:
        mark.update(part.read_bytes())
    name = requirements.stem if requirements else "runner"
    folder = CACHE / "runner-benchmarks" / f"{name}-{mark.hexdigest()[:10]}"
    python = folder / "bin" / "python"
    done = folder / "installed.txt"
    if not done.exists():
        print(f"preparing {folder} ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q"]
        install += ["--disable-pip-version-check", *words]
        subprocess.run(install, check=True)
        done.write_text(_frozen(python))
    return python


def installed(python: Path) -> dict[str, str]:
    """Return name and version of all packages beside `python`."""
    lines = (python.parent.parent / "installed.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def _frozen(python: Path) -> str:
    words = [str(python), "-m", "pip", "--disable-pip-version-check", "freeze"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
