"""Parameters, run folder and logging of the scripts: everything between a command line and `evolve`.

Each parameter is declared once, in PARAMETERS; `--help`, the checks, the error texts and the README's table come from
there.
"""

import argparse
import contextlib
import difflib
import fcntl
import importlib.metadata
import logging
import logging.handlers
import math
import os
import platform
import re
import reprlib
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import yaml

from evolution import checkpoint
from evolution.checkpoint import Loaded
from evolution.errors import InputError, RunError
from evolution.events import EventLog
from evolution.files import TEMPORARY, UMASK, remove_unfinished, write_atomically
from evolution.genome import Genome
from evolution.loop import EvolutionSettings, Portrait
from evolution.mutation import MutationSettings
from evolution.selection import SelectionSettings
from learning import LEARNING_RULES

# ---- parameters -----------------------------------------------------------------------------------------------------

GYM, CLASSIFICATION = "run-wann-gym", "run-wann-classification"
WLNN, TRAINING = "run-wlnn-mnist", "run-wlnn-mnist-no-evolution"
WANN = (GYM, CLASSIFICATION)
LEARNING = (WLNN, TRAINING)
EVOLUTION = (*WANN, WLNN)
ALL = (*EVOLUTION, TRAINING)

LARGE = 10**9  # more of anything is a slip of the keyboard
LARGEST_FILE = 10**6  # bytes of a parameter file
REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    """One parameter: what it means, what it may be, and who uses it."""

    name: str
    type: type[Any]
    default: Any  # a value, or one for each script; None where the script finds one, REQUIRED where there is none
    help: str
    scripts: tuple[str, ...] = ALL
    low: float | None = None
    high: float | None = None
    below: float | None = None  # like high, itself excluded
    above: float | None = None  # like low, itself excluded
    choices: tuple[str, ...] = ()

    def default_for(self, script: str) -> Any:
        return self.default[script] if isinstance(self.default, Mapping) else self.default

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        kind = {int: "a whole number", float: "a number", bool: "true or false", str: "a line of text"}[self.type]
        if self.type in (int, float):
            bounds = [
                f"at least {self.low}" if self.low is not None else "",
                f"above {self.above}" if self.above is not None else "",
                f"at most {self.high}" if self.high is not None else "",
                f"below {self.below}" if self.below is not None else "",
            ]
            kind = ", ".join([kind, *filter(None, bounds)])
        return kind

    def parse(self, text: str, where: str) -> Any:
        """A value from the command line."""
        try:
            value = _TRUTH[text] if self.type is bool else self.type(text)
        except (ValueError, KeyError):
            raise self.error(text, where) from None
        return self.check(value, where)

    def check(self, value: Any, where: str) -> Any:
        """The value, converted to the parameter's type. Raises InputError that names it and what is allowed."""
        if value is None and self.default is None:
            return None
        if self.type is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGE:
            value = float(value)
        fits = type(value) is self.type
        if fits and self.type is str:
            fits = value.isprintable() and value != "" and (not self.choices or value in self.choices)
        if fits and self.type in (int, float):
            fits = (
                (isinstance(value, int) or math.isfinite(value))
                and (self.low is None or value >= self.low)
                and (self.above is None or value > self.above)
                and value <= (LARGE if self.high is None else self.high)
                and (self.below is None or value < self.below)
            )
        if not fits:
            raise self.error(value, where)
        return value

    def error(self, value: Any, where: str) -> InputError:
        too_large = self.high is None and type(value) in (int, float) and value > LARGE
        limit = f", at most {LARGE}" if too_large else ""
        return InputError(f"{where}: {self.name} is {show(value)}; it must be {self.allowed}{limit}")


_TRUTH = {"true": True, "false": False, "True": True, "False": False}


def _by_kind(wann: Any, wlnn: Any, training: Any) -> dict[str, Any]:
    """A default that differs between the kinds of script."""
    return {GYM: wann, CLASSIFICATION: wann, WLNN: wlnn, TRAINING: training}


