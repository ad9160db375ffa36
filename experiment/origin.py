"""Where a run comes from: the code and the packages that compute, as its files name them."""

import contextlib
import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from experiment.parameters import Params

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "plausible-neuroevolution"
COMPUTING = ("numpy", "numba", "torch", "gymnasium", "box2d", "scikit-learn", "opencv-python-headless")
PREPARING = ("scikit-learn", "opencv-python-headless")  # those that images come from


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in COMPUTING:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@functools.cache
def code() -> str:
    """The program itself: its git commit and whether files were changed since, or its installed version."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        commit = _git("rev-parse", "HEAD").strip()
        if Path(_git("rev-parse", "--show-toplevel").strip()) == ROOT:
            changed = _git("status", "--porcelain", "--untracked-files=no").strip()
            return f"commit {commit}" + (", with changes" if changed else "")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"version {importlib.metadata.version(PACKAGE)}"
    return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def provenance(params: Params) -> dict[str, Any]:
    """What a saved network says of its origin: nothing that differs between two runs with the same seed."""
    task = {name: getattr(params, name) for name in ("env_name", "dataset", "learning_rule") if hasattr(params, name)}
    return {"script": params.script, "seed": params.seed, **task, "code": code(), "versions": versions()}
