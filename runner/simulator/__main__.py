"""The command line of the simulator, as `runner simulate` hands it on.

Floor: simulator, top. Knows serving and scenario_text.
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from runner.simulator.ledger import LedgerError
from runner.simulator.listen_error import ListenError
from runner.simulator.scenario_text import SETTINGS, ScenarioError, parse

_LAST_PORT = 65_535


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        from runner.simulator import serving  # noqa: PLC0415 (needs the extra)
    except ModuleNotFoundError as error:
        return _fail(f"{error}: pip install aiohttp")
    try:
        text = sys.stdin.read() if options.scenario == "-" else options.scenario
        if options.scenario == "-":
            serving.without_stdin()
        serving.serve(
            serving.Options(
                host=options.host,
                port=options.port,
                scenario=parse(text),
                seed=options.seed,
                ledger=options.ledger,
                ready_file=options.ready_file,
                parent=options.parent,
                linger_s=options.linger,
            )
        )
    except (ScenarioError, LedgerError, ListenError, OSError) as error:
        return _fail(str(error))
    return 0


class _Parser(argparse.ArgumentParser):
    """A mistake is one line, without all options above it."""

    def error(self, message: str) -> NoReturn:
        """Say it and end with 2."""
        _fail(f"{message}: see `{self.prog} --help`")
        self.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="runner simulate",
        description="An OpenAI-compatible server that makes its answers up.",
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=_port, default=0, help="0 to 65535; 0: any free port")
    add("--ledger", type=Path, help="append one JSON line for each request")
    add("--scenario", default="", help='"key=value,key=value"; `-` reads stdin')
    add("--seed", type=int, default=0, help="same seed, same answers")
    add("--ready-file", type=Path, help="gets base URL and control URL, a line each")
    add("--parent", type=int, help="end some time after this process has")
    add("--linger", type=float, default=10.0, help="seconds without request until then")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:9]) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to {_LAST_PORT}")
    return int(text)


def _settings_help() -> str:
    lines = ["settings of --scenario:"]
    lines += [f"  {one.name}={one.default}\n      {one.help}" for one in SETTINGS]
    return "\n".join(lines)


def _fail(message: str) -> int:
    sys.stderr.write(f"runner simulate: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
