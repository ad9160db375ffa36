"""A study: one script with every combination of some parameters, a run's folder for each, resumable as they are.

A study file (params/study/) names the script, a parameter file, fixed overrides, the grid, and what to compare. Every
cell of the grid is an ordinary run of the script, in a process of its own.
"""

import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import filelock
import yaml
from tqdm import tqdm

from evolution.errors import InputError, RunError, unreadable
from evolution.files import read as read_file
from evolution.files import remove_unfinished, write_atomically
from evolution.system import STOP_SIGNALS, end_with
from experiment import EXPERIMENTS, Experiment, origin
from experiment.folder import CHAMPION, TRAINED
from experiment.parameters import (
    PARAMS_FILE,
    Parameter,
    Params,
    WithoutEffect,
    from_yaml,
    is_run,
    may_change,
    one_line,
    parameter_named,
    read_params,
    show,
    used_by,
    without_effect,
)

ROOT = Path(__file__).resolve().parent.parent
STUDY_FILE = "study.yaml"  # what was asked, in the study's folder
JOURNAL = "cells.json"  # how each cell ended, and the seconds that it took
KEYS = ("script", "params_file", "fixed", "grid", "compare", "published")
COMPARED = {"metric": str, "at": int, "window": int, "by": list}
PUBLISHED = {"what": str, "metric": str, "value": (str, int, float), "at": int, "window": int, "of": dict}
RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
MOST_CELLS = 10_000
POLL = 0.02  # seconds between looks at the cells that run

# fmt: off
OF_STUDIES = {p.name: p for p in (
    Parameter("out_dir", str, None, "folder of the study; else out/studies/NAME"),
    Parameter("dry_run", bool, False, "list the cells and estimate the time, run nothing"),
    Parameter("max_minutes", float, None, "minutes after which the whole study stops, to be gone on with", above=0),
    Parameter("num_workers", int, 1, "processes or threads, of all cells together", low=1, high=4096),
    Parameter("cells_at_once", int, None, "cells that run side by side; else as many as there are workers", low=1,
              high=4096),
    Parameter("other_versions", bool, False, "go on although cells were made by another version of the program"),
)}
# fmt: on


@dataclass(frozen=True)
class Cell:
    """One run: its name, which is its folder's, its values in the grid, and the command line that makes it."""

    name: str
    values: Mapping[str, Any]
    arguments: Sequence[str]  # of the script, without the folder
    params: Params


@dataclass(frozen=True)
class Study:
    """What is asked, after all checks."""

    folder: Path
    experiment: Experiment
    content: Mapping[str, Any]  # the study file with what the command line changed, the grid's ranges written out
    cells: Sequence[Cell]
    at_once: int
    max_minutes: float | None
    dry_run: bool
    other_versions: bool


@dataclass
class Outcome:
    """How a cell ended the last time that it ran."""

    status: str  # "done", "failed", "stopped"
    seconds: float = 0.0  # in all
    length: int = 0  # generations or epochs that were asked for
    line: str = ""  # what it said when it failed


def main(arguments: Sequence[str], check: Callable[[Params], Any], description: str) -> int:
    """Run what is missing of a study; the exit status: 0 done, 1 cells failed, 2 the input is wrong, 128 + a signal."""
    try:
        if not arguments or {"-h", "--help"} & set(arguments):
            print(_help(description))
            return 0 if arguments else 2
        study = read(arguments, check)
        return _list(study) if study.dry_run else run(study)
    except InputError as error:
        return _fail(2, one_line(error))
    except (RunError, OSError) as error:
        where = getattr(error, "filename", None)
        return _fail(1, f"{where}: {error.strerror}" if where else one_line(error))  # type: ignore[union-attr]


