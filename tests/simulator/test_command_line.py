"""`runner simulate` as somebody types it wrong."""

import socket
import subprocess
import sys

import pytest


def _simulate(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "runner", "simulate", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--port", "99999"), "'99999' is no port from 0 to 65535"),
        (("--port", "-1"), "--port"),
        (("--port", "http"), "'http' is no port"),
        (("--bogus",), "--bogus"),
        (("--scenario", "zz=1"), "'zz'"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], says: str) -> None:
    done = _simulate(*words)
    assert 2 == done.returncode
    assert says in done.stderr
    assert done.stderr.startswith("runner simulate: ")
    assert 1 == done.stderr.count("\n")


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _simulate("--port", str(port))
    assert 2 == done.returncode
    assert f"cannot listen on port {port} of 127.0.0.1: " in done.stderr
    assert 1 == done.stderr.count("\n")


def test_its_help_names_the_command_that_was_typed() -> None:
    assert _simulate("--help").stdout.startswith("usage: runner simulate ")