# fmt: off
_DECLARED: dict[str, list[Parameter]] = {
    "evolution": [
        Parameter("cull_ratio", float, 0.2, "share of the population that is dropped", EVOLUTION, low=0, below=1),
        Parameter("elite_ratio", float, 0.2, "share of it that is copied unchanged", EVOLUTION, low=0, high=1),
        Parameter("num_generations", int, 1024, "generations to evolve", EVOLUTION, low=1),
        Parameter("population_size", int, 192, "networks in a generation", EVOLUTION, low=1, high=10**6),
        Parameter("p_add_connection", float, _by_kind(0.25, 0.5, 0.5), "probability of add connection", low=0, high=1),
        Parameter("p_add_node", float, _by_kind(0.25, 0.5, 0.5), "probability of add node", low=0, high=1),
        Parameter("p_change_activation", float, 0.5, "probability of change activation", WANN, low=0, high=1),
        Parameter("tournament_size", int, 16, "networks that compete to be a parent", EVOLUTION, low=1),
        Parameter("inherit_weights", bool, False,
                  "children start from their parent's trained weights; else mutations redraw all weights", (WLNN,)),
        Parameter("num_mutations_per_generation", int, 1, "mutations of a child", EVOLUTION, low=1, high=10**4),
        Parameter("p_complexity_objective", float, 0.8,
                  "probability that a generation is ranked by reward and 1/connections", EVOLUTION, low=0, high=1),
    ],
    "evaluation": [
        Parameter("batch_size", int, _by_kind(1000, 256, 256), "images in a batch", (CLASSIFICATION, *LEARNING), low=1),
        Parameter("batch_size_eval", int, 1000, "images in a batch when testing", LEARNING, low=1),
        Parameter("evaluation_period", str, "last_epoch", "batches that reward and accuracy are averaged over", (WLNN,),
                  choices=("last_epoch", "last_batch", "last_ten_batches", "first_ten_batches", "integral")),
        Parameter("num_trials", int, 1, "episodes for each shared weight", (GYM,), low=1, high=10**6),
        Parameter("test_every", int, 20, "generations between tests of the champion", EVOLUTION, low=1),
    ],
    "training": [
        Parameter("learning_rule", str, "backprop", "how weights learn", LEARNING, choices=tuple(LEARNING_RULES)),
        Parameter("lr", float, 0.01, "learning rate", LEARNING, above=0, high=10**6),
        Parameter("num_epochs", int, _by_kind(5, 5, 100), "epochs of training", LEARNING, low=1),
        Parameter("num_epochs_long", int, 10, "epochs of training before a champion's test", (WLNN,), low=1),
        Parameter("optimizer", str, "adam", "optimiser", LEARNING, choices=("sgd", "adam", "adadelta")),
        Parameter("train_only_outputs", bool, False, "train only the connections into the outputs", LEARNING),
    ],
    "architecture": [
        Parameter("num_inputs", int, None, "inputs; the task knows them", low=1),
        Parameter("num_outputs", int, None, "outputs; the task knows them", low=1),
        Parameter("p_initial_connection_enabled", float, _by_kind(0.5, 0.05, 1.0),
                  "probability of each input-output connection in a new genome", low=0, high=1),
        Parameter("use_bias", bool, False, "one more input that is always 1"),
        Parameter("num_mutations", int, 0, "random mutations before training", (TRAINING,), low=0, high=10**6),
        Parameter("num_hidden", int, 0, "neurons of one dense hidden layer", (TRAINING,), low=0, high=10**5),
        Parameter("network", str, None, "file of a saved network to train", (TRAINING,)),
        Parameter("keep_weights", bool, False, "start from the saved network's weights", (TRAINING,)),
    ],
    "task and data set": [
        Parameter("dataset", str, REQUIRED, "the images", (CLASSIFICATION, *LEARNING), choices=("digits", "mnist")),
        Parameter("data_dir", str, None, "folder of the MNIST files; else the variable MNIST_DIR, else data/mnist",
                  (CLASSIFICATION, *LEARNING)),
        Parameter("env_name", str, REQUIRED, "id of a Gymnasium environment, or CartPoleSwingUp", (GYM,)),
        Parameter("max_episode_steps", int, None, "longest episode; else the environment's own limit", (GYM,), low=1),
        Parameter("on_env_error", str, "stop", "if the environment fails: end the run, or rank the network last",
                  (GYM,), choices=("stop", "rank_last")),
    ],
    "computation": [
        Parameter("num_workers", int, 1, "processes or threads that evaluate", EVOLUTION, low=1, high=4096),
        Parameter("backend", str, "loky", "what carries the workers that are processes", EVOLUTION,
                  choices=("loky", "threading", "dask")),
        Parameter("scheduler_address", str, None, "address of a Dask scheduler (tcp://host:port)", EVOLUTION),
        Parameter("evaluator", str, "auto", "compiled kernels, readable reference, or compiled where it applies",
                  EVOLUTION, choices=("auto", "reference", "compiled")),
        Parameter("take_argmax_action", bool, True, "the action is the index of the largest output", (GYM,)),
        Parameter("use_cuda", bool, False, "compute on a GPU, with torch", (CLASSIFICATION, *LEARNING)),
        Parameter("use_torch", bool, False, "compute with torch", (CLASSIFICATION,)),
        Parameter("seed", int, None, "decides the run; drawn and recorded where it is not given", low=0, high=10**18),
        Parameter("checkpoint_period", float, 60.0, "seconds between checkpoints", low=0),
        Parameter("max_minutes", float, None, "minutes after which the run stops, to be resumed", EVOLUTION, above=0),
    ],
    "miscellaneous": [
        Parameter("save_networks_every", int, 100, "generations between writings of all networks", (WLNN,), low=1),
        Parameter("out_dir", str, None, "folder for the results; else out/<date and time>"),
        Parameter("overwrite_output", bool, False, "replace the run that is in out_dir"),
        Parameter("resume", str, None, "folder of a run to go on with"),
    ],
}
# fmt: on
PARAMETERS = {parameter.name: parameter for group in _DECLARED.values() for parameter in group}
# About one start of the program, not about the experiment: not in params.yaml.
OF_THE_START = ("out_dir", "overwrite_output", "resume", "max_minutes")
# What may differ when a run is resumed: nothing that changes a result.
CHANGEABLE = (
    "num_generations", "num_epochs", "num_workers", "backend", "scheduler_address", "checkpoint_period", "max_minutes",
)  # fmt: skip
PARAMS_FILE = "params.yaml"


