"""The reproduction scripts: which command continues a run, and what the tables take from it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from runs import ROOT

from benchmarks.reproduction import common, digits


@pytest.mark.parametrize(("asked", "said"), [(None, "--num_generations=1024"), (7, "--num_generations=7")])
def test_a_run_that_was_begun_short_goes_on_to_what_is_asked_for(tmp_path, monkeypatch, asked, said):
    (tmp_path / "params.yaml").write_text("script: run-wann-classification\nnum_generations: 2\n")
    commands = []
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command) or done)
    common.run(digits.EXPERIMENT, 3, tmp_path, 1, asked, None)
    assert commands[0][2:] == ["--num_workers=1", f"--resume={tmp_path}", said]
    common.run(digits.EXPERIMENT, 3, tmp_path / "new", 1, None, 5.0)
    assert commands[1][3].endswith("params/wann-classification/digits.yaml")
    assert commands[1][4:] == ["--seed=3", f"--out_dir={tmp_path / 'new'}", "--max_minutes=5.0"]


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.reproduction.random_networks"])
def test_without_mnist_there_is_one_line(module, tmp_path):
    arguments = ["population"] if module == "benchmarks" else ["--to", str(tmp_path / "out")]
    command = [sys.executable, "-m", module, *arguments]
    file = tmp_path / "file"
    file.write_bytes(b"")
    done = subprocess.run(
        command, env=os.environ | {"MNIST_DIR": str(file)}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"error: mnist: {file} is not a folder\n")


def test_an_unknown_benchmark_is_one_line():
    command = [sys.executable, "-m", "benchmarks", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: there is no benchmark nothing; there are episodes, population, training, evolution\n"


def test_values_are_means_over_ten_generations_and_those_of_tests_the_last_one(monkeypatch):
    from analysis.runs import RunFolder, Series

    series = {
        "best/acc": Series(np.arange(30), np.arange(30.0)),
        "champion/test_acc": Series(np.arange(30), np.arange(30.0)),
    }
    run = RunFolder.__new__(RunFolder)
    run.__dict__["scalars"] = series
    assert common.value_at(run, "best/acc", 20) == (15.5, 20)  # of 11 to 20
    assert common.value_at(run, "champion/test_acc", 20) == (20, 20)
    assert common.value_at(run, "best/acc", None) == (24.5, 29)
    assert common.value_at(run, "nothing", None)[1] == -1
