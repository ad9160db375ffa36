"""A network that answers one observation at a time: prepared once, then a kernel call for each answer."""

import numpy as np
import numpy.typing as npt

from evolution.genome import Genome
from networks.compiled import WEIGHT, WIDTH, evaluate, flatten, new_values
from networks.jit import kernel

Array = npt.NDArray[np.float64]


class CompiledPolicy:
    """The outputs for one observation, bit for bit those of `networks.compiled.forward`."""

    def __init__(self, genome: Genome) -> None:
        self._num_connections, self._flat = genome.num_connections, flatten([genome])
        self._outputs = np.empty(genome.num_outputs)
        self._weight: object = None
        self._values = np.empty((0, 0))
        self._num_weights = 0

    def __call__(self, observation: Array, weight: float | Array) -> Array:
        """Outputs (O,) for an observation (I,), float64, with a shared weight or one for each connection (E,)."""
        flat = self._flat
        if weight is not self._weight:
            self._take(weight)
        _answer(
            self._values,
            self._num_weights,
            flat.num_inputs,
            flat.activations,
            flat.connection_start,
            flat.sources,
            observation,
            self._outputs,
        )
        return self._outputs.copy()

    def _take(self, weight: float | Array) -> None:
        """Make room for the weights, a row for each that there is, and put them there."""
        own = np.atleast_1d(np.asarray(weight, np.float64))
        if np.ndim(weight):
            if own.shape != (self._num_connections,):
                raise ValueError(f"weights of shape {own.shape}; ({self._num_connections},) is needed")
            own = own[self._flat.connections]
        self._num_weights = len(own)
        self._values = new_values(len(own), self._flat.num_inputs + len(self._flat.neurons))
        self._values[WEIGHT : WEIGHT + len(own)] = own[:, None]
        self._weight = weight


@kernel
def _answer(values, num_weights, num_inputs, activations, connection_start, sources, observation, outputs):
    first = WEIGHT + num_weights
    for i in range(len(observation)):
        values[first + i, 0] = observation[i]
    evaluate(values, num_weights, num_inputs, activations, connection_start, sources, 0, len(activations), WIDTH)
    last = first + num_inputs + len(activations) - len(outputs)
    for o in range(len(outputs)):
        outputs[o] = values[last + o, 0]
