"""Compiled code that is kept is used again, and only while everything that it is made of stays the same."""

import ast
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from networks import kernels
from networks.kernels import ROOT, SOURCES

PACKAGES = ("evolution", "networks", "envs", "learning")
# Sources import these too, but nothing of them is compiled.
NOT_COMPILED = {"evolution.errors", "evolution.files", "learning.training"}

REWARD = """
import numpy as np
from envs import rollout
_, rewards, _ = rollout.replay("CartPoleSwingUp", 3, np.full(50, 0.5))
print(rewards.sum())
kernel = rollout._replay.stats
print(sum(kernel.cache_hits.values()), sum(kernel.cache_misses.values()))
"""


def module(source):
    return source.removesuffix(".py").replace("/", ".")


def imported(source):
    """Name -> module that it is from, for what a source imports from this program at its top."""
    return {
        alias.asname or alias.name: node.module
        for node in ast.parse((ROOT / source).read_text()).body
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in PACKAGES
        for alias in node.names
    }


def test_all_files_that_kernels_are_in_are_sources():
    files = [path for package in PACKAGES for path in (ROOT / package).glob("*.py")]
    holding = {str(path.relative_to(ROOT)) for path in files if "networks.kernels import" in path.read_text()}
    assert holding
    assert holding <= set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_all_that_is_compiled_comes_from_sources(source):
    others = {name: found for name, found in imported(source).items() if f"{found.replace('.', '/')}.py" not in SOURCES}
    assert set(others.values()) <= NOT_COMPILED
    compiled = [
        value for value in vars(importlib.import_module(module(source))).values() if isinstance(value, Dispatcher)
    ]
    assert not {name for kernel in compiled for name in kernel.py_func.__code__.co_names} & set(others)


def test_kernels_of_an_environment_in_the_programs_folder_keep_their_own_stamp(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "ROOT", tmp_path.resolve())
    own, foreign = tmp_path / "envs" / "new.py", tmp_path / ".venv" / "lib" / "package" / "module.py"
    for file in (own, foreign):
        file.parent.mkdir(parents=True)
        file.write_text("")
    assert isinstance(kernels.InTree.from_function(module, str(own)), kernels.InTree)
    assert kernels.InTree.from_function(module, str(foreign)) is None


def test_an_edit_of_another_file_compiles_anew(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def reward():
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        found = subprocess.run(
            [sys.executable, "-c", REWARD], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
        total, hits_and_misses = found.stdout.splitlines()
        return float(total), hits_and_misses

    first, counts = reward()
    assert counts == "0 1"
    assert reward() == (first, "1 0")
    physics: Path = tmp_path / "envs" / "cartpole_swingup.py"
    text = physics.read_text()
    assert "POLE_MASS = 0.5\n" in text
    physics.write_text(text.replace("POLE_MASS = 0.5\n", "POLE_MASS = 0.4\n"))
    lighter, counts = reward()
    assert counts == "0 1"
    assert lighter != first
