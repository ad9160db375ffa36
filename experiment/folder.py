"""A run's folder: made whole or not at all, locked, logged to, and taken up again."""

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import filelock

from evolution import checkpoint
from evolution.errors import InputError
from evolution.files import TEMPORARY, UMASK, remove_unfinished, with_room, write_atomically
from experiment import origin
from experiment.events import EventLog
from experiment.parameters import PARAMS_FILE, Params, show, yaml_text

LOG = logging.getLogger("neuroevolution")
LOG.setLevel(logging.INFO)
LINES = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
EVENTS, NETWORKS = "tensorboard_summary", "networks"
CHAMPION, TRAINED = "champion_network.json", "trained_network.json"
# The log and the event files that the program made in this folder, a line each: no other is ever cut or removed.
MADE = ".files"
MADE_BY_RUNS = (
    checkpoint.NAME, checkpoint.PREVIOUS_NAME, EVENTS, NETWORKS, CHAMPION, TRAINED,
    "results_summary.csv",
)  # fmt: skip


class Resumable(Protocol):
    """A state that a run can go on from."""

    @property
    def progress(self) -> int:
        """Generations or epochs that are done."""


Progress = TypeVar("Progress", bound=Resumable)


@dataclass(frozen=True)
class Codec(Generic[Progress]):
    """How a kind of state becomes JSON and arrays, and comes back; `unpack` raises InputError."""

    pack: Callable[[Progress], tuple[dict[str, Any], checkpoint.Arrays]]
    unpack: Callable[[dict[str, Any], checkpoint.Arrays], Progress]


EVOLUTION = Codec(checkpoint.pack, checkpoint.unpack)


class Run:
    """A run's folder: its lock, its log and its event files. The lock goes with the process, however that ends."""

    def __init__(self, path: Path, params: Params | None = None) -> None:
        self.path, self.params, self.log = path, params, LOG
        self.log_path = path / f"{with_room(path.resolve().name, len('.log'))}.log"
        self._open = contextlib.ExitStack()  # closes everything, even where something cannot be written
        lock = filelock.FileLock(path / ".lock", timeout=0, mode=0o666 & ~UMASK)
        try:
            self._open.enter_context(lock.acquire())
        except filelock.Timeout:
            raise InputError(f"{path}: another run is at work in this folder") from None

    def open(self, file_sizes: Mapping[str, int] | None = None) -> None:
        """Open log and event files, after cutting off what came after the state that the run goes on from."""
        for folder in (self.path, self.path / NETWORKS):
            remove_unfinished(folder)
        if file_sizes is not None:
            self._cut(file_sizes)
        events = EventLog.next_name(self.path / EVENTS)
        with open(self.path / MADE, "a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in (self.log_path.name, f"{EVENTS}/{events}"))
        self._handler = _LogFile(self.log_path, encoding="utf-8")
        self._open.callback(self._handler.close)
        self._handler.setFormatter(LINES)
        logging.getLogger().addHandler(self._handler)
        self._open.callback(logging.getLogger().removeHandler, self._handler)
        self.writer = self._open.enter_context(contextlib.closing(EventLog(self.path / EVENTS, events)))

    def file_sizes(self) -> dict[str, int]:
        """Flush log and event files, and give their lengths."""
        self._handler.flush()
        self.writer.flush()
        files = [self.log_path, *sorted((self.path / EVENTS).glob("events*"))]
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}

    def _cut(self, file_sizes: Mapping[str, int]) -> None:
        """Shorten the files of the checkpoint to what they were then; those that the run made later go."""
        made = self._made()
        for name, size in file_sizes.items():
            file = self.path / name
            if file.suffix == ".log" and file != self.log_path and file.exists() and not self.log_path.exists():
                file.rename(self.log_path)  # the folder has another name than when it was written
                file = self.log_path
                made.discard(file.name)
            if file.exists() and file.stat().st_size > size:
                os.truncate(file, size)
        for name in made - file_sizes.keys():
            if name.startswith(EVENTS) or name == self.log_path.name:
                (self.path / name).unlink(missing_ok=True)

    def _made(self) -> set[str]:
        try:
            return set((self.path / MADE).read_text(encoding="utf-8").split("\n")) - {""}
        except FileNotFoundError:
            return set()

    def encode(self, state: Progress, file_sizes: Mapping[str, int], codec: Codec[Progress]) -> bytes:
        """A checkpoint file: the state, the files' lengths, and the parameters and versions that it comes from."""
        meta, arrays = codec.pack(state)
        params = {} if self.params is None else self.params.decisive()
        own: dict[str, Any] = {"file_sizes": dict(file_sizes), "params": params, "versions": origin.versions()}
        if self.params is not None and self.params.data_digest is not None:
            own["data"] = self.params.data_digest
        return checkpoint.encode(meta | {"run": own}, arrays)

    def close(self) -> None:
        """Close the files and give the folder free. Raises OSError where what is left cannot be written."""
        self._open.close()