def _fail(status: int, line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return status


def _help(description: str) -> str:
    lines = [description, "", "python run-study.py params/study/NAME.yaml [--name value ...]", ""]
    lines += [f"  --{p.name:<16}{p.help}" for p in OF_STUDIES.values()]
    lines.append(
        "Every parameter of the study's script may be given too: in the grid `--seed 0..4`, else for all cells."
    )
    return "\n".join(lines)


# ---- the study file -------------------------------------------------------------------------------------------------


def read(arguments: Sequence[str], check: Callable[[Params], Any] = lambda params: None) -> Study:
    """The study that a command line asks for. `check` raises InputError where a cell's parameters do not fit.

    Raises InputError for anything that is wrong in any cell: nothing has been touched then.
    """
    file, given = _parse(arguments)
    content = _read_file(file)
    experiment, name = _experiment(content, file), Path(file).stem
    fixed, grid = dict(content.get("fixed") or {}), dict(content.get("grid") or {})
    own: dict[str, Any] = {p.name: p.default for p in OF_STUDIES.values()}
    if "num_workers" in fixed:
        own["num_workers"] = OF_STUDIES["num_workers"].check(fixed.pop("num_workers"), f"{file}: fixed")
    for key, text in given.items():
        if key in OF_STUDIES:
            own[key] = OF_STUDIES[key].parse(text, "command line")
        elif key in grid:
            values = _yaml(text, "command line")
            grid[key] = values if isinstance(values, list) or RANGE.fullmatch(str(values)) else [values]
        else:
            fixed[key] = parameter_named(experiment, key, "command line").parse(text, "command line")
    values = {key: _values(experiment, key, listed, f"{file}: grid") for key, listed in grid.items()}
    fixed = {
        key: parameter_named(experiment, key, f"{file}: fixed").check(v, f"{file}: fixed") for key, v in fixed.items()
    }
    for key, value in {**values, **fixed}.items():
        if value is None or (isinstance(value, list) and None in value):
            raise InputError(f"{file}: {key} is null; a parameter that a study names needs a value")
        if key in ("resume", "out_dir", "overwrite_output", "max_minutes"):
            raise InputError(f"{file}: {key} is of the whole study: give it on the command line")
    if "seed" not in values:
        fixed.setdefault("seed", 0)
    at_once, workers = _share(own, fixed, values)
    if "num_workers" not in values and fixed.get("backend") != "dask":
        fixed["num_workers"] = workers
    params_file = content.get("params_file")
    if not isinstance(params_file, str):
        raise InputError(
            f"{file}: params_file is {show(params_file)}; it must be a parameter file of {experiment.name}"
        )
    cells = _cells(experiment, params_file, fixed, values, file)
    for cell in cells:
        try:
            check(cell.params)
        except InputError as error:
            raise InputError(f"{file}: {cell.name}: {error}") from None
    folder = Path(own["out_dir"]) if own["out_dir"] else Path("out/studies") / name
    content = {"script": experiment.name, "params_file": params_file, "fixed": fixed, "grid": values} | {
        key: content[key] for key in ("compare", "published") if key in content
    }
    return Study(folder, experiment, content, cells, at_once, own["max_minutes"], own["dry_run"], own["other_versions"])


def _parse(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The study file, and the texts that the command line gives by name."""
    files, given, rest = [], dict[str, str](), list(arguments)
    while rest:
        token = rest.pop(0)
        if not token.startswith("--"):
            files.append(token)
            continue
        name, has_value, text = token.removeprefix("--").partition("=")
        if not has_value:
            flag = OF_STUDIES.get(name)
            if rest and not rest[0].startswith("--") and not (flag and flag.type is bool and Path(rest[0]).is_file()):
                text = rest.pop(0)
            elif flag and flag.type is bool:
                text = "true"
            else:
                raise InputError(f"command line: --{name} needs a value")
        given[name] = text
    if len(files) != 1:
        raise InputError(f"one study file is needed, not {len(files)}: python run-study.py params/study/NAME.yaml")
    return files[0], given


def _read_file(file: str) -> dict[str, Any]:
    """The content of a study file, its keys checked. Raises InputError."""
    try:
        content = _yaml(read_file(file).decode(), file)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: a study file holds script, params_file, fixed and grid, not {show(content)}")
    _check_keys(content, dict.fromkeys(KEYS, object), file)
    for key in ("fixed", "grid", "compare"):
        if not isinstance(content.get(key) or {}, dict):
            raise InputError(f"{file}: {key} is {show(content[key])}; it must be names and their values")
    _check_keys(content.get("compare") or {}, COMPARED, f"{file}: compare")
    published = content.get("published") or []
    if not isinstance(published, list):
        raise InputError(f"{file}: published is {show(published)}; it must be a list")
    for entry in published:
        if not isinstance(entry, dict) or not {"what", "metric"} <= entry.keys():
            raise InputError(f"{file}: published: {show(entry)} must name what and metric")
        _check_keys(entry, PUBLISHED, f"{file}: published")
    return content


def _yaml(text: str, where: str) -> Any:
    try:
        return from_yaml(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _check_keys(content: Mapping[Any, Any], allowed: Mapping[str, Any], where: str) -> None:
    for key, value in content.items():
        if key not in allowed:
            raise InputError(f"{where}: unknown key {show(key)}; there are {', '.join(allowed)}")
        if not isinstance(value, allowed[key]) or isinstance(value, bool):
            raise InputError(f"{where}: {key} cannot be {show(value)}")


def _experiment(content: Mapping[str, Any], file: str) -> Experiment:
    script = content.get("script")
    if not isinstance(script, str) or script.removesuffix(".py") not in EXPERIMENTS:
        raise InputError(f"{file}: script is {show(script)}; it must be one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[script.removesuffix(".py")]


def _values(experiment: Experiment, name: str, listed: Any, where: str) -> list[Any]:
    """A grid parameter's values: a list, or a range as 0..4. Raises InputError."""
    parameter = parameter_named(experiment, name, where)
    if parameter not in used_by(experiment):
        raise InputError(f"{where}: {experiment.name} has no use for {name}")
    if isinstance(listed, str) and parameter.type is int and (ends := RANGE.fullmatch(listed)):
        first, last = int(ends[1]), int(ends[2])
        if not 0 <= last - first < MOST_CELLS:
            raise InputError(
                f"{where}: {name} is {listed}; from there to there are no values, or more than {MOST_CELLS}"
            )
        listed = list(range(first, last + 1))
    if not isinstance(listed, list) or not listed:
        kind = "a list or a range as 0..4" if parameter.type is int else "a list"
        raise InputError(f"{where}: {name} is {show(listed)}; it must be {kind} of values, each {parameter.allowed}")
    return [parameter.check(value, where) for value in listed]


def _share(own: Mapping[str, Any], fixed: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> tuple[int, int]:
    """How many cells run at once, and with how many workers each.

    Side by side, as far as there are cells: a generation's workers wait for each other, cells never do. Neither depends
    on what is done already, so that a study that was stopped leaves the same folders as one that was not. The workers
    of a cluster belong to one cell after the other.
    """
    total = 1
    for values in grid.values():
        total *= len(values)
    most = 1 if fixed.get("backend") == "dask" else own["num_workers"]
    at_once = own["cells_at_once"] or max(1, min(most, total))
    return at_once, max(1, own["num_workers"] // at_once)


def _cells(
    experiment: Experiment, params_file: str, fixed: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], file: str
) -> list[Cell]:
    """Every combination, the last parameter of the grid changing fastest. Raises InputError where one cannot be."""
    total = 1
    for values in grid.values():
        total *= len(values)
    if total > MOST_CELLS:
        raise InputError(f"{file}: the grid has {total} cells; at most {MOST_CELLS} are allowed")
    cells: dict[str, Cell] = {}
    idle = dict.fromkeys(fixed, "")
    for combination in itertools.product(*grid.values()):
        chosen = dict(zip(grid, combination, strict=True))
        name = "-".join(_part(key, value) for key, value in chosen.items()) or "run"
        if name.casefold() in cells:  # some file systems know no difference
            raise InputError(f"{file}: two cells have the folder {name}: {show(chosen)} and another")
        try:
            cells[name.casefold()], reasons = _cell(experiment, name, params_file, fixed, chosen)
        except WithoutEffect as error:
            raise InputError(f"{file}: grid: {name}: {without_effect(error.reasons)}") from None
        idle = {key: reasons[key] for key in idle if key in reasons}
    if idle:
        raise InputError(f"{file}: fixed: {without_effect(idle)}")
    return list(cells.values())


def _cell(
    experiment: Experiment, name: str, params_file: str, fixed: Mapping[str, Any], chosen: Mapping[str, Any]
) -> tuple[Cell, Mapping[str, str]]:
    """One cell, and which of the fixed parameters have no effect in it and are left out there.

    Those are for other cells, as a constant of one learning rule in a grid over several.
    """

    def cell(given: Mapping[str, Any]) -> Cell:
        arguments = [params_file, *(f"--{key}={_text(value)}" for key, value in given.items())]
        return Cell(name, chosen, arguments, read_params(experiment, "", arguments))

    try:
        return cell({**fixed, **chosen}), {}
    except WithoutEffect as error:
        if not error.reasons.keys() <= fixed.keys() - chosen.keys():
            raise
        left = {key: value for key, value in fixed.items() if key not in error.reasons}
        return cell({**left, **chosen}), error.reasons


def _part(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else f"{name}{_text(value)}"
    return re.sub(r"[^\w.+-]+", "_", text)


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


# ---- what is there already ------------------------------------------------------------------------------------------


def check_folder(study: Study) -> None:
    """Raise InputError where the folder is another study's, or a cell in it is of other parameters or another code."""
    file = study.folder / STUDY_FILE
    if file.is_file():
        there = _yaml(file.read_text(encoding="utf-8"), str(file))
        if not isinstance(there, dict):
            raise InputError(f"{file}: this is no study file")
        for key in ("script", "params_file"):
            if there.get(key) != study.content[key]:
                raise InputError(
                    f"{study.folder} is another study's: its {key} is {show(there.get(key))}, not {study.content[key]}"
                )
        if list(there.get("grid") or {}) != list(study.content["grid"]):
            grids = [", ".join(content.get("grid") or {}) or "nothing" for content in (there, study.content)]
            raise InputError(f"{study.folder} is another study's: its grid is over {grids[0]}, not over {grids[1]}")
    elif study.folder.exists() and (not study.folder.is_dir() or any(study.folder.iterdir())):
        raise InputError(f"{study.folder} is there and is no study's folder (no {STUDY_FILE})")
    for cell in study.cells:
        _check_cell(study, cell)


def _check_cell(study: Study, cell: Cell) -> None:
    folder = study.folder / cell.name
    if not folder.exists():
        return
    if not is_run(folder):
        raise InputError(f"{folder} is there and is no run's folder (no {PARAMS_FILE})")
    there = _yaml((folder / PARAMS_FILE).read_text(encoding="utf-8"), str(folder / PARAMS_FILE))
    asked, unit = cell.params.as_dict(), study.experiment.unit
    changeable = [p.name for p in used_by(study.experiment) if may_change(p, study.experiment)]
    for name in dict.fromkeys([*there, *asked]):
        was, now = there.get(name), asked.get(name)
        if name in changeable and not (name == unit and isinstance(was, int) and was > length(study, cell)):
            continue
        if was != now:
            raise InputError(f"{folder} was made with other parameters: {name} was {show(was)} and is {show(now)}")
    if not study.other_versions:
        _check_versions(folder)


def _check_versions(folder: Path) -> None:
    """Raise InputError where another version of the program or its packages found the cell's champion."""
    for file in (folder / CHAMPION, folder / TRAINED):
        if not file.is_file():
            continue
        made = json.loads(file.read_text(encoding="utf-8")).get("provenance", {})
        now = {"the program": origin.code(), **origin.versions()}
        before = {"the program": made.get("code"), **made.get("versions", {})}
        for name, version in now.items():
            if name in before and before[name] != version:
                raise InputError(
                    f"{folder} was made by another version: {name} was {show(before[name])} and is {show(version)}; "
                    "remove it, or give --other_versions"
                )


def read_journal(folder: Path) -> dict[str, Outcome]:
    """How each cell ended, by its name; nothing where the study has not begun. Raises InputError."""
    file = folder / JOURNAL
    try:
        return {name: Outcome(**outcome) for name, outcome in json.loads(file.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise unreadable(file, error) from None


def length(study: Study, cell: Cell) -> int:
    """Generations or epochs that the cell is asked for."""
    return int(getattr(cell.params, study.experiment.unit))


def is_done(study: Study, cell: Cell, journal: Mapping[str, Outcome]) -> bool:
    outcome = journal.get(cell.name)
    there = outcome is not None and is_run(study.folder / cell.name)
    return there and outcome.status == "done" and outcome.length == length(study, cell)  # type: ignore[union-attr]


# ---- running --------------------------------------------------------------------------------------------------------


@dataclass
class _Running:
    cell: Cell
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    began: float = field(default_factory=time.monotonic)
    asked_to_stop: bool = False


class _Stop:
    """Remembers the first signal that asks the study to stop; the cells then write their checkpoints."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "_Stop":
        self._before = {number: signal.signal(number, self._take) for number in STOP_SIGNALS}
        return self

    def _take(self, number: int, frame: Any) -> None:
        self.signal = self.signal or number

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def run(study: Study) -> int:
    """Run every cell that is not done, and say how it went; the exit status."""
    check_folder(study)
    study.folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(study.folder / ".lock", timeout=0)
    try:
        with lock:
            remove_unfinished(study.folder)
            write_atomically(
                study.folder / STUDY_FILE, yaml.safe_dump(study.content, sort_keys=False, allow_unicode=True)
            )
            return _run(study)
    except filelock.Timeout:
        raise InputError(f"{study.folder}: another call is at work on this study") from None


def _run(study: Study) -> int:
    journal = read_journal(study.folder)
    waiting = [cell for cell in study.cells if not is_done(study, cell, journal)]
    workers = getattr(study.cells[0].params, "num_workers", 1)
    how = f"{study.at_once} cells side by side" if study.at_once > 1 else "one cell after the other"
    done = len(study.cells) - len(waiting)
    print(f"{len(study.cells)} cells in {study.folder}, {done} done; {how}, workers of each: {workers}", flush=True)
    end = None if study.max_minutes is None else time.monotonic() + 60 * study.max_minutes
    running: list[_Running] = []
    failed: list[str] = []
    with (
        _Stop() as stop,
        tqdm(
            total=len(study.cells),
            initial=len(study.cells) - len(waiting),
            unit="cell",
            disable=None,
            dynamic_ncols=True,
        ) as bar,
    ):
        while running or (waiting and not _is_over(stop, end)):
            while waiting and len(running) < study.at_once and not _is_over(stop, end):
                running.append(_start(study, waiting.pop(0)))
            if _is_over(stop, end):
                _interrupt(running)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                outcome = _outcome(study, one, journal.get(one.cell.name))
                journal[one.cell.name] = outcome
                write_atomically(study.folder / JOURNAL, _json(study, journal))
                if outcome.status == "done":
                    bar.update()
                if outcome.status == "failed":
                    failed.append(one.cell.name)
                    tqdm.write(f"{one.cell.name}: {outcome.line}", file=sys.stderr)
            time.sleep(POLL)
    left = [cell for cell in study.cells if not is_done(study, cell, journal)]
    print(f"{len(study.cells) - len(left)} of {len(study.cells)} cells are done")
    if stop.signal is not None:
        return 128 + stop.signal
    if failed:
        return _fail(1, f"{len(failed)} cells failed: {', '.join(failed):.300}; the next call tries them again")
    if left:
        print("The time is over; the next call goes on.")
    return 0


def _is_over(stop: _Stop, end: float | None) -> bool:
    return stop.signal is not None or (end is not None and time.monotonic() >= end)


def _start(study: Study, cell: Cell) -> _Running:
    """Start the cell's script, or let it go on where it has begun."""
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the cell has ended
    process = subprocess.Popen(
        [sys.executable, str(ROOT / f"{study.experiment.name}.py"), *command(study, cell)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,  # a Ctrl-C is handed on once, by us
        preexec_fn=end_with(os.getpid()),  # when the study is killed, so is the cell; the next call goes on with it
    )
    return _Running(cell, process, said)


def command(study: Study, cell: Cell) -> list[str]:
    """The arguments with which the cell's script begins or goes on."""
    folder = study.folder / cell.name
    if not is_run(folder):
        return [*cell.arguments, f"--out_dir={folder}"]
    changeable = [p for p in used_by(study.experiment) if may_change(p, study.experiment) and not p.of_the_start]
    values = {p.name: getattr(cell.params, p.name) for p in changeable if p.idle(cell.params) is None}
    return [f"--resume={folder}", *(f"--{name}={_text(value)}" for name, value in values.items() if value is not None)]


def _interrupt(running: Sequence[_Running]) -> None:
    """Ask every cell once to write its checkpoint and end."""
    for one in running:
        if not one.asked_to_stop:
            one.asked_to_stop = True
            with suppress(ProcessLookupError):
                one.process.send_signal(signal.SIGTERM)


def _outcome(study: Study, one: _Running, before: Outcome | None) -> Outcome:
    one.said.seek(0)
    said = one.said.read().decode(errors="replace")
    one.said.close()
    seconds = time.monotonic() - one.began + (before.seconds if before else 0)
    status = one.process.returncode
    if status == 0:
        return Outcome("done", seconds, length(study, one.cell))
    if one.asked_to_stop and status in (143, -signal.SIGTERM):
        return Outcome("stopped", seconds, length(study, one.cell))
    how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    return Outcome("failed", seconds, length(study, one.cell), _last_word(said) or how)


def _last_word(said: str) -> str:
    """The line that says why a cell failed: its last; of a traceback that which names the exception, whose text may
    have more lines.
    """
    if "Traceback (most recent call last):" in said:
        after = said.rpartition("Traceback (most recent call last):")[2].splitlines()[1:]
        return next((line for line in after if line and not line[0].isspace()), "")
    return (said.strip().splitlines() or [""])[-1].removeprefix("error: ")


def _json(study: Study, journal: Mapping[str, Outcome]) -> str:
    """One cell a line, in the study's order, so that two journals can be read side by side."""
    order = [cell.name for cell in study.cells]
    names = sorted(journal, key=lambda name: order.index(name) if name in order else len(order))
    lines = [f"  {json.dumps(name)}: {json.dumps(vars(journal[name]))}" for name in names]
    return "{\n" + ",\n".join(lines) + "\n}\n"


# ---- a dry run ------------------------------------------------------------------------------------------------------


def _list(study: Study) -> int:
    """Print the cells, what is done, and how long the rest may take."""
    check_folder(study)
    journal = read_journal(study.folder)
    for cell in study.cells:
        outcome = journal.get(cell.name)
        state = "done" if is_done(study, cell, journal) else "to do"
        if state != "done" and is_run(study.folder / cell.name):
            state = f"failed: {outcome.line}" if outcome and outcome.status == "failed" else "begun"
        print(f"{cell.name}: {state}")
    left = [cell for cell in study.cells if not is_done(study, cell, journal)]
    print(f"{len(study.cells) - len(left)} of {len(study.cells)} cells are done; {_estimate(study, left, journal)}")
    example = left[0] if left else study.cells[0]
    print("A cell is", shlex.join(["python", f"{study.experiment.name}.py", *command(study, example)]))
    return 0


def _estimate(study: Study, left: Sequence[Cell], journal: Mapping[str, Outcome]) -> str:
    """The time that the cells left may take: as those that are done, by generation or epoch."""
    done = [outcome for outcome in journal.values() if outcome.status == "done" and outcome.length]
    if not left:
        return "nothing is left to do"
    if not done:
        return "none has been timed yet"
    rate = sum(outcome.seconds for outcome in done) / sum(outcome.length for outcome in done)
    seconds = [
        max(0.0, rate * length(study, cell) - (journal[cell.name].seconds if cell.name in journal else 0))
        for cell in left
    ]
    minutes = sum(seconds) / min(study.at_once, len(left)) / 60
    return f"the rest may take {minutes:.1f} minutes, by the {len(done)} that are timed"
