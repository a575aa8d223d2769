"""`runner`, and `python -m runner`: the command line.

Light on purpose: every spawned worker imports the console script, and with it this
module, again.

Floor: faces.
"""

import os
import sys


def main() -> int:
    """Do what the command line says; the exit code."""
    if os.name == "nt":
        sys.exit("runner: Windows lacks the locks and signals this needs: use WSL")
    _occupy_standard_descriptors()
    from runner.cli import main as cli_main  # noqa: PLC0415 - see above

    return cli_main()


def _occupy_standard_descriptors() -> None:
    """Keep 0, 1 and 2 from becoming a database: closed ones would be given to it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free one: this
    # Python has none where it found the descriptor closed.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - for good


if __name__ == "__main__":
    sys.exit(main())
