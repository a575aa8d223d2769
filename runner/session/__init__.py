"""One start, resume, export or rejudgement: what a person asks of a run.

    starting   create a run        survey     render every request once
    ground     can runs live here?  naming    which runs there are
    building   a run's folder
    working    a session           changes    what differs from before
    exporting  write the files     noting     whose they are, and which is newer
    rejudging  a new rule over stored answers
    verifying  is it sound?        findings   what is not
    salvaging  what is readable    losses     what is not any more
    backing_up a copy
    story      one item, unresolved requests  simulating  the embedded simulator

Floor: the run. Knows everything but the faces.
"""