class _LogFile(logging.FileHandler):
    """A log file that is an error where it cannot be written, as every other file of the run."""

    def handleError(self, record: logging.LogRecord) -> None:  # called while the error is being handled
        raise


@dataclass(frozen=True)
class Loaded(Generic[Progress]):
    """A checkpoint file: a state, and what the run's folder adds to it."""

    state: Progress
    file_sizes: Mapping[str, int]
    params: Mapping[str, Any]
    versions: Mapping[str, str]
    data: str | None = None  # digest of the data set


def decode(content: bytes, codec: Codec[Progress]) -> Loaded[Progress]:
    """What `Run.encode` made a file of. Raises InputError that says what is wrong with it."""
    meta, arrays = checkpoint.decode(content)
    with checkpoint.foreign_content():
        own = meta.pop("run")
        sizes = {str(name): checkpoint.count(size, "a file's length") for name, size in own["file_sizes"].items()}
        return Loaded(codec.unpack(meta, arrays), sizes, dict(own["params"]), dict(own["versions"]), own.get("data"))


@contextlib.contextmanager
def open_run(
    params: Params, codec: Codec[Progress], check: Callable[[Progress], object] = lambda state: None
) -> Iterator[tuple[Run, Progress | None]]:
    """The run's folder, made or taken up again, and the state to go on from (None at the beginning).

    `check` raises InputError where a state is not one that the run can go on from. Raises InputError too where the
    folder exists or cannot be written, is in use, has no whole checkpoint left, or is of other parameters: nothing has
    been touched then.
    """
    run = _create(params) if params.resume is None else Run(Path(params.resume), params)
    params.folder = run.path
    try:
        if params.resume is None:
            state = None
            run.open()
        else:
            state = _take_up(run, params, codec, check)
        if state is None:
            run.writer.parameters(params.decisive(), params.experiment.metrics)
        run.log.info("%s, seed %d, in %s", params.script, params.seed, run.path)
        if params.without_use:
            run.log.info("%s has no use for %s", params.script, ", ".join(params.without_use))
        for name, why in params.without_effect.items():
            run.log.info("%s has no effect: %s", name, why)
        yield run, state
    finally:
        run.close()


