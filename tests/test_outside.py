"""An activation and a data set that are added from outside, without an edit of the program, run through its scripts."""

import json

import pytest
import runs
from genomes import evolved
from runs import ROOT

MODULE = '''
import math
from pathlib import Path

import numpy as np

from envs.datasets import DATASETS, Source
from envs.datasets.source import Arrays, Raw
from networks.activations import Activation, F, register
from networks.functions import tanh


def with_slope(x):
    half = (math.tanh(x / F(2)) + F(1)) / F(2)
    return x * half, half + x * half * (F(1) - half)


register(
    Activation(
        "swish",
        numpy=lambda x: x * (np.tanh(x / 2) + 1) / 2,
        torch=lambda x: x * x.sigmoid(),
        kernel=lambda x: x * (tanh(x / 2) + 1) / 2,
        kernel_with_slope=with_slope,
    )
)


def read():
    """Bars of three lengths in noise, 6x6 pixels."""
    rng = np.random.default_rng(0)
    labels = np.arange(180) % 3
    images = rng.random((180, 6, 6)) * 0.2
    for image, label in zip(images, labels):
        image[3, : 2 + 2 * label] = 1
    return Arrays(images[:120], labels[:120], images[120:], labels[120:])


DATASETS["bars"] = Source(lambda data_dir: Raw(read, key="bars"), image_size=6)
'''

LAUNCH = """
import runpy
import sys

import mine

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

KERNEL = """
from networks.twins import check_networks

check_networks()  # the kernels have it too, and it does what its numpy says

import numpy as np
import torch
from evolution.genome import ACTIVATION_NAMES
from networks.activations import ACTIVATIONS, value_and_slope
from networks.jit import kernel

SWISH = ACTIVATION_NAMES.index("swish")

@kernel
def compiled(x, values, slopes):
    for i in range(len(x)):
        values[i], slopes[i] = value_and_slope(SWISH, x[i])

x = np.linspace(-4, 4, 50, dtype=np.float32)
values, slopes = np.empty_like(x), np.empty_like(x)
compiled(x, values, slopes)
tensor = torch.tensor(x, requires_grad=True)
result = ACTIVATIONS["swish"].torch(tensor)
result.sum().backward()
np.testing.assert_allclose(values, result.detach(), atol=1e-6)
np.testing.assert_allclose(slopes, tensor.grad, atol=1e-6)
"""


def run(*arguments, variables):
    """With patience: kernels are compiled on a machine that may be busy."""
    return runs.finish(runs.start(*arguments, variables=variables), 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    for name, text in (("mine.py", MODULE), ("launch.py", LAUNCH), ("learn.py", LAUNCH + KERNEL)):
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def variables(folder):
    """Kernels with the new activation compiled in are kept apart; how fast they are does not matter."""
    return {
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "NUMBA_OPT": "0",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }


def test_networks_evolve_with_an_activation_and_a_data_set_from_outside(folder, variables):
    """By the reference in worker processes, which import the module too."""
    parameters = {
        "dataset": "bars",
        "num_generations": 4,
        "population_size": 20,
        "tournament_size": 4,
        "p_initial_connection_enabled": 0.5,
        "p_add_node": 1,
        "p_add_connection": 0,
        "p_change_activation": 0,
        "num_mutations_per_generation": 3,
        "evaluator": "reference",
        "num_workers": 2,
        "seed": 5,
    }
    (folder / "parameters.yaml").write_text("".join(f"{name}: {value}\n" for name, value in parameters.items()))
    script, out = ROOT / "run-wann-classification.py", folder / "evolved"
    status, _, err = run(
        folder / "launch.py", script, folder / "parameters.yaml", "--out_dir", out, variables=variables
    )
    assert status == 0, err
    assert "swish" in json.loads((out / "champion_network.json").read_text())["activation_names"]
    assert "image_size: 6" in (out / "params.yaml").read_text()


def test_a_network_learns_with_an_activation_from_outside(folder, variables):
    """A saved one, by the script; then the kernel's value and derivative against torch."""
    genome = evolved(0, 36, 3, 0.5, 5, with_weights=True)
    network = folder / "network.json"
    network.write_text(json.dumps(genome.to_dict() | {"activation_name": "swish"}))
    (folder / "parameters.yaml").write_text("dataset: bars\nnum_epochs: 2\nbatch_size: 30\n")
    status, _, err = run(
        folder / "learn.py",
        ROOT / "run-wlnn-mnist-no-evolution.py",
        *(folder / "parameters.yaml", "--network", network, "--keep_weights", "--out_dir", folder / "learned"),
        variables=variables,
    )
    assert status == 0, err
    trained = json.loads((folder / "learned" / "trained_network.json").read_text())
    assert trained["activation_name"] == "swish"
    assert trained["weights"] != json.loads(network.read_text())["weights"]


def test_the_program_itself_knows_neither(folder, variables):
    (folder / "parameters.yaml").write_text("dataset: bars\n")
    status, _, err = run(ROOT / "run-wann-classification.py", folder / "parameters.yaml", variables=variables)
    assert status == 2
    assert "dataset is 'bars'; it must be one of digits, mnist" in err
