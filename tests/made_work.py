"""What the tests let workers do: functions that a worker process can import."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evolution.errors import RunError


class Parcel:
    """Data that writes down, a line each time, which process received it."""

    def __init__(self, diary: Path, array: np.ndarray) -> None:
        self.diary, self.array = diary, array

    def __sizeof__(self) -> int:
        return self.array.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, (self.diary, self.array)


def _receive(diary: Path, array: np.ndarray) -> Parcel:
    with open(diary, "a") as file:
        file.write(f"{os.getpid()}\n")
    return Parcel(diary, array)


def scaled(items: Sequence[float], factor: float = 2.0) -> list[float]:
    return [item * factor for item in items]


def sums(items: Sequence[int], parcel: Parcel, seconds: float = 0.0) -> list[float]:
    time.sleep(seconds)
    return [float(item * parcel.array.sum()) for item in items]


def places(items: Sequence[Any]) -> list[tuple[int, int, str | None]]:
    """Process, thread, and the number of threads that libraries may use there."""
    time.sleep(0.02)
    return [(os.getpid(), threading.get_ident(), os.environ.get("OMP_NUM_THREADS")) for _ in items]


def fatal(items: Sequence[int]) -> list[int]:
    """Kills its process at a negative number."""
    if min(items) < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return list(items)


def unblocking(items: Sequence[int]) -> list[int]:
    """Lets Ctrl-C through, as Python's tracker of resources does when an environment starts it; then it comes."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    return [os.getpid() for _ in items]


def failing(items: Sequence[int]) -> list[int]:
    raise RunError("the environment broke")
