"""What several commands take from the command line: a network, a weight, numbers, and where to write."""

import argparse
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.names import Names, default_names, names_of, params_near, task_of
from envs import datasets
from evolution.errors import InputError
from evolution.files import LONGEST_NAME, network_path, with_room
from evolution.genome import Genome
from experiment.parameters import declared

ENDINGS = {".png", ".svg", ".csv", ".md", ".json"}
# Of files that some programs write and ours do not: as part of a name they would be a promise.
OTHERS_ENDINGS = {".pdf", ".eps", ".ps", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp", ".txt", ".xlsx", ".html"}
LONGEST_ENDING = len("-conditions.json")  # that a command puts behind a name


def add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", type=network, help="a saved network's file, or champions/NAME")


def add_destination(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--to", type=Path, metavar="PATH", help=f"a folder, or a file's name without its ending (default: {default})"
    )


def file(text: str) -> Path:
    """A file's name, which `.` and nothing are not."""
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"'{text}' is the name of no file")
    return path


def network(text: str) -> Path:
    """The file of a network, or of one of the repository's champions."""
    return network_path(str(file(text)))


# What a network's run says of its task, and a command may say otherwise.
OF_EPISODES = ("env_kwargs", "observation_size", "scale_actions", "max_episode_steps")
OF_IMAGES = ("image_size", "deskew")


def add_task_options(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Options that say what the parameters of the same names do; they are checked when they are asked for."""
    for name in names:
        parser.add_argument(f"--{name}", help=f"{declared()[name].help} (default: as the network's run has it)")


def of_task(arguments: argparse.Namespace, task: str, names: Sequence[str]) -> dict[str, Any]:
    """What the command line says of the task, else the run that the network lies in, where that is of the same task.

    By parameter; what neither says is left out. Raises InputError for a value that is none.
    """
    near = params_near(arguments.network)
    near = near if task in (near.get("env_name"), near.get("dataset")) else {}
    found: dict[str, Any] = {}
    for name in names:
        parameter, text = declared()[name], getattr(arguments, name, None)
        if text is not None:
            found[name] = parameter.parse(text, "command line")
        elif near.get(name) is not None:
            found[name] = parameter.check(near[name], f"params.yaml beside {arguments.network}")
    return found


def settle(arguments: argparse.Namespace, defaults: Mapping[str, Any], unused: Sequence[str], why: str) -> None:
    """Options that were not given, and so are None, take their defaults.

    Raises InputError for one of the `unused` that was given: it would have no effect; `why` says so.
    """
    for name in unused:
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name} {why}")
    for name, default in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    text = "folder or file of the data set; else the run's, else a variable (MNIST_DIR), else data/"
    parser.add_argument("--data_dir", help=text)


def data_dir_of(arguments: argparse.Namespace, dataset: str) -> str | None:
    """Where the data set lies, as the command line says, else the network's run; None: at its usual place."""
    if arguments.data_dir is None and not datasets.has_files(dataset):
        return None
    return of_task(arguments, dataset, ("data_dir",)).get("data_dir")


def destination(to: Path | None, source: Path, suffix: str = "") -> Path:
    """The path, without an ending, of the files to be written, after a look whether they can be.

    Without `to` they lie beside `source` and are named after it, with `suffix`; in a folder likewise. Raises InputError
    for an ending of files that are not made here, and where nothing can be written.
    """
    name = source.stem + suffix
    if to is None:
        path = source.with_name(name)
    elif to.is_dir():
        path = to / name
    else:
        ending = to.suffix.lower()
        if ending in OTHERS_ENDINGS:
            raise InputError(f"--to {to}: pictures are .png and .svg, tables .csv and .md; there is no {ending}")
        path = to.with_suffix("") if ending in ENDINGS else to
    path = path.with_name(with_room(path.name, LONGEST_ENDING))
    check_writable(path.parent)
    return path


def check_writable(folder: Path) -> None:
    """Raise InputError unless a file can be made in this folder, or in the first one above it that is there.

    It comes before what takes hours; the folder itself is made when there is something to write.
    """
    there = folder
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from None


def check_file(path: Path) -> None:
    """Raise InputError unless this file can be written. It comes before what takes hours."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise InputError(f"{path.name[:60]}...: a file's name has {LONGEST_NAME} bytes at most")
    check_writable(path.parent)
    if path.is_dir():
        raise InputError(f"{path} is a folder; a file's name is needed")


def names_for(genome: Genome, network: Path, env_name: str | None) -> tuple[Names, str | None]:
    """The names of a network's inputs and outputs, and the task that they are of, None of a task unknown.

    An `env_name` that is asked for must fit (InputError); what the network's file or its run says is a guess, which is
    left out where it does not.
    """
    if env_name is not None:
        return names_of(genome, env_name), env_name
    try:
        task = task_of(network)
        return names_of(genome, task), task
    except (InputError, RecursionError):
        return default_names(genome), None


def count(text: str) -> int:
    """A whole number from 1 on."""
    return _checked(text, int, lambda value: value >= 1, "a whole number, at least 1")


def seed(text: str) -> int:
    """A whole number from 0 on."""
    return _checked(text, int, lambda value: 0 <= value < 2**63, "a whole number, at least 0")


def number(text: str) -> float:
    """A finite number."""
    return _checked(text, float, math.isfinite, "a finite number")


def _checked(text, kind, holds, allowed):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not holds(value):
        raise argparse.ArgumentTypeError(f"{text} is not {allowed}")
    return value


def connection_weights(genome: Genome, weight: float | None) -> npt.NDArray[np.float64]:
    """(E,) the genome's own weights, or the shared one on every connection.

    Raises InputError where a weight agnostic network gets no weight, or another one does.
    """
    if genome.weights is None and weight is None:
        raise InputError("this is a weight agnostic network: give --weight, the value that its connections share")
    if genome.weights is not None and weight is not None:
        raise InputError("this network has weights of its own: leave out --weight")
    if genome.weights is not None:
        return genome.weights.astype(np.float64)
    return np.full(genome.num_connections, weight, np.float64)


def check_sizes(genome: Genome, num_inputs: int, num_outputs: int, task: str) -> None:
    """Raise InputError unless the network takes what the task observes and gives what it expects."""
    if (genome.num_observed, genome.num_outputs) != (num_inputs, num_outputs):
        raise InputError(
            f"the network has {genome.num_observed} inputs and {genome.num_outputs} outputs; "
            f"{task} needs {num_inputs} and {num_outputs}"
        )