class Params(argparse.Namespace):
    """A script's parameters as attributes, after all checks; `script` is the script's name."""

    script: str
    folder: Path | None = None  # of the run, once there is one

    def __getattr__(self, name: str) -> Any:  # for the type checker: parameters are known at run time
        raise AttributeError(name)

    def as_dict(self) -> dict[str, Any]:
        """What params.yaml records: the script and every parameter that belongs to the experiment."""
        return {"script": self.script} | {
            p.name: getattr(self, p.name) for p in used_by(self.script) if p.name not in OF_THE_START
        }


def used_by(script: str) -> list[Parameter]:
    return [p for p in PARAMETERS.values() if script in p.scripts]


def read_params(script: str, description: str, arguments: Sequence[str]) -> Params:
    """The parameters in force: the command line wins over the file, the file over the defaults.

    With --resume the folder's params.yaml is the file. Raises InputError for anything that is wrong, SystemExit(0)
    after --help.
    """
    given = _parse_command_line(script, description, arguments)
    file = given.pop("params_file", None)
    resume = given.get("resume")
    if resume is not None:
        changeable = [
            name for name in CHANGEABLE if name != ("num_epochs" if script in EVOLUTION else "num_generations")
        ]
        if file is not None:
            raise InputError(f"--resume {resume} takes its parameters from that folder, not from {file}")
        fixed = [name for name in given if name not in (*changeable, "resume")]
        if fixed:
            raise InputError(
                f"--resume: {', '.join(fixed)} cannot be changed in a run that has begun; {', '.join(changeable)} can"
            )
        file = str(Path(resume) / PARAMS_FILE)
        if not _is_run(Path(resume)):
            raise InputError(f"--resume {resume}: there is no run in this folder (no {PARAMS_FILE})")
    elif file is None:
        raise InputError(f"no parameter file: python {script}.py params/{script.removeprefix('run-')}/FILE.yaml")
    values = {p.name: p.default_for(script) for p in used_by(script)} | read_params_file(script, file) | given
    missing = [name for name, value in values.items() if value is REQUIRED]
    if missing:
        raise InputError(f"{file}: {missing[0]} is missing; it must be {PARAMETERS[missing[0]].allowed}")
    params = Params(script=script, **{p.name: values[p.name] for p in used_by(script)})
    if params.seed is None:
        params.seed = secrets.randbelow(2**31)
    if getattr(params, "backend", None) == "dask" and params.scheduler_address is None:
        raise InputError("backend dask needs scheduler_address, the address of its scheduler (tcp://host:port)")
    return params


