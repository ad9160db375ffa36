"""The ten activation functions, once, in the order of `evolution.genome.ACTIVATION_NAMES`, for numpy arrays."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from evolution.genome import ACTIVATION_NAMES

Array = npt.NDArray[np.floating]

NUMPY: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "step": lambda x: (x > 0).astype(x.dtype),
    "sine": lambda x: np.sin(x.dtype.type(np.pi) * x),
    "cosine": lambda x: np.cos(x.dtype.type(np.pi) * x),
    "gaussian": lambda x: np.exp(-x * x / 2),
    "tanh": np.tanh,
    "sigmoid": lambda x: (np.tanh(x / 2) + 1) / 2,
    "inverse": np.negative,
    "abs": np.abs,
    "relu": lambda x: np.maximum(x, 0),
}
assert tuple(NUMPY) == ACTIVATION_NAMES
