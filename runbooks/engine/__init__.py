"""What runs a runbook: its model, durable execution, approvals, locks, limits.

    from runbooks.engine.local import open_engine
    with open_engine(running, paths) as engine:            # runbooks.engine.port.Operations
        run = engine.start(RUNBOOK, Parameters(...), requester="ada", reason="...")

`port.Operations` says what may be asked: plan, start, approve, reject, resume, wait, run, runs. `runs.Run` is a run and
`runs.RunState` where it stands. In tests, `testing.engine(running)` gives one that keeps everything in memory.

A run is a sequence of turns. A turn is one action (a check, an apply, a verify, an undo) whose result DBOS keeps before
the next begins; which action is next is a pure function of the results so far (`machine`). A process that takes up
somebody else's run first checks again, so that a crash inside a turn never leads to a blind repetition.
"""