def read_params_file(script: str, file: str) -> dict[str, Any]:
    """The parameters of a YAML file, checked. Raises InputError."""
    try:
        with open(file, "rb") as opened:
            text = opened.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise InputError("too large for a parameter file")
        content = yaml.load(text, _Loader)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{file}: not YAML ({error.problem}{place})") from None
    except Exception as error:  # PyYAML lets others through: a date of month 13, a tag it cannot apply, deep nesting
        raise InputError(f"{file}: not YAML ({_one_line(error)})") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: must be lines 'name: value', not {show(content)}")
    values = {}
    for name, value in content.items():
        if name == "script":
            if value != script:
                raise InputError(f"{file}: these are parameters of {show(value)}, not of {script}")
            continue
        parameter = _known(name, file)
        value = parameter.check(value, file)
        if script in parameter.scripts and value is not None:
            values[parameter.name] = value
    return values


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key that is there twice and `<<`, and reads 1e-3 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        key, times = next(iter(keys.most_common(1)), ("", 0))
        if times > 1:
            raise InputError(f"{show(key)} is there twice (line {node.start_mark.line + 1} and after)")
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave `<<` alone, which is then an error: merging merged mappings takes memory without end."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _known(name: Any, where: str) -> Parameter:
    if isinstance(name, str) and name in PARAMETERS:
        return PARAMETERS[name]
    near = difflib.get_close_matches(str(name)[:100], PARAMETERS, 1, 0) if isinstance(name, str) else []
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{where}: unknown parameter {show(name)}{hint}")


