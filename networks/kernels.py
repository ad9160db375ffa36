"""The decorators of all numba kernels, and how long their compiled code is good.

numba keeps compiled code beside a kernel's file and takes it for good while that file stays as it is. But kernels have
functions and constants of other files compiled into them: an edited activation, or the mass of a pole, would change
nothing. Here compiled code is good while none of the files changes that any kernel is made of.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator
from numba.extending import intrinsic

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (  # what any kernel is made of
    "evolution/genome.py",
    "networks/kernels.py",
    "networks/compiled.py",
    "networks/population.py",
    "envs/cartpole_swingup.py",
    "envs/rollout.py",
    "learning/vectors.py",
    "learning/compiled.py",
)


@functools.cache
def _stamp() -> bytes:
    """The SHA-256 of all sources together, as they are when this process starts."""
    return hashlib.sha256(b"\0".join((ROOT / source).read_bytes() for source in SOURCES)).digest()


class _OfAllSources:
    """Tells numba's cache by what to know the code of this program's kernels again."""

    def get_source_stamp(self) -> bytes:
        return _stamp() + super().get_source_stamp()  # type: ignore[misc]

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """None, which leaves the function to the next class, where it is not of this program."""
        is_ours = Path(file).resolve().parent.parent == ROOT  # in one of its packages, and not of an environment there
        return super().from_function(function, file) if is_ours else None  # type: ignore[misc]


class UserProvided(_OfAllSources, UserProvidedCacheLocator):
    """The folder that the environment variable NUMBA_CACHE_DIR names."""


class InTree(_OfAllSources, InTreeCacheLocator):
    """`__pycache__` beside the kernel's file."""


class UserWide(_OfAllSources, UserWideCacheLocator):
    """The user's own cache, where this program's folder cannot be written."""


numba.config.CACHE_LOCATOR_CLASSES = ",".join(  # type: ignore[attr-defined]
    [f"{__name__}.{locator.__name__}" for locator in (UserProvided, InTree, UserWide)]
    + [f"{kind}CacheLocator" for kind in ("UserProvided", "InTree", "UserWide", "IPython", "Zip")]  # numba's own
)

# With numpy's error model a division by zero gives infinity or NaN, and no check stops vectorisation.
kernel: Any = numba.njit(nogil=True, cache=True, error_model="numpy")
inlined: Any = numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
operation: Any = intrinsic  # an instruction by its LLVM name; mypy would see the function that builds it
