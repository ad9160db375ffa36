"""Scripts that are killed, at a moment or at the n-th change of a file, as forks of a process that ran them before.

Run as a program this is that process: it reads one request a line, and answers with one line.
"""

import contextlib
import json
import mmap
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from runs import ENVIRONMENT, ROOT

# What can happen to a file, as Python's audit events call it.
CHANGES = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.chmod", "os.rmdir"}


class Ending(NamedTuple):
    """How a script ended: its exit status, or None where it was killed; the seconds and changes that it took."""

    status: int | None
    seconds: float
    changes: int  # of files; 0 unless it was to be killed at one
    said: str


class Harness:
    """Runs scripts as forks, one at a time."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            env=ENVIRONMENT,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(
        self, script: str, arguments: Sequence[object], *, after: float | None = None, at_change: int | None = None
    ) -> Ending:
        """Run a script; it is killed with SIGKILL after so many seconds, or at its n-th change of a file."""
        request = {"script": script, "arguments": [str(a) for a in arguments], "after": after, "at_change": at_change}
        return Ending(*self._ask(request))

    def warm_up(self, script: str, arguments: Sequence[object]) -> None:
        """Let the process itself run the script, so that its forks find everything imported and compiled."""
        self._ask({"here": True, "script": script, "arguments": [str(a) for a in arguments]})

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def serve() -> None:
    sys.path.insert(0, str(ROOT))
    for line in sys.stdin:
        request = json.loads(line)
        answer = here(**request) if request.pop("here", False) else fork(**request)
        print(json.dumps(answer), flush=True)
    os._exit(0)  # what is imported would take seconds to take down


def here(script: str, arguments: list[str]) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = [script, *arguments]
    with contextlib.redirect_stdout(sys.stderr):
        runpy.run_path(script, run_name="__main__")
    for number, handler in handlers.items():
        signal.signal(number, handler)


def fork(script: str, arguments: list[str], after: float | None, at_change: int | None) -> Ending:
    with tempfile.TemporaryFile("w+") as said, mmap.mmap(-1, 8) as counter:
        start = time.monotonic()
        pid = os.fork()
        if not pid:
            be(script, arguments, at_change, said.fileno(), counter)
        end = start + (60 if after is None else after)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.0005)
        if not ended[0]:
            os.kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)
        seconds = time.monotonic() - start
        said.seek(0)
        status = os.waitstatus_to_exitcode(ended[1])
        changes = int.from_bytes(counter[:], "little")
        return Ending(None if status == -signal.SIGKILL else status, seconds, changes, said.read())


def be(script: str, arguments: list[str], at_change: int | None, output: int, counter: mmap.mmap) -> NoReturn:
    """Be the script from here on."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = [script, *arguments]
    if at_change is not None:
        kill_at(at_change, counter)
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    os._exit(status)


def kill_at(number: int, counter: mmap.mmap) -> None:
    """Kill this process at its n-th change of a file: before it, or with half of the file written."""
    count = 0

    def change() -> bool:
        nonlocal count
        count += 1
        counter[:] = count.to_bytes(8, "little")
        return count == number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and not (event == "open" and _only_reads(arguments)) and change():
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    fsync = os.fsync

    def half(descriptor: int) -> None:
        if change():
            with contextlib.suppress(OSError):  # one that is open for reading was written before
                os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    os.fsync = half


def _only_reads(arguments: tuple[Any, ...]) -> bool:
    return not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)


if __name__ == "__main__":
    serve()
