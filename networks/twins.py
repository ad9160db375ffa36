"""Whether a kernel still computes what its readable reference does, seen when a run begins.

The reference is what one reads and edits, the kernel is what runs. An edit of one alone would be silently ignored, or
silently in force. So each task, when it is built, puts a tiny example through both.
"""

import functools
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evolution.errors import RunError
from evolution.genome import LINEAR, Genome
from networks import compiled, reference
from networks.activations import registered
from networks.jit import ROOT

WEIGHTS = (-1.5, 0.75)


def agree(
    what: str,
    kernel: Any,
    reference: Any,
    kernel_values: npt.ArrayLike,
    reference_values: npt.ArrayLike,
    tolerance: float = 1e-9,
) -> None:
    """Raises RunError, with a line that names both files, where the two results differ.

    `what` is computed, for a reader ("the reward of CartPoleSwingUp"). `kernel` and `reference` are the functions,
    classes or modules that computed it, or the paths of their files. Values agree where they differ by at most
    `tolerance * (1 + |reference|)`; NaN agrees with NaN, infinity with itself.
    """
    found, expected = np.asarray(kernel_values, np.float64), np.asarray(reference_values, np.float64)
    if found.shape == expected.shape:
        wrong = ~np.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        if not wrong.any():
            return
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        difference = f"{found[first]:.9g} and {expected[first]:.9g}"
        if first:
            difference += f" at {list(first)}"
    else:
        difference = f"shapes {found.shape} and {expected.shape}"
    raise RunError(
        f"{what}: the kernel in {file_of(kernel)} and its reference in {file_of(reference)} no longer compute the "
        f"same ({difference}); an edit of one needs the same edit of the other"
    )


def file_of(what: Any) -> str:
    """The path of the file that defines a function, kernel, class or module, from the program's folder on."""
    path = Path(what if isinstance(what, (str, Path)) else inspect.getfile(getattr(what, "py_func", what))).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


# ---- weight agnostic networks -------------------------------------------------------------------------------------


@functools.cache
def check_networks() -> None:
    """Whether `networks.compiled` computes what `networks.reference` does; once in a process.

    First every activation alone, then a network that has them all. Raises RunError.
    """
    known = registered()
    sums = np.linspace(-3, 3, 31)[:, None]
    sums = np.concatenate([sums, [[activation.limit * 2] for activation in known if activation.limit is not None]])
    found = compiled.forward(_side_by_side(len(known)), sums, [1.0])[0]
    for k, activation in enumerate(known):
        expected = activation.numpy(sums[:, 0])
        written = activation.numpy if inspect.isfunction(activation.numpy) else activation.file
        agree(f"the activation {activation.name}", activation.kernel, written, found[:, k], expected)
    genome, inputs = example()
    agree(
        "the outputs of a network",
        compiled,
        reference,
        compiled.forward(genome, inputs, WEIGHTS),
        [reference.forward(genome, inputs, weight) for weight in WEIGHTS],
    )


def example() -> tuple[Genome, npt.NDArray[np.float64]]:
    """A network of four inputs, the last a bias, and two outputs that has every activation; and eight inputs (8, 3)."""
    rng = np.random.default_rng(0)
    num_hidden = len(registered())
    layers = np.array([0] * 4 + [4] * 2 + [1 + 3 * k // num_hidden for k in range(num_hidden)], np.int32)
    connected = (rng.random((len(layers), len(layers))) < 0.4) | (np.arange(len(layers)) == 4)
    sources, targets = np.nonzero((layers[:, None] < layers) & connected)
    genome = Genome(
        4,
        2,
        layers,
        np.array([LINEAR] * 6 + [*rng.permutation(num_hidden)], np.int8),
        np.column_stack([sources, targets]).astype(np.int32),
        use_bias=True,
    )
    return genome, rng.normal(size=(8, 3))


def _side_by_side(count: int) -> Genome:
    """A network of one input, whose output k is the activation k of it."""
    hidden = np.arange(1 + count, 1 + 2 * count)
    pairs = [*((0, h) for h in hidden), *zip(hidden, range(1, 1 + count), strict=True)]
    return Genome(
        1,
        count,
        np.repeat(np.array([0, 2, 1], np.int32), [1, count, count]),
        np.array([LINEAR] * (1 + count) + [*range(count)], np.int8),
        np.array(pairs, np.int32),
    )
