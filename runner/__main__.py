"""`runner`, and `python -m runner`: the command line.

Light on purpose: every spawned worker imports the console script, and with it this
module, again.

Floor: faces.
"""

import os
import sys

_INTERRUPTED = 130
"""As `exit_codes` has it: importing that might be what was interrupted."""


def main() -> int:
    """Do what the command line says; the exit code."""
    if os.name == "nt":
        sys.exit("runner: Windows lacks the locks and signals this needs: use WSL")
    _occupy_standard_descriptors()
    try:
        from runner.cli import main as cli_main  # noqa: PLC0415 - see above

        return cli_main()
    except KeyboardInterrupt:
        # Before a command has begun: each has its own words from then on.
        os.write(2, b"interrupted\n")
        return _INTERRUPTED


def _occupy_standard_descriptors() -> None:
    """Keep 0, 1 and 2 from becoming a database: closed ones would be given to it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free one: this
            # Workers, and what user code starts there, would have none either.
            os.set_inheritable(descriptor, True)
    # Python has none where it found the descriptor closed.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - for good


if __name__ == "__main__":
    sys.exit(main())
