"""A run's whole state, on disk and back: data with a checksum, no pickle, written atomically, the previous one kept."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.files import write_atomically
from evolution.genome import Genome
from evolution.task import Fitness

NAME = "checkpoint.npz"
PREVIOUS_NAME = "checkpoint.previous.npz"
Loaded = TypeVar("Loaded")
MAGIC = b"neuroevolution checkpoint 1\n"


@dataclass(frozen=True)
class Champion:
    """The best network so far and what is known of it. `weights` (E,) are the trained ones where there are any."""

    genome: Genome
    generation: int
    values: Mapping[str, float]
    weights: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class State:
    """All that decides how a run goes on, as it is at the end of a generation.

    `file_sizes` are the bytes that log and event files had then: what a killed run wrote after its last checkpoint is
    cut off when it goes on.
    """

    generation: int
    population: Sequence[Genome]
    fitness: Fitness
    champion: Champion | None
    file_sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def progress(self) -> int:
        """Generations done."""
        return self.generation + 1


def save(content: bytes, folder: Path) -> None:
    """Write the checkpoint; the one before stays as the previous one. Raises OSError, with one of the two whole."""
    path = folder / NAME
    if path.exists():
        os.replace(path, folder / PREVIOUS_NAME)
    write_atomically(path, content)


def load(folder: Path, read: Callable[[bytes], Loaded]) -> tuple[Loaded | None, list[str]]:
    """The newest whole checkpoint, and one line for each that is damaged; (None, []) where there is none yet.

    `read` makes a state of a file's content, or raises InputError that says what is wrong with it. Raises InputError
    where checkpoints are there but none is whole.
    """
    damaged: list[str] = []
    for name in (NAME, PREVIOUS_NAME):
        path = folder / name
        if not path.exists():
            continue
        try:
            return read(path.read_bytes()), damaged
        except (InputError, OSError) as error:
            damaged.append(f"{path}: {error}")
    if damaged:
        raise InputError("no whole checkpoint: " + "; ".join(damaged))
    return None, []


Arrays = dict[str, npt.NDArray[Any]]


def encode(meta: Mapping[str, Any], arrays: Arrays) -> bytes:
    """A checkpoint file: a line of magic, the SHA-256 of the rest, and a NumPy archive of arrays and JSON."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    body = buffer.getvalue()
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(content: bytes) -> tuple[dict[str, Any], Arrays]:
    """What `encode` was given. Raises InputError where the file is damaged or none of ours."""
    start = len(MAGIC) + 65
    if not content.startswith(MAGIC):
        raise InputError("not a checkpoint")
    if hashlib.sha256(content[start:]).hexdigest().encode() + b"\n" != content[len(MAGIC) : start]:
        raise InputError("the checkpoint is damaged (its checksum does not fit)")
    with foreign_content(), np.load(io.BytesIO(content[start:]), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
        return json.loads(arrays.pop("meta").tobytes()), arrays


@contextmanager
def foreign_content() -> Iterator[None]:
    """Turn what reading made-up content can raise into one InputError."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError) as error:
        raise InputError(f"the checkpoint's content is not what this program writes ({error})") from None


def to_bytes(state: State) -> bytes:
    """The checkpoint file of an evolution."""
    meta: dict[str, Any] = {
        "generation": state.generation,
        "objectives": state.fitness.objectives,
        "file_sizes": dict(state.file_sizes),
    }
    arrays = {f"fitness/{name}": values for name, values in state.fitness.values.items()}
    meta["population"] = pack(state.population, "population", arrays)
    _pack_weights(state.fitness.weights, "trained", arrays)
    if state.champion is not None:
        champion = state.champion
        meta["champion"] = {"generation": champion.generation, "values": dict(champion.values)}
        meta["champion"]["genome"] = pack([champion.genome], "champion", arrays)
        _pack_weights(None if champion.weights is None else [champion.weights], "champion_trained", arrays)
    return encode(meta, arrays)


def from_bytes(content: bytes) -> State:
    """The state of an evolution's checkpoint file. Raises InputError that says what is wrong with it."""
    meta, arrays = decode(content)
    with foreign_content():
        population = unpack(meta["population"], "population", arrays)
        values = {n.removeprefix("fitness/"): a for n, a in arrays.items() if n.startswith("fitness/")}
        first, second = meta["objectives"]
        if any(a.shape != (len(population),) for a in values.values()) or not {first, second} <= set(values):
            raise InputError("fitness and population do not fit each other")
        fitness = Fitness(values, (first, second), _unpack_weights(population, "trained", arrays))
        champion = None
        if "champion" in meta:
            packed = meta["champion"]
            [genome] = unpack(packed["genome"], "champion", arrays)
            weights = _unpack_weights([genome], "champion_trained", arrays)
            known = dict(packed["values"])
            champion = Champion(genome, int(packed["generation"]), known, None if weights is None else weights[0])
        return State(int(meta["generation"]), population, fitness, champion, dict(meta["file_sizes"]))


_COMMON = ("num_inputs", "num_outputs", "hidden_activation", "use_bias", "made_with")  # of all genomes of a run


def pack(genomes: Sequence[Genome], name: str, arrays: Arrays) -> dict[str, Any]:
    """Put the genomes' arrays, joined, into `arrays`; gives what they have in common."""
    arrays[f"{name}/num_neurons"] = np.array([g.num_neurons for g in genomes], np.int32)
    arrays[f"{name}/num_connections"] = np.array([g.num_connections for g in genomes], np.int32)
    for key in ("layers", "activations", "connections"):
        arrays[f"{name}/{key}"] = np.concatenate([getattr(g, key) for g in genomes])
    own = [g.weights for g in genomes if g.weights is not None]
    _pack_weights(own or None, name, arrays)
    return {key: getattr(genomes[0], key) for key in _COMMON}


def _pack_weights(weights: Sequence[npt.NDArray[np.float32]] | None, name: str, arrays: Arrays) -> None:
    if weights is not None:
        arrays[f"{name}/weights"] = np.concatenate(weights)


def unpack(common: dict[str, Any], name: str, arrays: Arrays) -> list[Genome]:
    """The genomes that `pack` put into `arrays`, checked."""
    neurons, connections = arrays[f"{name}/num_neurons"], arrays[f"{name}/num_connections"]
    columns: list[Sequence[Any]] = [
        _split(arrays[f"{name}/layers"], neurons),
        _split(arrays[f"{name}/activations"], neurons),
        _split(arrays[f"{name}/connections"], connections),
    ]
    weights = arrays.get(f"{name}/weights")
    columns.append([None] * len(neurons) if weights is None else _split(weights, connections))
    genomes = [
        Genome(layers=own, activations=acts, connections=pairs, weights=w, **common)
        for own, acts, pairs, w in zip(*columns, strict=True)
    ]
    for genome in genomes:
        genome.check()
    return genomes


def _unpack_weights(genomes: Sequence[Genome], name: str, arrays: Arrays) -> list[npt.NDArray[np.float32]] | None:
    if f"{name}/weights" not in arrays:
        return None
    return _split(arrays[f"{name}/weights"], np.array([g.num_connections for g in genomes]))


def _split(joined: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    if len(joined) != lengths.sum():
        raise InputError("arrays of a wrong length")
    return [part.copy() for part in np.split(joined, np.cumsum(lengths)[:-1])]
