"""A run's whole state as bytes and back: data with a checksum, no pickle; and the newest whole file of a folder."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from evolution.loop import Champion, State
from evolution.task import Fitness

NAME = "checkpoint.npz"
PREVIOUS_NAME = "checkpoint.previous.npz"
FAMILY = b"neuroevolution checkpoint "
# To be raised with the format, and whenever runs draw other random numbers: what went on would be neither run.
MAGIC = FAMILY + b"3\n"


Loaded = TypeVar("Loaded")


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
    text = json.dumps({**meta, "arrays": sorted(arrays)})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, meta=np.frombuffer(text.encode(), np.uint8), **arrays)
    body = buffer.getvalue()
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(content: bytes) -> tuple[dict[str, Any], Arrays]:
    """What `encode` was given. Raises InputError where the file is damaged or none of ours."""
    start = len(MAGIC) + 65
    if not content.startswith(MAGIC):
        raise InputError(
            "a checkpoint of another version of this program: only that one can go on with the run"
            if content.startswith(FAMILY)
            else "not a checkpoint"
        )
    if hashlib.sha256(content[start:]).hexdigest().encode() + b"\n" != content[len(MAGIC) : start]:
        raise InputError("the checkpoint is damaged (its checksum does not fit)")
    with foreign_content(), np.load(io.BytesIO(content[start:]), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        if meta["arrays"] != sorted(arrays):
            raise InputError("arrays are missing, or of something else")
        return meta, arrays


@contextmanager
def foreign_content() -> Iterator[None]:
    """Turn whatever a parser makes of content that is not ours into one InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and json have many kinds
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"the checkpoint's content is not what this program writes ({line})") from None


def count(value: Any, name: str) -> int:
    """The value, if it is a whole number that can count something. Raises InputError."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise InputError(f"{name} is {value!r:.60}")
    return value


def to_bytes(state: State) -> bytes:
    """The checkpoint file of an evolution without a folder."""
    return encode(*pack(state))


def from_bytes(content: bytes) -> State:
    """The state of an evolution's checkpoint file. Raises InputError that says what is wrong with it."""
    with foreign_content():
        return unpack(*decode(content))


def pack(state: State) -> tuple[dict[str, Any], Arrays]:
    """The state as JSON and arrays: what decides how a run goes on, and not what happened in its last generation."""
    meta: dict[str, Any] = {"generation": state.generation, "objectives": state.fitness.objectives}
    arrays: Arrays = {
        f"fitness/{name}": np.asarray(values, np.float64) for name, values in state.fitness.values.items()
    }
    meta["population"] = pack_genomes(state.population, "population", arrays)
    if state.fitness.trained is not None:
        _pack_weights(state.fitness.trained, "trained", arrays)
    if state.champion is not None:
        champion = state.champion
        meta["champion"] = {
            "generation": champion.generation,
            "values": dict(champion.values),
            "tested": dict(champion.tested),
            "genome": pack_genomes([champion.genome], "champion", arrays),
        }
        if champion.trained is not champion.genome:
            _pack_weights([champion.trained], "champion_trained", arrays)
    return meta, arrays


def unpack(meta: dict[str, Any], arrays: Arrays) -> State:
    """The state that `pack` was given. Raises InputError, or what a parser makes of content that is not ours."""
    population = unpack_genomes(meta["population"], "population", arrays)
    names = [name.removeprefix("fitness/") for name in arrays if name.startswith("fitness/")]
    values = {name: _array(arrays, f"fitness/{name}", np.float64) for name in names}
    first, second = meta["objectives"]
    if any(len(a) != len(population) for a in values.values()) or not {first, second} <= set(values):
        raise InputError("fitness and population do not fit each other")
    fitness = Fitness(values, (first, second), _unpack_trained(population, "trained", arrays))
    champion = None
    if "champion" in meta:
        packed = meta["champion"]
        [genome] = unpack_genomes(packed["genome"], "champion", arrays)
        [trained] = _unpack_trained([genome], "champion_trained", arrays) or [genome]
        known, tested = (
            {str(name): float(value) for name, value in packed[key].items()} for key in ("values", "tested")
        )
        champion = Champion(genome, count(packed["generation"], "the champion's generation"), known, trained, tested)
        if first not in known:
            raise InputError(f"nothing is known of the champion's {first}")
    return State(count(meta["generation"], "generation"), population, fitness, champion)


