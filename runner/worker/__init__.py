"""One worker: what happens inside a slot.

    main    opens tools, runs threads, listens     walk    one item: the heart
    outbox  what the supervisor is told            wants   what is asked of the limiter
    meter   how busy it is, how fast it is answered

Floor: the work. Does not know which engine runs it.
"""