def _parse_command_line(script: str, description: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What the command line gives, checked: `--name value`, `--name=value`, and `--flag` for `--flag true`."""
    where, given = "command line", dict[str, Any]()
    rest = list(arguments)
    while rest:
        token = rest.pop(0)
        if token in ("-h", "--help"):
            print(help_text(script, description), end="")
            raise SystemExit(0)
        if not token.startswith("-"):
            if "params_file" in given:
                raise InputError(f"{where}: {show(token)} is one parameter file too many")
            given["params_file"] = token
            continue
        name, has_value, text = token.removeprefix("--").partition("=")
        parameter = _known(name if token.startswith("--") else token, where)
        if not has_value:
            if parameter.type is bool and (not rest or rest[0] not in _TRUTH):
                text = "true"
            elif rest and not rest[0].startswith("--"):
                text = rest.pop(0)
            else:
                raise InputError(f"{where}: --{name} needs a value, {parameter.allowed}")
        value = parameter.parse(text, where)
        if script in parameter.scripts:
            given[name] = value
    return given


def help_text(script: str, description: str) -> str:
    """What --help prints: the parameters of this script by group."""
    parser = argparse.ArgumentParser(
        f"{script}.py", description=description, usage=f"python {script}.py PARAMS_FILE [--name value ...]"
    )
    for group, parameters in _DECLARED.items():
        used = any(script in p.scripts for p in parameters)
        arguments = parser.add_argument_group(group, None if used else "none: this script has no use for them")
        if group == "task and data set":
            arguments.add_argument("params_file", help="YAML file of parameters (see params/)")
        for p in parameters:
            if script in p.scripts:
                default = p.default_for(script)
                known = default is not None and default is not REQUIRED
                suffix = f" (default: {_plain(default)})" if known else ""
                arguments.add_argument(f"--{p.name}", metavar=_METAVAR[p.type], help=_percent(p.help + suffix))
    return parser.format_help()


def parameter_table() -> str:
    """The README's table of parameters, in Markdown."""
    lines = ["| parameter | what | allowed | default | scripts |", "| --- | --- | --- | --- | --- |"]
    for group, parameters in _DECLARED.items():
        lines.append(f"| **{group}** | | | | |")
        for p in parameters:
            defaults = dict.fromkeys(_plain(p.default_for(script)) for script in p.scripts)
            scripts = "all" if p.scripts == ALL else ", ".join(s.removeprefix("run-") for s in p.scripts)
            lines.append(f"| `{p.name}` | {p.help} | {p.allowed} | {' / '.join(defaults)} | {scripts} |")
    return "\n".join(lines) + "\n"


_METAVAR = {int: "N", float: "X", bool: "true|false", str: "TEXT"}


def _plain(value: Any) -> str:
    if value is REQUIRED:
        return "required"
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def show(value: Any) -> str:
    """A value from outside, short enough for an error line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = 2
    try:
        return short.repr(value)[:300]
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


# ---- from parameters to settings ------------------------------------------------------------------------------------


def check_sizes(params: Params, num_inputs: int, num_outputs: int) -> None:
    """Raise InputError where `num_inputs` or `num_outputs` are given as parameters and are not the task's."""
    for name, known in (("num_inputs", num_inputs), ("num_outputs", num_outputs)):
        given = getattr(params, name)
        if given is not None and given != known:
            what = getattr(params, "env_name", None) or params.dataset
            raise InputError(f"{name} is {given}, but {what} has {known}")


def evolution_settings(params: Params) -> EvolutionSettings:
    """What `evolve` needs, from the parameters. Raises InputError where they do not fit each other."""
    learns = params.script == WLNN
    mutation = MutationSettings(
        params.p_add_node,
        params.p_add_connection,
        0.0 if learns else params.p_change_activation,
        params.num_mutations_per_generation,
        inherit_weights=learns and params.inherit_weights,
        connect_outputs=not learns,
        compact=learns,
    )
    selection = SelectionSettings(params.population_size, params.tournament_size, params.cull_ratio, params.elite_ratio)
    return EvolutionSettings(
        params.seed,
        params.num_generations,
        params.p_initial_connection_enabled,
        params.p_complexity_objective,
        params.test_every,
        selection,
        mutation,
        with_weights=learns,
        use_bias=params.use_bias,
        p_add_node_at_start=0.5 if learns else 0.0,
        log_population=learns,
        save_networks_every=params.save_networks_every if learns else 0,
        checkpoint_period=params.checkpoint_period,
        max_minutes=params.max_minutes,
        provenance=provenance(params),
    )


def provenance(params: Params) -> dict[str, Any]:
    """What a saved network says of its origin: nothing that differs between two runs with the same seed."""
    versions = {"python": platform.python_version()}
    for package in ("numpy", "numba", "torch", "gymnasium", "box2d", "scikit-learn", "opencv-python-headless"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    task = {name: getattr(params, name) for name in ("env_name", "dataset", "learning_rule") if hasattr(params, name)}
    return {"script": params.script, "seed": params.seed, **task, "versions": versions}


def portrait(params: Params) -> Portrait:
    """What draws a tested champion for TensorBoard: its picture (H, W, 3) and its graph's statistics."""
    task = getattr(params, "env_name", None) or params.dataset

    def draw(genome: Genome) -> tuple[npt.NDArray[np.uint8], Mapping[str, float]]:
        from analysis import draw, graph, names  # matplotlib takes a while to import

        return draw.image(genome, names.names_of(genome, task), "Champion"), graph.statistics(genome)

    return draw


# ---- the run folder -------------------------------------------------------------------------------------------------

LOG = logging.getLogger("neuroevolution")
LOG.setLevel(logging.INFO)
EVENTS = "tensorboard_summary"
MADE_BY_RUNS = (
    checkpoint.NAME, checkpoint.PREVIOUS_NAME, EVENTS, "networks", "champion_network.json", "trained_network.json",
    "results_summary.csv",
)  # fmt: skip


class Run:
    """A run's folder: its lock, its log and its event files. The lock goes with the process, however that ends."""

    def __init__(self, path: Path, params: Params) -> None:
        self.path, self.params, self.log = path, params, LOG
        self.log_path = path / f"{path.resolve().name}.log"
        self._open = contextlib.ExitStack()  # closes everything, even where something cannot be written
        lock = self._open.enter_context(open(path / ".lock", "w"))  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._open.close()
            raise InputError(f"{path}: another run is at work in this folder") from None
        for folder in (path, path / "networks"):
            remove_unfinished(folder)

    def open(self, file_sizes: Mapping[str, int] | None = None) -> None:
        """Open log and event files, after cutting off what came after the state that the run goes on from."""
        if file_sizes is not None:
            self._cut(file_sizes)
        self._handler = _LogFile(self.log_path, encoding="utf-8")
        self._open.callback(self._handler.close)
        self._handler.setFormatter(_FORMAT)
        logging.getLogger().addHandler(self._handler)
        self._open.callback(logging.getLogger().removeHandler, self._handler)
        self.writer = self._open.enter_context(contextlib.closing(EventLog(self.path / EVENTS)))

    def _files(self) -> list[Path]:
        return [self.log_path, *sorted((self.path / EVENTS).glob("events*"))]

    def file_sizes(self) -> dict[str, int]:
        """Flush log and event files, and give their lengths."""
        self._handler.flush()
        self.writer.flush()
        return {str(file.relative_to(self.path)): file.stat().st_size for file in self._files()}

    def _cut(self, file_sizes: Mapping[str, int]) -> None:
        for file in self._files():
            size = file_sizes.get(str(file.relative_to(self.path)))
            if size is None:
                file.unlink(missing_ok=True)
            elif file.stat().st_size > size:
                os.truncate(file, size)

    def close(self) -> None:
        """Close the files and give the folder free. Raises OSError where what is left cannot be written."""
        self._open.close()


class _LogFile(logging.FileHandler):
    """A log file that is an error where it cannot be written, as every other file of the run."""

    def handleError(self, record: logging.LogRecord) -> None:  # called while the error is being handled
        raise


@contextlib.contextmanager
def open_run(params: Params, read: Callable[[bytes], Loaded]) -> Iterator[tuple[Run, Loaded | None]]:
    """The run's folder, made or taken up again, and the state to go on from (None at the beginning).

    `read` makes the state of a checkpoint file. Raises InputError where the folder exists or cannot be written, is in
    use, or has no whole checkpoint left.
    """
    run = _create(params) if params.resume is None else Run(Path(params.resume), params)
    params.folder = run.path
    try:
        if params.resume is None:
            state = None
            run.open()
        else:
            state = _take_up(run, params, read)
        run.log.info("%s, seed %d, in %s", params.script, params.seed, run.path)
        yield run, state
    finally:
        run.close()


def _take_up(run: Run, params: Params, read: Callable[[bytes], Loaded]) -> Loaded | None:
    """Read the checkpoint, cut off what came after it, and say so in the log."""
    unit = "num_epochs" if params.script == TRAINING else "num_generations"
    asked = getattr(params, unit)
    state, damaged = checkpoint.load(run.path, read)
    if state is not None and asked < state.progress:
        raise InputError(f"{unit} is {asked}, but {state.progress} are done")
    run.open({} if state is None else state.file_sizes)
    for line in damaged:
        run.log.warning("%s; going on from the previous checkpoint", line)
    run.log.info("resumed: %d of %d %s done", 0 if state is None else state.progress, asked, unit.removeprefix("num_"))
    write_atomically(run.path / PARAMS_FILE, yaml_text(params))
    return state


def _is_run(folder: Path) -> bool:
    try:
        return (folder / PARAMS_FILE).is_file()
    except OSError:  # the name is too long, say
        return False


def yaml_text(params: Params) -> str:
    return yaml.safe_dump(params.as_dict(), sort_keys=False, allow_unicode=True)


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
    candidates = (Path("out") / (stamp + (f"-{i}" if i else "")) for i in range(10**6))
    return next(path for path in candidates if not path.exists())


def _overwrite(path: Path, params: Params) -> Run:
    if not params.overwrite_output:
        raise InputError(f"out_dir {path} exists; choose another, or give --overwrite_output to replace the run in it")
    if not path.is_dir() or (any(path.iterdir()) and not (path / PARAMS_FILE).is_file()):
        raise InputError(f"out_dir {path} is no run's folder; --overwrite_output replaces nothing else")
    run = Run(path, params)
    # Whenever this is interrupted, the folder is a run that can be resumed or replaced: at first as it was, without the
    # checkpoints from its beginning, with the new params.yaml as the new one.
    for file in (*(path / name for name in MADE_BY_RUNS), run.log_path):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)
    write_atomically(path / PARAMS_FILE, yaml_text(params))
    return run


# ---- running a script -----------------------------------------------------------------------------------------------

_FORMAT = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
OURS = ("evolution", "networks", "envs", "learning", "analysis")


class _Console(logging.Handler):
    """Log lines on standard output, above the progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read this has ended; the run and its log file go on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_script(script: str, main: Callable[[Params], None], description: str) -> None:
    """Read the parameters, run `main`, and end with the exit status that tells what happened.

    0: done; 2: the input is wrong; 1: the run could not go on; 130 and 143: stopped by Ctrl-C and SIGTERM. In all but
    the first case one line on standard error says why.
    """
    signals = _Signals()
    console = _Console()
    console.setFormatter(_FORMAT)
    logging.basicConfig(level=logging.WARNING, handlers=[console], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    params = None
    try:
        params = read_params(script, description, sys.argv[1:])
        main(params)
        signals.end_at_once()
    except InputError as error:
        signals.end_at_once()
        _end(2, f"error: {_line(error, params)}")
    except (RunError, OSError, MemoryError) as error:
        signals.end_at_once()
        _end(1, f"error: {_line(error, params)}{_how_to_resume(params)}")
    except KeyboardInterrupt:
        signals.end_at_once()
        _end(128 + signals.received, f"stopped{_how_to_resume(params)}")


class _Signals:
    """The first Ctrl-C or SIGTERM interrupts the run, which writes its checkpoint; a second one ends it at once."""

    def __init__(self) -> None:
        self.received: int = signal.SIGINT
        self._interrupts = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def end_at_once(self) -> None:
        """From now on there is nothing left to be written."""
        self._interrupts = False

    def _handle(self, number: int, frame: Any) -> None:
        self.received = number
        if not self._interrupts:
            os._exit(128 + number)
        self.end_at_once()
        threading.excepthook = lambda arguments: None  # what threads are cut off from is no news
        raise KeyboardInterrupt


def _line(error: BaseException, params: Params | None) -> str:
    if isinstance(error, OSError) and error.strerror is not None:
        where = error.filename or (params and params.folder)  # a failed write to an open file does not say which
        return f"{where}: {error.strerror}" if where else error.strerror
    return " ".join(str(error).split())


def _how_to_resume(params: Params | None) -> str:
    if params is None or params.folder is None:
        return ""
    if not _is_run(params.folder):
        return f"; the run's folder {params.folder} is gone"
    return f"; to go on: python {params.script}.py --resume {params.folder}"


def _end(status: int, line: str) -> NoReturn:
    print(line, file=sys.stderr, flush=True)
    sys.exit(status)


if __name__ == "__main__":
    print(parameter_table(), end="")
