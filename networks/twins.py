"""Whether a kernel still computes what its readable reference does, seen when a run begins.

The reference is what one reads and edits, the kernel is what runs. An edit of one alone would be silently ignored, or
silently in force. So each task, when it is built, puts a tiny example through both.
"""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evolution.errors import RunError
from networks.jit import ROOT


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
