"""The two kinds of failure that a user can cause or meet; scripts show each as one line, never as a traceback."""


class InputError(ValueError):
    """Something the user gave is wrong: what was given, what is allowed, where. Exit status 2."""


def unreadable(path: object, error: Exception, as_what: str = "") -> InputError:
    """The line for a file, or a folder, whose reading raised `error`."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(f"{path}: cannot be read{as_what} ({' '.join(reason.split()):.200})")


class RunError(RuntimeError):
    """The run cannot go on (disk full, folder gone, cluster lost, environment broken). Exit status 1.

    `resume_with` are words of the command line with which it could go on where it would else fail again.
    """

    resume_with: tuple[str, ...] = ()

    def __init__(self, line: str, resume_with: tuple[str, ...] = ()) -> None:
        super().__init__(line)
        self.resume_with = resume_with


class WorkerLost(RunError):
    """A worker process was killed while it evaluated."""
