"""Whole runs under torture: killed, starved of disk, cut off from power, by seed.

    python -m torture.kill_everything      SIGKILL to all processes of a run
    python -m torture.kill_supervisor      SIGKILL to the supervisor alone
    python -m torture.storm                a worker killed every second
    python -m torture.crash_points         killed, or failed, at every write to the disk
    python -m torture.power_loss           what a disk may hold after the power went
    python -m torture.full_disk            the disk fills up

To be run in the folder `tests`. Each takes `--seed`, prints one closing line, and ends
with 1 if a promise was broken. Short versions are in `tests/behaviour/`.
"""
