"""What only some operating systems have: it is here and nowhere else, and done without where it is not."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

# Ctrl-C; whoever ends processes; a terminal that closes; schedulers of clusters, which send one of the last before the
# time of a job is over. Those that a system does not have are left out.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1") if hasattr(signal, name)
)

# Set once a script was asked to stop. The exception that says so is lost where it meets a callback from C, as numba has
# some; so whoever goes through generations or epochs looks here too.
ASKED_TO_STOP = threading.Event()


def tells_to_stop(error: BaseException | None) -> bool:
    """Whether it is a KeyboardInterrupt, or what Python made of one: a SystemError where it came while a function of C,
    as numba's calls of kernels, had a result already.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


TO_FLUSH = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY  # Windows flushes only what could be written
SHARED_DATA = Path("/usr/share/datasets")  # where packages of some systems put data sets


@contextmanager
def blocked() -> Iterator[None]:
    """Hold the stop signals back for this thread and for processes that start meanwhile, where that is possible."""
    if sys.platform == "win32":
        yield
        return
    # Python's tracker of resources unblocks them when it starts, so it comes first.
    sys.warnoptions.append("ignore:resource_tracker")  # it cleans up after a killed run, and need not say so
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def end_with(parent: int) -> Callable[[], None] | None:
    """What a process calls before it begins, `preexec_fn` of subprocess: when the parent is killed, so is it.

    None where there is no such thing; the process then goes on by itself.
    """
    if sys.platform != "linux":
        return None
    set_parent_death_signal, libc = 1, ctypes.CDLL(None)  # prctl(2)

    def prepare() -> None:
        libc.prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before that
            os._exit(1)

    return prepare
