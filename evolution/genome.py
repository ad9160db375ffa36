"""The genome: a feed-forward graph of neurons as plain arrays, its checks and its JSON.

Neuron ids: inputs `0 .. I-1`, outputs `I .. I+O-1`, hidden neurons from `I+O` on in the order of their birth. Layer 0
holds the inputs, the last layer the outputs; a connection runs from a lower to a higher layer and may skip layers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError, unreadable
from evolution.files import read, write_atomically

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]

ACTIVATION_NAMES = [  # `networks.activations.register` appends to it
    "linear", "step", "sine", "cosine", "gaussian", "tanh", "sigmoid", "inverse", "abs", "relu",
]  # fmt: skip
LINEAR, RELU = ACTIVATION_NAMES.index("linear"), ACTIVATION_NAMES.index("relu")

FORMAT_VERSION = 1
LARGEST = float(np.finfo(np.float32).max)  # a weight can be
WEIGHT_STD = 0.1  # of a freshly drawn weight, N(0, 0.1^2)


@dataclass(frozen=True, eq=False)
class Genome:
    """A network's graph. Treat the arrays as read-only: children share those that a mutation leaves alone.

    A weight agnostic network has no `weights`: all its connections share one value, given at evaluation. With
    `use_bias` the last input is not observed but always 1; `num_inputs` counts it.
    """

    num_inputs: int
    num_outputs: int
    layers: IntArray  # (N,) the layer of each neuron
    activations: npt.NDArray[np.int8]  # (N,) indices into ACTIVATION_NAMES
    connections: IntArray  # (E, 2) pairs (from, to)
    weights: FloatArray | None = None  # (E,)
    hidden_activation: int = RELU  # of every hidden neuron of a network with weights
    use_bias: bool = False
    made_with: Mapping[str, Any] = field(
        default_factory=dict
    )  # parameters that its JSON repeats; shared, never changed

    @classmethod
    def initial(
        cls,
        num_inputs: int,
        num_outputs: int,
        p_initial_connection_enabled: float,
        rng: np.random.Generator,
        *,
        num_hidden: int = 0,
        with_weights: bool = False,
        use_bias: bool = False,
        hidden_activation: int = RELU,
        made_with: Mapping[str, Any] | None = None,
    ) -> "Genome":
        """A genome without hidden neurons; each input-output pair is connected with the given probability.

        `num_inputs` are the observed ones; with `use_bias` one more, the bias, comes after them. With `num_hidden`
        there is one layer of so many hidden neurons, and the pairs are those of neighbouring layers. Hidden neurons
        have the activation with the index `hidden_activation`, in a network with weights also those that grow later.
        """
        num_inputs += use_bias
        visible = num_inputs + num_outputs
        inputs, outputs = np.arange(num_inputs), np.arange(num_inputs, visible)
        hidden = np.arange(visible, visible + num_hidden)
        neighbours = [(inputs, hidden), (hidden, outputs)] if num_hidden else [(inputs, outputs)]
        connections = []
        for below, above in neighbours:
            rows, columns = np.nonzero(rng.random((len(below), len(above))) < p_initial_connection_enabled)
            connections.append(np.column_stack([below[rows], above[columns]]))
        pairs = np.concatenate(connections).astype(np.int32)
        layers = np.repeat(np.array([0, len(neighbours), 1], np.int32), [num_inputs, num_outputs, num_hidden])
        activations = np.full(visible + num_hidden, LINEAR, np.int8)
        activations[visible:] = hidden_activation
        return cls(
            num_inputs,
            num_outputs,
            layers,
            activations,
            pairs,
            weights=draw_weights(len(pairs), rng) if with_weights else None,
            hidden_activation=hidden_activation,
            use_bias=use_bias,
            made_with=made_with or {},
        )

    @property
    def num_observed(self) -> int:
        """Inputs that the task provides: all but the bias."""
        return self.num_inputs - self.use_bias

    @property
    def num_neurons(self) -> int:
        return len(self.layers)

    @property
    def num_hidden(self) -> int:
        return len(self.layers) - self.num_inputs - self.num_outputs

    @property
    def num_connections(self) -> int:
        return len(self.connections)

    @property
    def num_layers(self) -> int:
        """Layers, those of the inputs and outputs included."""
        return int(self.layers[self.num_inputs]) + 1

    @property
    def complexity(self) -> int:
        """Number of connections, at least 1."""
        return max(len(self.connections), 1)

    def _content(self) -> tuple[Any, ...]:
        arrays = (self.layers, self.activations, self.connections, self.weights)
        return (
            self.num_inputs,
            self.num_outputs,
            self.use_bias,
            *(None if a is None else a.tobytes() for a in arrays),
        )

    def __eq__(self, other: object) -> bool:
        """The same graph, activations and weights; `made_with` does not count."""
        return isinstance(other, Genome) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def check(self) -> None:
        """Raise InputError unless every invariant of a genome holds."""
        inputs, outputs, neurons = self.num_inputs, self.num_outputs, self.num_neurons
        if inputs < 1 or outputs < 1:
            raise InputError(f"a network needs at least one input and one output, not {inputs} and {outputs}")
        if neurons < inputs + outputs:
            raise InputError(f"{inputs} inputs and {outputs} outputs do not fit into {neurons} neurons")
        last = int(self.layers[inputs])
        if (self.layers[:inputs] != 0).any() or (self.layers[inputs + outputs :] == 0).any() or last == 0:
            raise InputError(f"layer 0 must hold the inputs 0..{inputs - 1} and nothing else")
        if (self.layers[inputs : inputs + outputs] != last).any() or (self.layers[inputs + outputs :] >= last).any():
            raise InputError(f"the last layer must hold the outputs {inputs}..{inputs + outputs - 1} and nothing else")
        if len(np.unique(self.layers)) != last + 1:
            raise InputError("a layer without neurons")
        if ((self.activations < 0) | (self.activations >= len(ACTIVATION_NAMES))).any():
            raise InputError(f"an activation index outside 0..{len(ACTIVATION_NAMES) - 1}")
        sources, targets = self.connections[:, 0], self.connections[:, 1]
        outside = ((self.connections < 0) | (self.connections >= neurons)).any(axis=1)
        if outside.any():
            raise InputError(f"connection {_pair(self, outside)} names a neuron outside 0..{neurons - 1}")
        backward = self.layers[sources] >= self.layers[targets]
        if backward.any():
            raise InputError(
                f"connection {_pair(self, backward)} does not run from a lower to a higher layer (a cycle?)"
            )
        keys = sources.astype(np.int64) * neurons + targets
        unique, first, counts = np.unique(keys, return_index=True, return_counts=True)
        if len(unique) != len(keys):
            double = self.connections[first[counts > 1][0]].tolist()
            raise InputError(f"connection {double} is there twice")
        if self.weights is not None:
            if len(self.weights) != len(self.connections):
                raise InputError(f"{len(self.weights)} weights for {len(self.connections)} connections")
            if not np.isfinite(self.weights).all():
                raise InputError(f"weight {int(np.argmin(np.isfinite(self.weights)))} is not a finite number")

    # ---- JSON -------------------------------------------------------------------------------------------------

    def to_dict(self, provenance: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The network JSON (docs/network-files.md) as a dict of plain values; `provenance` says where it comes from."""
        order = np.argsort(self.layers, kind="stable")
        ends = np.cumsum(np.bincount(self.layers))[:-1]
        result: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "in_size": self.num_inputs,
            "out_size": self.num_outputs,
            "num_neurons": self.num_neurons,
            **{key: self.made_with[key] for key in _MADE_WITH if key in self.made_with},
            "neurons_in_layer": [layer.tolist() for layer in np.split(order, ends)],
            "connections": self.connections.tolist(),
        }
        if self.use_bias:
            result["bias"] = True
        if self.weights is not None:
            # The shortest decimals that give the same 32-bit numbers again.
            result["weights"] = [float(str(w)) for w in self.weights]
        hidden = self.activations[self.num_inputs + self.num_outputs :]
        ends_linear = (self.activations[: self.num_inputs + self.num_outputs] == LINEAR).all()
        if self.weights is not None and ends_linear and (hidden == self.hidden_activation).all():
            result["activation_name"] = ACTIVATION_NAMES[self.hidden_activation]
        else:
            result["activation_names"] = [ACTIVATION_NAMES[a] for a in self.activations]
        if provenance is not None:
            result["provenance"] = dict(provenance)
        return result

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> "Genome":
        """A genome from the network JSON, ours or the thesis's. Raises InputError that names the fault."""
        if not isinstance(d, Mapping):
            raise InputError(f"a network is a JSON object, not {_kind(d)}")
        version = d.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise InputError(f"format_version is {version!r:.60}; this program reads {FORMAT_VERSION}")
        for key in ("in_size", "out_size", "num_neurons", "neurons_in_layer", "connections"):
            if key not in d:
                raise InputError(f"the key '{key}' is missing")
        in_size, out_size, num_neurons = (_count(d, key) for key in ("in_size", "out_size", "num_neurons"))
        layers = _layers(d["neurons_in_layer"], num_neurons)
        connections = _connections(d["connections"], num_neurons)
        activations, hidden_activation = _activations(d, num_neurons, in_size + out_size)
        use_bias = d.get("bias", False)
        if not isinstance(use_bias, bool):
            raise InputError(f"bias must be true or false, not {use_bias!r:.60}")
        weights = None
        if "weights" in d:
            weights = _weights(d["weights"])
        genome = cls(
            in_size,
            out_size,
            layers,
            activations,
            connections,
            weights,
            hidden_activation,
            use_bias,
            {key: _made_with(key, d[key]) for key in _MADE_WITH if key in d},
        )
        genome.check()
        if use_bias and in_size < 2:
            raise InputError("the bias is the last input: in_size must be at least 2")
        return genome

    def save(self, path: Path | str, provenance: Mapping[str, Any] | None = None) -> None:
        """Write the network JSON atomically, one key a line. Raises OSError where it cannot be written."""
        write_atomically(path, dumps(self.to_dict(provenance)))

    @classmethod
    def load(cls, path: Path | str) -> "Genome":
        """Read a network JSON. Raises InputError, one line that names file and fault."""
        try:
            return cls.from_dict(loads(read(path)))
        except OSError as error:
            raise unreadable(path, error) from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def draw_weights(count: int, rng: np.random.Generator) -> FloatArray:
    """Fresh weights (count,) from N(0, 0.1^2)."""
    return rng.standard_normal(count, dtype=np.float32) * np.float32(WEIGHT_STD)


