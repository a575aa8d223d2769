"""Long searches for what breaks, each a command: `python -m fuzz.sends 50000`.

Run from the folder `tests`. What a search draws comes from its seed. The tests
beside them run a handful of each.
"""
