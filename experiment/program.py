"""A script as a process: its signals, what the console shows, its exit status, and its one line where it fails."""

import contextlib
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from evolution.errors import InputError, RunError
from evolution.system import ASKED_TO_STOP, STOP_SIGNALS, tells_to_stop
from experiment import Experiment
from experiment.folder import LINES
from experiment.parameters import Params, is_run, one_line, read_params

OURS = ("evolution", "networks", "envs", "learning", "analysis", "experiment")


def run_script(experiment: Experiment, main: Callable[[Params], None], description: str) -> None:
    """Read the parameters, run `main`, and end with the exit status that tells what happened.

    0: done; 2: the input is wrong; 1: the run could not go on; 128 and the signal's number: stopped by Ctrl-C (130),
    SIGTERM (143) or another of STOP_SIGNALS. In all but the first case one line on standard error says why.
    """
    signals = _Signals()
    _open_console()
    if os.getcwd() not in sys.path:  # for an environment `module:Id` whose module is in the user's folder
        sys.path.append(os.getcwd())
    params = None
    try:
        params = read_params(experiment, description, sys.argv[1:])
        main(params)
        signals.end_at_once()
    except InputError as error:
        signals.end_at_once()
        _end(2, f"error: {error_line(error, params)}")
    except (RunError, OSError, MemoryError) as error:
        signals.end_at_once()
        _end(1, f"error: {error_line(error, params)}{_how_to_resume(params, error)}")
    except BaseException as error:
        if not tells_to_stop(error):
            raise
        signals.end_at_once()
        _end(128 + signals.received, f"stopped{_how_to_resume(params)}")


class _Signals:
    """The first of STOP_SIGNALS interrupts the run, which writes its checkpoint; a second one ends it at once."""

    def __init__(self) -> None:
        self.received: int = signal.SIGINT
        self._interrupts = True
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN or number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._handle)  # one that is ignored was meant to be, as by nohup

    def end_at_once(self) -> None:
        """From now on there is nothing left to be written."""
        self._interrupts = False

    def _handle(self, number: int, frame: Any) -> None:
        self.received = number
        if not self._interrupts:
            os._exit(128 + number)
        self.end_at_once()
        ASKED_TO_STOP.set()
        threading.excepthook = sys.unraisablehook = _say_nothing  # what is cut off by it is no news
        raise KeyboardInterrupt


def _say_nothing(_: Any) -> None:
    pass


# ---- the console ----------------------------------------------------------------------------------------------------


class _Console(logging.Handler):
    """Log lines on standard output, above the progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with _spared():
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()


@contextlib.contextmanager
def _spared() -> Any:
    """The console may be full, closed or gone: then nothing more is shown, and the run and its log file go on."""
    try:
        yield
    except (OSError, ValueError):
        silence()


def silence() -> None:
    """Let standard output and error lead nowhere from now on."""
    for name in ("stdout", "stderr"):
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _open_console() -> None:
    """Log to the console, whatever it is: one that is closed, or cannot encode what is said, stops nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    console = _Console()
    console.setFormatter(LINES)
    logging.basicConfig(level=logging.WARNING, handlers=[console], force=True)
    logging.raiseExceptions = False
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


# ---- the last line --------------------------------------------------------------------------------------------------


def error_line(error: BaseException, params: Params | None) -> str:
    """What went wrong, in one line that names the file where there is one."""
    if isinstance(error, OSError) and error.strerror is not None:
        where = error.filename or (params and params.folder)  # a failed write to an open file does not say which
        return f"{where}: {error.strerror}" if where else error.strerror
    return one_line(error)


def _how_to_resume(params: Params | None, error: BaseException | None = None) -> str:
    if params is None or params.folder is None:
        return ""
    if not is_run(params.folder):
        return f"; the run's folder {params.folder} is gone"
    options = error.resume_with if isinstance(error, RunError) else ()
    return f"; to go on: {resume_command(params.script, params.folder, *options)}"


def resume_command(script: str, folder: Path, *options: str) -> str:
    """The shell command that goes on with a run."""
    return shlex.join(["python", f"{script}.py", "--resume", str(folder), *options])


def _end(status: int, line: str) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
    sys.exit(status)
