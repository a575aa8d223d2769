"""Nights by seed: `python -m nights 0 5000`, from the folder `tests`."""

import sys

from nights.running import main

if __name__ == "__main__":
    sys.exit(main())
