"""Champions of the WANN release as genomes."""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis import arguments as options
from evolution.errors import InputError, unreadable
from evolution.files import read
from evolution.genome import ACTIVATION_NAMES, LINEAR, Genome

# The release's activation k is its k-th entry here, counted from 1.
WANN_ACTIVATIONS = (
    "linear", "step", "sine", "gaussian", "tanh", "sigmoid", "inverse", "abs", "relu", "cosine",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.out", type=options.file, help="a champion of the WANN release")
    parser.add_argument("--inputs", type=options.count, metavar="N", help="inputs besides the bias (default: found)")
    parser.add_argument("--outputs", type=options.count, metavar="N", help="outputs (default: found)")
    parser.add_argument("--keep_weights", action="store_true", help="keep each connection's own weight")
    parser.add_argument("--to", type=options.file, metavar="NETWORK.json", help="the file (default: FILE.json)")


def main(arguments: argparse.Namespace) -> None:
    """Read a champion of the WANN release, and write it as network JSON with a bias."""
    file = arguments.file
    path = arguments.to or file.with_suffix(".json")
    options.check_file(path)
    genome = read_wann(file, in_size=arguments.inputs, out_size=arguments.outputs, keep_weights=arguments.keep_weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    genome.save(path, {"imported_from": file.name})
    print(
        f"{path}: inputs {genome.num_observed} and a bias, outputs {genome.num_outputs}, nodes {genome.num_neurons}, "
        f"connections {genome.num_connections}"
    )


def read_wann(
    path: Path | str, *, in_size: int | None = None, out_size: int | None = None, keep_weights: bool = False
) -> Genome:
    """A champion of the WANN release (google/brain-tokyo-workshop, `WANNRelease`) as a genome with a bias.

    The file holds one row per node: the weights to every node, 0 or nan where there is no connection, then the
    activation. Node 0 is the bias; inputs, hidden nodes and outputs follow. How many there are of each does not stand
    in the file: unless given, inputs (bias apart) are the first nodes that nothing leads to, outputs the last that lead
    nowhere. The weights only say what is connected, for all connections share one, unless `keep_weights`.
    Raises InputError, one line that names file and fault.
    """
    try:
        return _wann_genome(*_wann_table(Path(path)), in_size, out_size, keep_weights)
    except OSError as error:
        raise unreadable(path, error) from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _wann_table(path: Path) -> tuple[npt.NDArray[np.float64], list[int]]:
    """The weights (nodes, nodes), 0 for none, and each node's activation as an index into ACTIVATION_NAMES."""
    try:
        rows = [line.split(",") for line in read(path).decode("ascii").splitlines() if line.strip()]
        cells = [[float(cell) for cell in row] for row in rows]
    except ValueError as error:  # UnicodeDecodeError is one
        raise InputError(f"not a champion of the WANN release ({error})") from None
    nodes = len(cells)
    for number, row in enumerate(cells):
        if len(row) != nodes + 1:
            raise InputError(f"row {number} has {len(row)} values, where {nodes} nodes need {nodes + 1}")
    if not nodes:
        raise InputError("the file is empty")
    table = np.array(cells)
    codes = table[:, -1]
    for node, code in enumerate(codes):
        if not 1 <= code <= len(WANN_ACTIVATIONS) or code != int(code):
            raise InputError(f"node {node} has activation {code:g}; known are 1 to {len(WANN_ACTIVATIONS)}")
    weights = np.nan_to_num(table[:, :-1], nan=0.0, posinf=np.inf, neginf=-np.inf)
    if not np.isfinite(weights).all():
        raise InputError(f"node {int(np.argwhere(~np.isfinite(weights))[0, 0])} has an infinite weight")
    return weights, [ACTIVATION_NAMES.index(WANN_ACTIVATIONS[int(code) - 1]) for code in codes]


def _wann_genome(
    weights: npt.NDArray[np.float64],
    activations: list[int],
    in_size: int | None,
    out_size: int | None,
    keep_weights: bool,
) -> Genome:
    nodes = len(weights)
    connected = weights != 0
    if in_size is None:
        led_to = connected.any(axis=0) | (np.array(activations) != LINEAR)
        in_size = (int(np.argmax(led_to)) if led_to.any() else nodes) - 1
    if out_size is None:
        leading = connected.any(axis=1)
        out_size = int(np.argmax(leading[::-1])) if leading.any() else nodes
    if in_size < 1 or out_size < 1 or 1 + in_size + out_size > nodes:
        raise InputError(f"{in_size} inputs and {out_size} outputs besides the bias do not fit {nodes} nodes")

    # Ours: inputs, the bias as the last of them, outputs, hidden.
    first_hidden, first_output = 1 + in_size, nodes - out_size
    order = [*range(1, first_hidden), 0, *range(first_output, nodes), *range(first_hidden, first_output)]
    connected, weights = connected[np.ix_(order, order)], weights[np.ix_(order, order)]
    first_hidden, first_output = 1 + in_size + out_size, 1 + in_size
    if connected[:, :first_output].any():
        raise InputError(f"a connection leads to the bias or to one of the {in_size} inputs")
    if connected[first_output:first_hidden].any():
        raise InputError(f"a connection comes from one of the {out_size} outputs")
    connections = np.argwhere(connected).astype(np.int32)
    genome = Genome(
        1 + in_size,
        out_size,
        layers=_longest_paths(nodes, connections, first_output, first_hidden),
        activations=np.array(activations, np.int8)[order],
        connections=connections,
        weights=weights[connected].astype(np.float32) if keep_weights else None,
        use_bias=True,
    )
    genome.check()
    return genome


def _longest_paths(
    nodes: int, connections: npt.NDArray[np.int32], first_output: int, first_hidden: int
) -> npt.NDArray[np.int32]:
    """The layer (N,) of each neuron: hidden ones stand one above their highest source, outputs together at the end."""
    layers = np.zeros(nodes, np.int32)
    layers[first_hidden:] = 1
    inner = connections[connections[:, 1] >= first_hidden]
    for _ in range(nodes):
        before = layers.copy()
        np.maximum.at(layers, inner[:, 1], layers[inner[:, 0]] + 1)
        if (layers == before).all():
            break
    else:
        raise InputError("the connections run in a circle")
    layers[first_output:first_hidden] = layers.max() + 1
    return layers