_COMMON = {  # what all genomes of a run share
    "num_inputs": int,
    "num_outputs": int,
    "hidden_activation": int,
    "use_bias": bool,
    "made_with": dict,
}


def pack_genomes(genomes: Sequence[Genome], name: str, arrays: Arrays) -> dict[str, Any]:
    """Put the genomes' arrays, joined, into `arrays`; gives what they have in common."""
    arrays[f"{name}/num_neurons"] = np.array([g.num_neurons for g in genomes], np.int32)
    arrays[f"{name}/num_connections"] = np.array([g.num_connections for g in genomes], np.int32)
    for key in ("layers", "activations", "connections"):
        arrays[f"{name}/{key}"] = np.concatenate([getattr(g, key) for g in genomes])
    _pack_weights(genomes, name, arrays)
    return {key: kind(getattr(genomes[0], key)) for key, kind in _COMMON.items()}


def _pack_weights(genomes: Sequence[Genome], name: str, arrays: Arrays) -> None:
    weights = [genome.weights for genome in genomes if genome.weights is not None]
    if weights:
        arrays[f"{name}/weights"] = np.concatenate(weights)


def unpack_genomes(common: dict[str, Any], name: str, arrays: Arrays) -> list[Genome]:
    """The genomes that `pack_genomes` put into `arrays`, checked."""
    for key, kind in _COMMON.items():
        if type(common[key]) is not kind:
            raise InputError(f"{key} is {common[key]!r:.60}")
    if not 0 <= common["hidden_activation"] < len(ACTIVATION_NAMES):
        raise InputError(f"hidden_activation is {common['hidden_activation']}")
    neurons = _array(arrays, f"{name}/num_neurons", np.int32)
    connections = _array(arrays, f"{name}/num_connections", np.int32)
    if not len(neurons) or len(neurons) != len(connections):
        raise InputError(f"{len(neurons)} and {len(connections)} networks")
    columns: list[Sequence[Any]] = [
        _split(_array(arrays, f"{name}/layers", np.int32), neurons),
        _split(_array(arrays, f"{name}/activations", np.int8), neurons),
        _split(_array(arrays, f"{name}/connections", np.int32, 2), connections),
    ]
    if f"{name}/weights" in arrays:
        columns.append(_split(_array(arrays, f"{name}/weights", np.float32), connections))
    else:
        columns.append([None] * len(neurons))
    genomes = [
        Genome(layers=own, activations=acts, connections=pairs, weights=w, **{key: common[key] for key in _COMMON})
        for own, acts, pairs, w in zip(*columns, strict=True)
    ]
    for genome in genomes:
        genome.check()
    return genomes


def _unpack_trained(genomes: Sequence[Genome], name: str, arrays: Arrays) -> list[Genome] | None:
    """The same networks with the weights that are called so; None where there are none."""
    if f"{name}/weights" not in arrays:
        return None
    lengths = np.array([g.num_connections for g in genomes])
    weights = _split(_array(arrays, f"{name}/weights", np.float32), lengths)
    trained = [replace(genome, weights=own) for genome, own in zip(genomes, weights, strict=True)]
    for genome in trained:
        genome.check()
    return trained


def _array(arrays: Arrays, name: str, dtype: npt.DTypeLike, columns: int = 1) -> npt.NDArray[Any]:
    """The array (N,), or (N, columns), checked for its type and shape."""
    array = arrays[name]
    if array.dtype != dtype or array.shape != ((len(array),) if columns == 1 else (len(array), columns)):
        raise InputError(f"{name} is an array {array.shape} of {array.dtype}")
    return array


def _split(joined: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    if (lengths < 0).any() or len(joined) != lengths.sum(dtype=np.int64):
        raise InputError("arrays of a wrong length")
    return [part.copy() for part in np.split(joined, np.cumsum(lengths)[:-1])]
