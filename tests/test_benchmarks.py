"""`python -m benchmarks`: what is missing or unknown is one line."""

import argparse
import os
import subprocess
import sys

import numpy as np
import pytest
from genomes import evolved
from runs import ROOT

from analysis.rewiring import fresh
from analysis.runs import RunFolder
from benchmarks import architectures, constants, retrain
from envs import datasets
from evolution.errors import InputError
from networks import reference


def test_without_mnist_there_is_one_line(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "population"]
    file = tmp_path / "file"
    file.write_bytes(b"")
    done = subprocess.run(
        command, env=os.environ | {"MNIST_DIR": str(file)}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"error: MNIST: {file} is not a folder\n")


def test_an_unknown_benchmark_is_one_line():
    command = [sys.executable, "-m", "benchmarks", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    there_are = "episodes, walker, population, training, evolution"
    assert done.stderr == f"error: there is no benchmark nothing; there are {there_are}\n"


def test_a_constant_is_chosen_without_the_test_images(capsys, monkeypatch, tmp_path):
    """Images whose class is the place of a bright pixel; those held out and those of the test have it elsewhere."""
    images = np.eye(4, dtype=np.uint8).reshape(4, 2, 2)[np.arange(600) % 4] * 255
    labels = np.arange(600) % 4
    held_out = np.arange(600) >= 500
    wrong = (labels + 1) % 4
    for name, truth in (("right", labels), ("wrong", np.where(held_out, wrong, labels))):
        np.savez(
            tmp_path / f"{name}.npz", train_images=images, train_labels=truth, test_images=images, test_labels=wrong
        )
    found = {}
    for name in ("right", "wrong"):
        given = ["backprop", "--dataset", "file", "--data_dir", str(tmp_path / f"{name}.npz"), "--num_epochs", "3"]
        monkeypatch.setattr(sys, "argv", ["constants", *given, "--grid", "lr=0.00001,0.01", "batch_size=50"])
        constants.main()
        header, _, small, large = capsys.readouterr().out.splitlines()
        assert header == "| lr | batch_size | dense 500 | 3 of 800 | the three |"
        assert small.startswith("| 1e-05 | 50 | ")
        found[name] = float(large.split(" | ")[2])
    assert found == {"right": 1.0, "wrong": 0.0}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("scale=1", "--grid scale=1: 'scale' is no parameter of training"),
        ("lr=1,x", "--grid: lr is 'x'; it must be a number, above 0, at most 1000000"),
        ("lr", "--grid: lr is ''; it must be a number, above 0, at most 1000000"),
    ],
)
def test_what_is_no_constant_is_one_line(grid, message):
    with pytest.raises(InputError) as error:
        constants.constant(grid)
    assert str(error.value) == message


def test_the_table_of_architectures_takes_a_run_anew():
    old = [
        {"rule": rule, "seed": "0", "generation": str(g), "acc": "old"}
        for rule in ("hebbian", "backprop")
        for g in (0, 20)
    ]
    new = [{"rule": "hebbian", "seed": "0", "generation": str(g), "acc": "new"} for g in (100, 20, 0)]
    other = [{"rule": "hebbian", "seed": "1", "generation": "0", "acc": "new"}]
    found = [tuple(row.values()) for row in architectures.merged(old, new + other)]
    assert found == [
        ("backprop", "0", "0", "old"),
        ("backprop", "0", "20", "old"),
        ("hebbian", "0", "0", "new"),
        ("hebbian", "0", "20", "new"),
        ("hebbian", "0", "100", "new"),
        ("hebbian", "1", "0", "new"),
    ]


@pytest.mark.parametrize(
    "params",
    [
        "script: run-wann-classification\ndataset: mnist\n",
        "script: run-wlnn-mnist\ndataset: digits\nlearning_rule: backprop\n",
        "script: run-wlnn-mnist\ndataset: mnist\nlearning_rule: pepita\n",
    ],
)
def test_the_table_of_architectures_refuses_other_runs(params, tmp_path):
    (tmp_path / "params.yaml").write_text(params)
    with pytest.raises(InputError, match=r"not a run of run-wlnn-mnist\.py on mnist with backprop, "):
        architectures.rows_of(RunFolder(tmp_path))


def test_an_architecture_learns_from_other_weights(capsys, monkeypatch, tmp_path):
    data = datasets.load("digits")
    monkeypatch.setattr(datasets, "load", lambda *_: data)
    genome = evolved(0, 64, 10, 0.5, 20, with_weights=True)
    genome.save(tmp_path / "n.json")
    copies = [fresh(genome, rng) for rng in np.random.default_rng(3).spawn(2)]
    values = [reference.neuron_values(copy, data.test_images, copy.weights)[:, 64:74] for copy in copies]
    before = [outputs.argmax(axis=1) == data.test_labels for outputs in values]
    command = ["retrain", "backprop", str(tmp_path / "n.json"), "--draws=2", "--seed=3", "--num_epochs=6", "--lr"]
    monkeypatch.setattr(sys, "argv", [*command, "0.000001", "0.01"])
    retrain.main()
    head, _, slow, fast = capsys.readouterr().out.splitlines()
    assert head == "| rule | learning rate | epoch 1 | epoch 5 |"
    untrained = f"{np.mean(before):.3f} +- {np.std(np.mean(before, axis=1), ddof=1):.3f}"
    assert slow == f"| Backpropagation | 1e-06 | {untrained} | {untrained} |"
    assert float(fast.split(" | ")[3].split()[0]) > 0.6
    with pytest.raises(argparse.ArgumentTypeError):
        retrain.draws("1")
    for wrong in ("-1", "0", "nan", "x"):
        monkeypatch.setattr(sys, "argv", [*command, wrong])
        with pytest.raises(InputError, match=r"^--lr: lr is .*; it must be a number, above 0"):
            retrain.main()