def dumps(d: Mapping[str, Any]) -> str:
    """JSON text with one top-level key a line: readable, small, and the same bytes for the same content."""
    return "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in d.items()) + "\n}\n"


def loads(content: bytes) -> Any:
    """Parse JSON strictly: no NaN or Infinity, no key twice. Raises InputError."""

    def refuse(constant: str) -> None:
        raise InputError(f"{constant} is not allowed")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        d = dict(pairs)
        if len(d) != len(pairs):
            keys = [key for key, _ in pairs]
            double = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"the key {double!r:.60} is there twice")
        return d

    try:
        return json.loads(content, parse_constant=refuse, object_pairs_hook=unique)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"not JSON ({error})") from None
    except RecursionError:
        raise InputError("not a network (nested too deeply)") from None


_MADE_WITH: dict[str, type] = {
    "p_initial_connection_enabled": float,
    "p_add_connection": float,
    "p_add_node": float,
    "inherit_weights": bool,
}


def _made_with(key: str, value: Any) -> Any:
    flag = _MADE_WITH[key] is bool
    valid = isinstance(value, bool) if flag else _is_number(value) and 0 <= value <= 1
    if not valid and value is not None:
        raise InputError(f"{key} is {value!r:.60}")
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(d: Mapping[str, Any], key: str) -> int:
    if not _is_int(d[key]) or not 0 <= d[key] < 2**31:
        raise InputError(f"{key} must be a count, not {d[key]!r:.60}")
    return int(d[key])


