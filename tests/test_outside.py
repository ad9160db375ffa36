"""What is added from outside, without an edit of the program, runs through its scripts: an activation and a data set,
a learning rule and an environment with their kernels.
"""

import json
import re
import sys

import pytest
import runs
from genomes import evolved
from runs import ROOT

from evolution import outside
from evolution.errors import InputError

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


# ---- by `module:name` alone, from a module in the current folder --------------------------------------------------


def code_of(page: str) -> str:
    """The first Python block of a guide."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)[0]


def evolve(folder, script, **parameters):
    """The log of a run in that folder, which ended well. It shares the project's compiled code."""
    (folder / "parameters.yaml").write_text("".join(f"{name}: {value}\n" for name, value in parameters.items()))
    given = ("--population_size=8", "--tournament_size=3", "--num_generations=2", "--seed=1", "--out_dir=by_name")
    process = runs.start(ROOT / script, "parameters.yaml", *given, "--overwrite_output", cwd=folder)
    status, log, err = runs.finish(process, 300)
    assert status == 0, err
    return log


def test_a_learning_rule_from_outside_runs_by_its_name(folder):
    (folder / "own_rule.py").write_text(code_of("adding-a-learning-rule.md"))
    rule = "own_rule:DirectFeedbackAlignment"
    log = evolve(folder, "run-wlnn-mnist.py", dataset="digits", num_epochs=1, learning_rule=rule)
    assert "evaluation: compiled kernels on the CPU" in log
    assert f"learning_rule: {rule}" in (folder / "by_name/params.yaml").read_text()


def test_a_compiled_environment_from_outside_runs_by_its_id(folder):
    """A worker process looks at it first; then its module registers the kernel in the run's process too."""
    (folder / "hover.py").write_text(code_of("adding-an-environment.md"))
    assert "evaluation: compiled episodes" in evolve(folder, "run-wann-gym.py", env_name="hover:Hover-v0")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def broken(:\n", r"SyntaxError: invalid syntax \(own_faulty.py, line 1\)"),
        ("", "has no attribute 'Name'"),
    ],
)
def test_a_module_from_outside_that_fails_is_one_line(text, reason, tmp_path, monkeypatch):
    (tmp_path / "own_faulty.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_faulty", raising=False)
    with pytest.raises(InputError, match=f"^learning_rule own_faulty:Name: cannot be imported \\(.*{reason}") as caught:
        outside.named("own_faulty:Name", "learning_rule own_faulty:Name")
    assert "\n" not in str(caught.value)
