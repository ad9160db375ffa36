"""The signals that ask a run to stop; what only some systems have is here and nowhere else."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Ctrl-C; whoever ends processes; a terminal that closes; schedulers of clusters, which send one of the last before the
# time of a job is over. Those that a system does not have are left out.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1") if hasattr(signal, name)
)


@contextmanager
def blocked() -> Iterator[None]:
    """Hold the stop signals back for this thread and for processes that start meanwhile, where that is possible."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