def _layers(value: Any, num_neurons: int) -> IntArray:
    if not isinstance(value, list) or not all(isinstance(layer, list) for layer in value):
        raise InputError("neurons_in_layer must be a list of lists of neuron ids")
    ids = [i for layer in value for i in layer]
    if len(ids) != num_neurons:
        raise InputError(f"num_neurons is {num_neurons}, but neurons_in_layer holds {len(ids)}")
    for i in ids:
        if not _is_int(i) or not 0 <= i < num_neurons:
            raise InputError(f"neuron id {i!r:.60} in neurons_in_layer is outside 0..{num_neurons - 1}")
    if len(set(ids)) != num_neurons:
        raise InputError("a neuron id is twice in neurons_in_layer")
    layers = np.empty(num_neurons, np.int32)
    layers[ids] = np.repeat(np.arange(len(value)), [len(layer) for layer in value])
    return layers


def _connections(value: Any, num_neurons: int) -> IntArray:
    if not isinstance(value, list):
        raise InputError(f"connections must be a list of pairs [from, to], not {_kind(value)}")
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_int, pair)):
            raise InputError(f"connection {pair!r:.60} is not a pair [from, to] of neuron ids")
        if not all(0 <= i < num_neurons for i in pair):
            raise InputError(f"connection {pair!r:.60} names a neuron outside 0..{num_neurons - 1}")
    return np.array(value, np.int32).reshape(-1, 2)


def _activations(d: Mapping[str, Any], num_neurons: int, num_visible: int) -> tuple[npt.NDArray[np.int8], int]:
    """Activations (N,) and the hidden neurons' common one, from whichever of the two keys is there."""
    if ("activation_name" in d) == ("activation_names" in d):
        raise InputError("exactly one of the keys 'activation_name' and 'activation_names' must be there")
    names = [d["activation_name"]] if "activation_name" in d else d["activation_names"]
    if not isinstance(names, list):
        raise InputError(f"activation_names must be a list, not {_kind(names)}")
    for name in names:
        if not isinstance(name, str) or name not in ACTIVATION_NAMES:
            raise InputError(f"unknown activation {name!r:.60}; known are {', '.join(ACTIVATION_NAMES)}")
    indices = [ACTIVATION_NAMES.index(name) for name in names]
    if "activation_name" in d:
        activations = np.full(num_neurons, indices[0], np.int8)
        activations[:num_visible] = LINEAR
        return activations, indices[0]
    if len(indices) != num_neurons:
        raise InputError(f"{len(indices)} activation_names for {num_neurons} neurons")
    return np.array(indices, np.int8), RELU


def _weights(value: Any) -> FloatArray:
    if not isinstance(value, list):
        raise InputError(f"weights must be a list of numbers, not {_kind(value)}")
    for i, w in enumerate(value):
        if not _is_number(w) or not abs(w) <= LARGEST:
            raise InputError(f"weight {i} is {w!r:.60}, not a finite 32-bit number")
    return np.array(value, np.float32)


def _pair(genome: Genome, mask: Any) -> list[int]:
    return genome.connections[np.argmax(mask)].tolist()
