import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from simulator_bench import Bench

from runner.simulator import LaunchError, ScenarioError, launch, read_ledger


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_dead(pid: int, within_s: float) -> bool:
    give_up_s = time.monotonic() + within_s
    while is_alive(pid) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    return not is_alive(pid)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runner.simulator", *arguments]


def test_it_lives_in_a_session_of_its_own_without_the_terminal(bench: Bench) -> None:
    pid = bench.simulator.pid

    assert os.getsid(pid) == pid != os.getsid(0)
    assert os.getpgid(pid) == pid
    targets = [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
    assert targets == ["/dev/null", "/dev/null", f"{bench.ledger_path}.log"]


def test_the_expected_key_is_in_no_list_of_processes(tmp_path: Path) -> None:
    with launch("key=sk-hidden", tmp_path / "ledger", seed=1) as simulator:
        shown = Path(f"/proc/{simulator.pid}/cmdline").read_bytes()
        simulator.stop()  # and once more at the end of the block: that is fine

    assert b"sk-hidden" not in shown
    assert [path.name for path in tmp_path.glob("*.ready*")] == []
    assert not is_alive(simulator.pid)
    with pytest.raises(requests.ConnectionError):
        requests.get(simulator.control_url, timeout=1)


def test_a_bad_setting_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="did you mean latency"):
        launch("latncy=1", tmp_path / "ledger", seed=1)

    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("hello\n")

    with pytest.raises(LaunchError, match=r"ended at once: .*line 1: not JSON"):
        launch("", tmp_path / "ledger", seed=1)


def test_it_outlives_its_parent_only_while_it_is_asked(tmp_path: Path) -> None:
    """Workers that finish what they have paid for still get their answers."""
    ledger, ready = tmp_path / "ledger", tmp_path / "ready"
    parent = subprocess.Popen(["sleep", "60"])
    arguments = ["--ledger", str(ledger), "--ready-file", str(ready), "--linger", "0.3"]
    arguments += ["--scenario", "latency=0", "--parent", str(parent.pid)]
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE) as simulator:
        assert simulator.stdout is not None
        line = simulator.stdout.readline().decode()
        base_url, control_url = ready.read_text().split()
        assert line == f"simulator listening on {base_url}\n"
        time.sleep(0.5)  # longer than it lingers: the parent still lives
        parent.kill()
        parent.wait()
        asked_until_s = time.monotonic() + 0.8
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        while time.monotonic() < asked_until_s:
            requests.post(f"{base_url}/chat/completions", json=body)
            time.sleep(0.05)
        assert is_alive(simulator.pid)
        assert wait_until_dead(simulator.pid, 3)
        assert simulator.wait() == 0
    assert len(list(read_ledger(ledger))) >= 10
    assert control_url.endswith("/simulator")


def test_a_parent_that_was_gone_already_is_noticed(tmp_path: Path) -> None:
    parent = subprocess.Popen(["true"])
    parent.wait()
    arguments = ["--parent", str(parent.pid), "--linger", "0"]

    with subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL) as simulator:
        assert simulator.wait(5) == 0


def test_ctrl_c_ends_one_in_the_foreground() -> None:
    with subprocess.Popen(command(), stdout=subprocess.PIPE) as simulator:
        assert simulator.stdout is not None
        assert simulator.stdout.readline().startswith(b"simulator listening on http://")
        simulator.send_signal(signal.SIGINT)

        assert simulator.wait(5) == 0


def test_the_command_line_explains_every_setting() -> None:
    shown = subprocess.run(
        command("--help"), capture_output=True, text=True, check=True
    ).stdout

    assert "latency=0.3\n      median seconds until an answer" in shown
    assert "none|500|503|refuse|hang|proxy_html: what every request meets" in shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scenario", "rmp=3"], "did you mean rpm?"),
        (["--port", "1", "--host", "203.0.113.1"], "annot assign"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused_in_one_line(
    arguments: list[str], complaint: str
) -> None:
    ended = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1
