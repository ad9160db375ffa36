"""Every script, killed with SIGKILL at random moments and resumed, leaves the same behind as one that was not.

KILLS is the number of kills for each script (6 where the variable is not set), KILL_SEED varies the moments.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from kill_harness import Ending, Harness
from runs import ENVIRONMENT, MADE_RUN, ROOT, assert_same

KILLS = int(os.environ.get("KILLS", "6"))
SEED = os.environ.get("KILL_SEED", "0")
COLD = 10  # one kill in so many hits a process of its own, its imports included

TINY = ("--population_size=12", "--tournament_size=3", "--num_generations=6", "--test_every=4", "--seed=3")
LEARNING = ("--num_epochs=1", "--num_epochs_long=1", "--save_networks_every=2", "--inherit_weights")
DIGITS = ("--dataset=digits", "--num_inputs=64", "--num_mutations=20", "--num_epochs=8", "--seed=3")
SCRIPTS = {
    "run-wann-gym.py": ("params/wann-gym/CartPole-v0.yaml", *TINY, "--num_trials=2"),
    "run-wann-classification.py": ("params/wann-classification/digits.yaml", *TINY, "--batch_size=50"),
    "run-wlnn-mnist.py": ("params/wlnn-mnist/digits-backprop.yaml", *TINY, *LEARNING),
    "run-wlnn-mnist-no-evolution.py": ("params/wlnn-mnist-no-evolution/mnist-hebbian.yaml", *DIGITS),
}
MADE = "env_name: Made\npopulation_size: 8\ntournament_size: 2\nnum_generations: 3\nseed: 3\ntest_every: 2\n"


@pytest.fixture(scope="module")
def harness():
    with contextlib.closing(Harness()) as harness:
        yield harness


@pytest.fixture(scope="module")
def made():
    """Runs nothing but MADE_RUN: without torch and the like a fork takes a tenth of the time."""
    with contextlib.closing(Harness()) as harness:
        yield harness


class Experiment:
    """A script that is killed and resumed in one folder after the other, beside a run that nothing happens to."""

    def __init__(self, harness: Harness, script: str, arguments: tuple[str, ...], period: float, path: Path) -> None:
        self.harness, self.script, self.path = harness, script, path
        self.arguments = (*arguments, f"--checkpoint_period={period}")
        self.whole = path / "whole"
        harness.warm_up(script, [*self.arguments, "--out_dir", path / "warm"])
        undisturbed = harness.run(script, [*self.arguments, "--out_dir", self.whole], at_change=10**9)
        assert undisturbed.status == 0, undisturbed.said
        self.seconds, self.changes = undisturbed.seconds, undisturbed.changes
        self.folders = 0
        self._take_another()

    def _take_another(self) -> None:
        self.folders += 1
        self.folder = self.path / f"run{self.folders}"

    def _command(self) -> list[object]:
        if (self.folder / "params.yaml").exists():
            return ["--resume", self.folder]
        return [*self.arguments, "--out_dir", self.folder]

    def go_on(self, **moment: float) -> bool:
        """Start or resume, perhaps to be killed; whether it came to its end, which is checked."""
        ending = self.harness.run(self.script, self._command(), **moment)
        return self._check(ending)

    def go_on_cold(self, after: float) -> bool:
        """The same in a process of its own."""
        command = [sys.executable, self.script, *map(str, self._command())]
        with subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as own:
            with contextlib.suppress(subprocess.TimeoutExpired):
                own.wait(after)
            own.kill()
            said = own.stdout.read().decode()
        return self._check(Ending(None if own.returncode == -signal.SIGKILL else own.returncode, 0, 0, said))

    def _check(self, ending: Ending) -> bool:
        if ending.status is None:
            return False
        assert ending.status == 0, ending.said
        assert_same(self.folder, self.whole)
        self._take_another()
        return True


@pytest.mark.parametrize("period", [0.0, 60.0])
@pytest.mark.parametrize("script", SCRIPTS)
def test_killed_at_random_moments_and_resumed(harness, tmp_path, script, period):
    experiment = Experiment(harness, script, SCRIPTS[script], period, tmp_path)
    moments = random.Random(f"{SEED} {script} {period}")
    for number in range(1, -(-KILLS // 2) + 1):
        if number % COLD == 0:
            experiment.go_on_cold(moments.uniform(0, 5 + experiment.seconds))
        elif number % 2:
            experiment.go_on(after=moments.uniform(0, experiment.seconds))
        else:
            experiment.go_on(at_change=moments.randint(1, experiment.changes))
    assert experiment.go_on()


def test_killed_at_each_change_of_a_file(made, tmp_path):
    """Before each file is opened, renamed, removed, and when it is half written: none of these moments does harm."""
    (tmp_path / "made.yaml").write_text(MADE)
    experiment = Experiment(made, str(MADE_RUN), (str(tmp_path / "made.yaml"),), 0.0, tmp_path)
    assert experiment.changes > 30
    for change in range(1, experiment.changes + 1):
        assert not experiment.go_on(at_change=change)
        while not experiment.go_on():
            pass


def test_a_replaced_run_is_the_old_or_the_new_one_whenever_it_is_killed(made, tmp_path):
    (tmp_path / "made.yaml").write_text(MADE)
    script, folder = str(MADE_RUN), tmp_path / "run"
    new = [tmp_path / "made.yaml", "--out_dir", folder, "--overwrite_output"]
    made.warm_up(script, [tmp_path / "made.yaml", "--out_dir", tmp_path / "whole"])
    assert made.run(script, [tmp_path / "made.yaml", "--out_dir", folder, "--seed=4"]).status == 0
    folder.rename(tmp_path / "old")
    seeds: list[int] = []
    while seeds.count(3) < 2:  # until it is killed with the new params.yaml in its place
        change = len(seeds) + 1
        shutil.copytree(tmp_path / "old", folder)
        assert made.run(script, new, at_change=change).status is None
        seeds.append(yaml.safe_load((folder / "params.yaml").read_text())["seed"])
        assert made.run(script, ["--resume", folder]).status == 0
        assert_same(folder, tmp_path / {4: "old", 3: "whole"}[seeds[-1]])
        assert made.run(script, new).status == 0
        assert_same(folder, tmp_path / "whole")
        shutil.rmtree(folder)
    assert seeds == sorted(seeds, reverse=True)
    assert len(seeds) > 8


def test_what_came_after_the_last_checkpoint_is_cut_off(made, tmp_path):
    """Half a record in the event file, half a line in the log, and a later event file altogether."""
    (tmp_path / "made.yaml").write_text(MADE)
    experiment = Experiment(made, str(MADE_RUN), (str(tmp_path / "made.yaml"),), 0.0, tmp_path)
    experiment.go_on(at_change=experiment.changes - 10)
    summary = experiment.folder / "tensorboard_summary"
    (file,) = summary.iterdir()
    content = file.read_bytes()
    with open(file, "ab") as opened:
        opened.write(content[-100:-30])
    with open(experiment.folder / f"{experiment.folder.name}.log", "a") as opened:
        opened.write("2026-01-01 00:00:00 generation 2: bes")
    (summary / "events.out.tfevents.9999999999.0001.x").write_bytes(content)
    with open(experiment.folder / ".files", "a") as opened:  # it says what the run made
        opened.write("tensorboard_summary/events.out.tfevents.9999999999.0001.x\n")
    assert experiment.go_on()


def test_the_harness_kills_when_it_is_told(made, tmp_path):
    (tmp_path / "made.yaml").write_text(MADE)
    arguments = [tmp_path / "made.yaml", "--out_dir", tmp_path / "run", "--num_generations=100000"]
    start = time.monotonic()
    assert made.run(str(MADE_RUN), arguments, after=0.5).status is None
    assert 0.5 < time.monotonic() - start < 10
    assert made.run(str(MADE_RUN), ["--resume", tmp_path / "run"], at_change=1).status is None
    refused = made.run(str(MADE_RUN), ["--resume", tmp_path / "nowhere"])
    assert refused.status == 2
    assert "there is no run in this folder" in refused.said
