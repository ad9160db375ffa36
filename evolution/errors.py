"""The two kinds of failure that a user can cause or meet; scripts show each as one line, never as a traceback."""


class InputError(ValueError):
    """Something the user gave is wrong: what was given, what is allowed, where. Exit status 2."""


class RunError(RuntimeError):
    """The run cannot go on (disk full, folder gone, cluster lost, environment broken). Exit status 1."""


class WorkerLost(RunError):
    """A worker process was killed while it evaluated."""
