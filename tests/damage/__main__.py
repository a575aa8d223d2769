"""Damage by seed: `python -m damage 2000`, from the folder `tests`."""

import sys

from damage.running import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
