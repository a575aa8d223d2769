"""One worker: what happens inside a slot.

    main    runs threads, listens, reports         opening what it opens first
    walk    one item: the heart                    result  what is exported of it
    assignments  which item comes next             tools   what all walks share
    outbox  what the supervisor is told            wants   what is asked of the limiter
    meter   how busy it is, how fast it is answered

Floor: the work. Does not know which engine runs it.
"""
