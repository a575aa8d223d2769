"""How do cost and memory grow with the number of items?

    .venv/bin/python benchmarks/growth.py 10000,100000,1000000

Starts a run of so many items and a hundred more, records all but the last hundred as
workers would (filled.py), and measures what a person does with it: status, export, a
resume for the rest. Writes a data file and prints its table. About 6 minutes and 5 GB
of disk for a million.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import growth_table
import record
from filled import fill

RESULTS = Path(__file__).parent / "results" / "growth.json"
PENDING = 100
_PROMPT = "Read this passage and say in one sentence what it claims, and why. " * 2
_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It claims nothing."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45},
    }
).encode()
_LOOK_S = 0.01


def main() -> None:
    """Measure each size, smallest first."""
    words = _words()
    rows = []
    for items in words.items:
        with tempfile.TemporaryDirectory(dir=words.folder) as folder:
            rows.append(measured(Path(folder), items, words.repeats))
        print(json.dumps(rows[-1]), flush=True)
    data = {"session": record.session(len(rows)), "rows": rows}
    words.results.parent.mkdir(parents=True, exist_ok=True)
    words.results.write_text(json.dumps(data, indent=1) + "\n")
    print(f"\n{growth_table.table(data)}\n{words.results}")


def measured(folder: Path, items: int, repeats: int) -> dict[str, Any]:
    """All figures of one size."""
    source = folder / "items.jsonl"
    with source.open("w") as file:
        for row in range(items + PENDING):
            line = {"id": f"item-{row:07d}", "prompt": f"{row} {_PROMPT}"}
            file.write(json.dumps(line) + "\n")
    with _server() as (base_url, arrivals):
        run = _Commands(folder, arrivals)
        begun = run.until_sent("start", str(source), *_asking(base_url))
        began_s = time.monotonic()
        fill(folder / "state" / "items", items)
        filled_s = time.monotonic() - began_s
        statuses = [run.ended("status", "--json") for _ in range(repeats)]
        exports = [
            run.ended("export", "--out", str(folder / f"out-{n}.jsonl"))
            for n in range(repeats)
        ]
        state_bytes = sum(
            path.stat().st_size for path in folder.glob("state/**/*") if path.is_file()
        )
        resumed = run.until_sent("resume")
    with (folder / "out-0.jsonl").open("rb") as file:
        lines = sum(1 for _ in file)
    assert lines >= items, f"{lines} lines exported of {items}"
    return {
        "items": items,
        "recorded_per_s": items / filled_s,
        "start_s": begun["sent_s"],
        "start_rss_mb": begun["rss_mb"],
        "resume_s": resumed["sent_s"],
        "resume_rss_mb": resumed["rss_mb"],
        "status_s": statistics.median(one["wall_s"] for one in statuses),
        "export_lines_per_s": statistics.median(lines / e["wall_s"] for e in exports),
        "export_rss_mb": max(one["rss_mb"] for one in exports),
        "state_bytes_an_item": state_bytes / items,
    }


def _asking(base_url: str) -> list[str]:
    words = ["--prompt", "{{prompt}}", "--model", "bench", "--base-url", base_url]
    # The first item is enough to see that something is sent.
    return [*words, "--param", "max_tokens=20", "--limit", "1", "--yes"]


class _Commands:
    """Runs `runner`, each command in a process of its own, and looks at it."""

    def __init__(self, folder: Path, arrivals: list[float]) -> None:
        self._folder = folder
        self._arrivals = arrivals
        self._environment = os.environ | {
            "OPENAI_API_KEY": "sk-bench",
            "XDG_STATE_HOME": str(folder / "limits"),
        }

    def ended(self, *words: str) -> dict[str, float]:
        """Wall time and peak memory of a command that ends by itself."""
        began_s = time.monotonic()
        process = self._popen(*words)
        rss_mb = self._watch(process)
        return {"wall_s": time.monotonic() - began_s, "rss_mb": rss_mb}

    def until_sent(self, *words: str) -> dict[str, float]:
        """Time to the first request, and peak memory of the supervisor."""
        self._arrivals.clear()
        began_s = time.monotonic()
        rss_mb = self._watch(self._popen(*words))
        return {"sent_s": self._arrivals[0] - began_s, "rss_mb": rss_mb}

    def _popen(self, *words: str) -> "subprocess.Popen[bytes]":
        said = (self._folder / "said.txt").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )

    def _watch(self, process: "subprocess.Popen[bytes]") -> float:
        most_kib = 0
        while process.poll() is None:
            most_kib = max(most_kib, _high_water_kib(process.pid))
            time.sleep(_LOOK_S)
        if process.returncode:
            said = (self._folder / "said.txt").read_text()
            raise SystemExit(f"exit {process.returncode}: {said[-2000:]}")
        return most_kib / 1024


def _high_water_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


@contextlib.contextmanager
def _server() -> Iterator[tuple[str, list[float]]]:
    """Answers everything at once; when requests came."""
    arrivals: list[float] = []

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            arrivals.append(time.monotonic())
            self.rfile.read(int(self.headers["content-length"]))
            self._send(_ANSWER)

        def do_GET(self) -> None:
            self._send(b'{"object": "list", "data": []}')

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the terminal is for figures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", arrivals
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "items", type=lambda text: [int(number) for number in text.split(",")]
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, help="where there is room on a disk")
    return parser.parse_args()


if __name__ == "__main__":
    main()
