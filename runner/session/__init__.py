"""One start, resume, export or rejudgement: what a person asks of a run.

    starting   create a run        survey     render every request once
    working    a session           changes    what differs from before
    exporting  write the files     rejudging  a new rule over stored answers
    naming     which runs there are           story  one item, unresolved requests
    simulating the embedded simulator

Floor: the run. Knows everything but the faces.
"""
