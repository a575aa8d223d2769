"""Runs one command several times at once, each with its part of the items.

    python3 at_once.py RUNS ITEMS OUT COMMAND ...

Wherever COMMAND names ITEMS and OUT, each run has files of its own; OUT is put
together when all have ended. The n-th item goes to run n modulo RUNS.
"""

import subprocess
import sys
from pathlib import Path


def main(runs: int, items: Path, out: Path, command: list[str]) -> int:
    """Return the worst of the exit codes."""
    lines = items.read_text().splitlines(keepends=True)
    outs, processes = [], []
    for run in range(runs):
        part, its_out = _own(items, run), _own(out, run)
        part.write_text("".join(lines[(run - 1) % runs :: runs]))
        own = {str(items): str(part), str(out): str(its_out)}
        processes.append(subprocess.Popen([own.get(word, word) for word in command]))
        outs.append(its_out)
    codes = [process.wait() for process in processes]
    out.write_text("".join(path.read_text() for path in outs if path.exists()))
    return max(codes)


def _own(path: Path, run: int) -> Path:
    return path.with_stem(f"{path.stem}-{run}")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
