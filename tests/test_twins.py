"""A kernel and its reference that part are seen, and the line names both files."""

import dataclasses
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from envs import classification_task
from envs.classification_task import check_losses
from evolution.errors import RunError
from networks import population, reference
from networks.activations import ACTIVATIONS
from networks.jit import ROOT
from networks.population import share
from networks.twins import agree, check_networks, example


def test_equal_values_pass_and_nan_agrees_with_nan():
    values = np.array([[1.0, np.nan, np.inf, -np.inf], [1e300, 0.0, -3.0, 1e-300]])
    agree("outputs", population, reference, values, values.copy())
    agree("outputs", population, reference, values + 1e-12, values)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.00001, -1.0])
def test_a_value_that_differs_ends_the_run_with_a_line_that_names_both_files(wrong):
    values = np.ones((2, 3))
    values[1, 2] = wrong
    with pytest.raises(RunError) as error:
        agree("outputs of a network", population, reference.forward, values, np.ones((2, 3)))
    (line,) = str(error.value).splitlines()
    assert line.startswith("outputs of a network: ")
    assert "networks/population.py" in line
    assert "networks/reference.py" in line
    assert f"({wrong:.9g} and 1 at [1, 2])" in line


def test_another_shape_differs():
    with pytest.raises(RunError, match=r"shapes \(2,\) and \(3,\)"):
        agree("outputs", "a.py", "b.py", [1, 1], [1, 1, 1])


def test_the_tolerance_is_relative_for_large_values():
    agree("outputs", "a.py", "b.py", [1e6 + 1], [1e6], tolerance=1e-5)
    with pytest.raises(RunError):
        agree("outputs", "a.py", "b.py", [1e6 + 100], [1e6], tolerance=1e-5)


# ---- networks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unchecked():
    """Checks run once in a process; here each test has its own."""
    for check in (check_losses, check_networks):
        check.cache_clear()
    yield
    for check in (check_losses, check_networks):
        check.cache_clear()


def test_kernels_and_references_of_networks_agree_quickly(unchecked):
    check_losses()
    for check in (check_losses, check_networks):
        check.cache_clear()
    start = time.process_time()
    check_losses()
    assert time.process_time() - start < 0.1


def test_the_example_has_every_activation_on_paths_to_the_outputs():
    genome, inputs = example()
    genome.check()
    assert set(genome.activations[6:]) == set(range(len(ACTIVATIONS)))
    assert inputs.shape == (8, genome.num_observed)
    assert share([genome]).num_neurons == genome.num_neurons - genome.num_inputs


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_edited_activation_is_seen_and_named(name, unchecked, monkeypatch):
    known = ACTIVATIONS[name]
    edited = dataclasses.replace(known, numpy=lambda x: known.numpy(x) * 1.001 + 0.001)
    monkeypatch.setitem(ACTIVATIONS, name, edited)
    with pytest.raises(RunError, match=f"^the activation {name}: .*networks/activations.py.*tests/test_twins.py"):
        check_networks()


def test_an_edited_reference_is_seen(unchecked, monkeypatch):
    true = reference.forward
    monkeypatch.setattr(reference, "forward", lambda genome, inputs, weight: true(genome, inputs, -weight))
    with pytest.raises(RunError, match=r"networks/compiled.py.*networks/reference.py"):
        check_networks()


def test_an_edited_cross_entropy_is_seen(unchecked, monkeypatch):
    true = classification_task._sums
    monkeypatch.setattr(classification_task, "_sums", lambda logits, labels: true(2 * logits, labels))
    with pytest.raises(RunError, match=r"networks/population.py.*envs/classification_task.py"):
        check_losses()


def test_a_run_with_an_edited_kernel_ends_with_the_line(tmp_path):
    """In a copy of the program, through its script."""
    for path in ROOT.iterdir():
        if path.name in ("run-wann-classification.py", "utils.py"):
            shutil.copy(path, tmp_path)
        elif (path / "__init__.py").exists() or path.name == "params":
            shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    kernels = tmp_path / "networks" / "functions.py"
    text = kernels.read_text()
    assert text.count("return math.copysign(e / (e + 2), x)") == 1
    kernels.write_text(text.replace("e / (e + 2)", "e / (e + 2.5)"))
    found = subprocess.run(
        [sys.executable, "run-wann-classification.py", "params/wann-classification/digits.yaml", "--out_dir", "run"],
        cwd=tmp_path,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_OPT": "0"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    (line,) = [line for line in found.stderr.splitlines() if "no longer compute the same" in line]
    assert "the activation tanh: " in line
    assert line.count("networks/activations.py") == 2
