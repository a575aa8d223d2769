"""The whole night: who works, what is left, when to stop?

    loop       the supervisor: starts, feeds, watches, buries workers; drains
    slot       one worker as seen   undertaker  what follows from a death
    blame      which item kills its workers, if any does
    opened     the run it holds: lock, shards, limiter
    backlog    which items are left       handout      who gets them
    guards     when going on burns money  stops        why a session ends early
    pulse      rates and time left        heartbeat    the last sign of life
    signals    Ctrl-C, SIGTERM            stop_request  `runner stop`
    concurrency  how many workers and threads there may be
    governor   how many calls should be under way: found from what is seen
    staffing   that, shared out over workers
    hurry      may all that is left be fired at once
    holds      what stops everybody for a while, into the log

Floor: the run. Knows engines only by their protocol.
"""
