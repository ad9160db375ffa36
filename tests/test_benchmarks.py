"""`python -m benchmarks`: what is missing or unknown is one line."""

import os
import subprocess
import sys

from runs import ROOT


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
