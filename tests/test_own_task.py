"""What is added from outside, without a change of the project: a task, a script, a mutation, an objective."""

import json
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
import yaml
from runs import ENVIRONMENT, ROOT, files

from evolution.genome import Genome
from evolution.loop import EvolutionSettings, generations

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/own-task.md").read_text(encoding="utf-8"), re.DOTALL)
XOR, LOOP, SCRIPT, ADDITIONS = BLOCKS


def start(folder, *arguments):
    """A Python program in the folder, which finds the modules there and the project."""
    paths = ENVIRONMENT | {"PYTHONPATH": f"{folder}:{ENVIRONMENT['PYTHONPATH']}"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "xor.py").write_text(XOR)
    (tmp_path / "run-wann-xor.py").write_text(SCRIPT)
    (tmp_path / "additions.py").write_text(ADDITIONS)
    (tmp_path / "xor.yaml").write_text("population_size: 20\ntournament_size: 4\nnum_generations: 6\nseed: 1\n")
    return tmp_path


def test_a_task_of_ones_own_evolves_without_a_folder(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    exec(LOOP, {})
    values = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert values == sorted(values)
    assert values[-1] > values[0]
    assert {path.name for path in folder.iterdir() if path.suffix} == {
        "xor.py",
        "run-wann-xor.py",
        "additions.py",
        "xor.yaml",
    }


def test_the_example_is_short():
    assert sum(bool(line.strip()) for line in (XOR + LOOP).splitlines()) <= 24


def test_an_observer_can_stop_and_another_call_goes_on(folder, monkeypatch):
    task = runpy.run_path(str(folder / "xor.py"))["Xor"]()
    settings = EvolutionSettings(num_generations=6)
    whole = list(generations(task, settings))
    begun = next(generations(task, settings))
    assert list(generations(task, settings, begun))[-1].population == whole[-1].population


def test_a_script_of_ones_own_records_and_goes_on(folder):
    done = start(folder, "run-wann-xor.py", "xor.yaml", "--noise=0.5", "--out_dir=whole")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((folder / "whole/params.yaml").read_text())["noise"] == 0.5
    assert (
        start(folder, "run-wann-xor.py", "xor.yaml", "--num_generations=3", "--noise=0.5", "--out_dir=part").stderr
        == ""
    )
    resumed = start(folder, "run-wann-xor.py", "--resume=part", "--num_generations=6")
    assert resumed.returncode == 0, resumed.stderr
    assert files(folder / "part") == files(folder / "whole")
    refused = start(folder, "run-wann-xor.py", "xor.yaml", "--noise=-1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "noise is -1.0; it must be a number, at least 0" in refused.stderr
    assert "--noise X" in start(folder, "run-wann-xor.py", "--help").stdout


def test_a_mutation_and_an_objective_from_outside_run_through_a_script(folder):
    script = str(ROOT / "run-wann-classification.py")
    (folder / "mine.py").write_text(f"import runpy, additions\nrunpy.run_path({script!r}, run_name='__main__')\n")
    file = ROOT / "params/wann-classification/digits.yaml"
    given = {"population_size": 16, "tournament_size": 3, "num_generations": 4, "batch_size": 50, "seed": 1}
    given |= {"test_every": 10, "p_initial_connection_enabled": 0.2}
    arguments = ["mine.py", file, *(f"--{name}={value}" for name, value in given.items())]
    only = ["--p_add_node=0", "--p_add_connection=0", "--p_change_activation=0", "--p_remove_connection=1"]
    done = start(folder, *arguments, *only, "--elite_ratio=0", "--p_shallow_objective=1", "--out_dir=run")
    assert done.returncode == 0, done.stderr
    means = [float(m) for m in re.findall(r"connections ([\d.]+) \+-", done.stdout)]
    assert len(means) == 4
    assert means[0] > max(means[1:])  # nothing but removals
    assert json.loads((folder / "run/champion_network.json").read_text())["num_neurons"] == 74
    assert yaml.safe_load((folder / "run/params.yaml").read_text())["p_shallow_objective"] == 1.0
    unknown = start(folder, *arguments, "--p_remove_connection=0.5")
    assert "p_remove_connection 0.5 sum to 1.5" in unknown.stderr


def test_objectives_join_with_their_probabilities():
    from evolution.objectives import draw_values
    from evolution.task import Fitness

    population = [Genome.initial(2, 1, 1.0, np.random.default_rng(0)) for _ in range(3)]
    reward = np.arange(3.0)
    fitness = Fitness({"a": reward, "b": reward * 2}, ("a", "b"))
    for probability, second in ((1.0, [0.5, 0.5, 0.5]), (0.0, [0, 2, 4])):
        values = draw_values(population, fitness, {"p_complexity_objective": probability}, np.random.default_rng(0))
        np.testing.assert_array_equal(values, np.column_stack([reward, second]))