def _take_up(run: Run, params: Params, codec: Codec[Progress], check: Callable[[Progress], object]) -> Progress | None:
    """Read the checkpoint, check that the run can go on from it, cut off what came after it, and say so in the log."""
    unit = params.experiment.unit
    asked = getattr(params, unit)
    loaded, damaged = checkpoint.load(run.path, lambda content: decode(content, codec))
    if loaded is not None:
        if asked < loaded.state.progress:
            raise InputError(f"{unit} is {asked}, but {loaded.state.progress} are done")
        _check_params(run.path, params, loaded.params)
        other_data = _check_data(run.path, params, loaded)
        try:
            check(loaded.state)
        except InputError as error:
            raise InputError(f"{run.path}: {error}") from None
    run.open({} if loaded is None else loaded.file_sizes)
    for line in damaged:
        run.log.warning("%s; going on from the previous checkpoint", line)
    done = 0 if loaded is None else loaded.state.progress
    run.log.info("resumed: %d of %d %s done", done, asked, unit.removeprefix("num_"))
    if loaded is not None:
        _tell_versions(run.log, loaded.versions)
        if other_data:
            run.log.warning("%s", other_data)
    write_atomically(run.path / PARAMS_FILE, yaml_text(params))
    return None if loaded is None else loaded.state


def _check_params(path: Path, params: Params, before: Mapping[str, Any]) -> None:
    """Raise InputError where params.yaml is not what the run was begun with."""
    now, missing = params.decisive(), object()
    idle = params.idle(before)  # an earlier version may have recorded what has no effect
    different = [
        f"{name} was {show(before.get(name))} and is {show(now.get(name))}"
        for name in dict.fromkeys([*before, *now])
        if name not in idle and before.get(name, missing) != now.get(name, missing)
    ]
    if different:
        raise InputError(f"{path / PARAMS_FILE} is not what the run was begun with: {'; '.join(different)}")


def _check_data(path: Path, params: Params, loaded: Loaded[Any]) -> str:
    """What is to be said of the data set, where it is no longer what the run was begun with.

    Another version of a package that prepares it may give other numbers, as it may in all that it computes. Raises
    InputError where that cannot be the reason.
    """
    before, now = loaded.data, params.data_digest
    if None in (before, now) or before == now:
        return ""
    line = f"the data set {params.task_name} is not what the run was begun with (digest {before}, now {now})"
    if any(loaded.versions.get(package) != origin.versions().get(package) for package in origin.PREPARING):
        return line
    where = f"data_dir {params.data_dir}" if params.data_dir else "its files"
    raise InputError(f"{path}: {line}; look at {where}")


def _tell_versions(log: logging.Logger, before: Mapping[str, str]) -> None:
    now = origin.versions()
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            log.warning("%s was %s when the run began, and is %s", name, before.get(name), now.get(name))


def _create(params: Params) -> Run:
    """Make the folder with params.yaml in it, both or neither: a folder with params.yaml can be resumed."""
    path = Path(params.out_dir) if params.out_dir is not None else _dated_folder()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if params.out_dir is not None and (path.exists() or path.is_symlink()):
            return _overwrite(path, params)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
        try:
            (temporary / PARAMS_FILE).write_text(yaml_text(params), encoding="utf-8")
            temporary.chmod(0o777 & ~UMASK)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return Run(path, params)
    except OSError as error:
        if params.out_dir is None and path.exists():  # a run that began in the same second was faster
            return _create(params)
        raise InputError(f"out_dir {path} cannot be written ({error.strerror or error})") from None


def _dated_folder() -> Path:
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    candidates = (Path("out").absolute() / (stamp + (f"-{i}" if i else "")) for i in range(10**6))
    return next(path for path in candidates if not path.exists())


def _overwrite(path: Path, params: Params) -> Run:
    if not params.overwrite_output:
        raise InputError(f"out_dir {path} exists; choose another, or give --overwrite_output to replace the run in it")
    if not path.is_dir() or (any(path.iterdir()) and not (path / PARAMS_FILE).is_file()):
        raise InputError(f"out_dir {path} is no run's folder; --overwrite_output replaces nothing else")
    run = Run(path, params)
    # Whenever this is interrupted, the folder is a run that can be resumed or replaced: at first as it was, without the
    # checkpoints from its beginning, with the new params.yaml as the new one.
    for file in (*(path / name for name in MADE_BY_RUNS), run.log_path, path / MADE):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)
    write_atomically(path / PARAMS_FILE, yaml_text(params))
    return run
