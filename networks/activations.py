"""The activation functions: each once, with all that computes it side by side.

A neuron's value is f(x), x the weighted sum of its sources (`docs/method.md`, Activations). The order of the entries is
the order of `evolution.genome.ACTIVATION_NAMES`: a genome holds indices into it. `register` adds an entry from outside.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from evolution.genome import ACTIVATION_NAMES
from evolution.outside import added_by
from networks import jit
from networks.functions import exp, sine_cosine, tanh

Array = npt.NDArray[np.floating]

MOST = 127  # a genome holds an activation's index in 8 bits
HALF_TURNS = 1e12  # up to which `sine_cosine` reduces its argument well
PI, F = np.float32(math.pi), np.float32


@dataclass(frozen=True)
class Activation:
    """A function f of one number in four languages, which agree within rounding.

    `numpy` takes and gives an array of float32 or float64, `torch` a tensor, whose derivative autograd takes.

    `kernel` is what weight agnostic networks compute, of a float64: a Python function that numba compiles. It is
    applied to whole rows, and becomes vector code where it has neither branches nor calls of the mathematical library
    (`networks.functions` has substitutes). Where it holds only for |x| up to a `limit`, `beyond` takes over.

    `kernel_with_slope` is what learning computes, in 32 bits: (f(x), f'(x)) of a float32.
    """

    name: str
    numpy: Callable[[Array], Array]
    torch: Callable[[Any], Any]
    kernel: Any
    kernel_with_slope: Any
    limit: float | None = None
    beyond: Any = None

    def __post_init__(self) -> None:
        for field in ("kernel", "kernel_with_slope", "beyond"):
            function = getattr(self, field)
            if inspect.isfunction(function):
                object.__setattr__(self, field, jit.kernel(function))

    @property
    def file(self) -> str:
        """The file that the kernel is written in."""
        return inspect.getfile(self.kernel.py_func)


def _gaussian_with_slope(x):
    y = math.exp(-x * x / F(2))
    return y, -x * y


def _tanh_with_slope(x):
    y = math.tanh(x)
    return y, F(1) - y * y


def _sigmoid_with_slope(x):
    y = math.tanh(x / F(2))
    return (y + F(1)) / F(2), (F(1) - y * y) / F(4)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation(
            "linear",
            numpy=lambda x: x,
            torch=lambda x: x,
            kernel=lambda x: x,
            kernel_with_slope=lambda x: (x, F(1)),
        ),
        Activation(
            "step",
            numpy=lambda x: (x > 0).astype(x.dtype),
            torch=lambda x: x.sign().relu(),  # like this it has a gradient: 0
            kernel=lambda x: 1.0 if x > 0 else 0.0,
            kernel_with_slope=lambda x: (F(1) if x > F(0) else F(0), F(0)),
        ),
        Activation(
            "sine",
            numpy=lambda x: np.sin(x.dtype.type(np.pi) * x),
            torch=lambda x: (math.pi * x).sin(),
            kernel=lambda x: sine_cosine(math.pi * x)[0],
            kernel_with_slope=lambda x: (math.sin(PI * x), PI * math.cos(PI * x)),
            limit=HALF_TURNS,
            beyond=lambda x: math.sin(math.pi * x),
        ),
        Activation(
            "cosine",
            numpy=lambda x: np.cos(x.dtype.type(np.pi) * x),
            torch=lambda x: (math.pi * x).cos(),
            kernel=lambda x: sine_cosine(math.pi * x)[1],
            kernel_with_slope=lambda x: (math.cos(PI * x), -PI * math.sin(PI * x)),
            limit=HALF_TURNS,
            beyond=lambda x: math.cos(math.pi * x),
        ),
        Activation(
            "gaussian",
            numpy=lambda x: np.exp(-x * x / 2),
            torch=lambda x: (-x * x / 2).exp(),
            kernel=lambda x: exp(-x * x / 2),
            kernel_with_slope=_gaussian_with_slope,
        ),
        Activation(
            "tanh",
            numpy=np.tanh,
            torch=lambda x: x.tanh(),
            kernel=lambda x: tanh(x),
            kernel_with_slope=_tanh_with_slope,
        ),
        Activation(
            "sigmoid",
            numpy=lambda x: (np.tanh(x / 2) + 1) / 2,
            torch=lambda x: ((x / 2).tanh() + 1) / 2,
            kernel=lambda x: (tanh(x / 2) + 1) / 2,
            kernel_with_slope=_sigmoid_with_slope,
        ),
        Activation(
            "inverse",
            numpy=np.negative,
            torch=lambda x: -x,
            kernel=lambda x: -x,
            kernel_with_slope=lambda x: (-x, F(-1)),
        ),
        Activation(
            "abs",
            numpy=np.abs,
            torch=lambda x: x.abs(),
            kernel=lambda x: abs(x),
            kernel_with_slope=lambda x: (abs(x), np.sign(x)),
        ),
        Activation(
            "relu",
            numpy=lambda x: np.maximum(x, 0),
            torch=lambda x: x.relu(),
            kernel=lambda x: 0.0 if x < 0 else x,  # NaN stays
            kernel_with_slope=lambda x: (F(0) if x < F(0) else x, F(1) if x > F(0) else F(0)),
        ),
    )
}
assert list(ACTIVATIONS) == ACTIVATION_NAMES


def register(activation: Activation) -> None:
    """Add an activation: from now on evolution draws it, files may name it, and all that computes knows it.

    Called at the top of a module that is imported before a run begins; worker processes import that module too. Raises
    ValueError for a name that is taken, RuntimeError where networks were computed already.
    """
    if activation.name in ACTIVATIONS:
        raise ValueError(f"there is an activation {activation.name!r} already")
    if len(ACTIVATIONS) == MOST:
        raise ValueError(f"at most {MOST} activations")
    if _compiled:
        raise RuntimeError(f"activation {activation.name!r} comes too late: kernels were compiled without it")
    added_by(activation.kernel.py_func.__module__)
    jit.made_of(f"activation {len(ACTIVATIONS)} {activation.name}", activation.file)
    ACTIVATIONS[activation.name] = activation
    ACTIVATION_NAMES.append(activation.name)


_compiled: list[bool] = []


def registered() -> list[Activation]:
    """All activations in the order of their indices, for a kernel that compiles them in; none can be added then."""
    _compiled.append(True)
    return list(ACTIVATIONS.values())


def value_and_slope(activation, x):
    """(f(x), f'(x)) in 32 bits of the activation with this index; for kernels only."""
    raise NotImplementedError


@overload(value_and_slope)
def _value_and_slope(activation, x):
    """With a branch for each activation: numba has no loop over functions."""
    functions: dict[str, Any] = {"F": F}
    source = "def value_and_slope(activation, x):\n"
    for code, known in enumerate(registered()):
        source += f"    if activation == {code}:\n        return f{code}(x)\n"
        functions[f"f{code}"] = known.kernel_with_slope
    exec(source + "    return x, F(1)\n", functions)
    return functions["value_and_slope"]
