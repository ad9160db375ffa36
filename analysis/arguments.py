"""What several commands take from the command line: a network, a weight, numbers, and where to write."""

import argparse
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.genome import Genome

ENDINGS = {".png", ".svg", ".csv", ".md", ".json"}


def add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK.json", type=Path, help="a saved network")


def add_destination(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--to", type=Path, metavar="PATH", help=f"a folder, or a file's name without its ending (default: {default})"
    )


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data_dir", help="folder of the MNIST files; else the variable MNIST_DIR, else data/mnist")


def destination(to: Path | None, source: Path, suffix: str = "") -> Path:
    """The path, without an ending, of the files to be written; the folder is made where it is missing.

    Without `to` they lie beside `source` and are named after it, with `suffix`; in a folder likewise.
    """
    name = source.stem + suffix
    if to is None:
        return source.with_name(name)
    if to.is_dir():
        return to / name
    to.parent.mkdir(parents=True, exist_ok=True)
    return to.with_suffix("") if to.suffix in ENDINGS else to


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
