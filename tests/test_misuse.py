"""The scripts with parameters of all kinds, and with environments that misbehave: they run, or say one clear line."""

import contextlib
import os
import random
import re
import subprocess
import sys

import pytest
from kill_harness import Harness
from runs import ROOT
from test_kill import SCRIPTS

from experiment import EXPERIMENTS
from experiment.parameters import PARAMS_FILE, declared, used_by

CASES = int(os.environ.get("MISUSE_CASES", "4"))  # for each script
SEED = os.environ.get("MISUSE_SEED", "0")
GYM = "run-wann-gym.py"


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    """In which every script ran once, so that what is killed soon after its start is the run and no import."""
    with contextlib.closing(Harness()) as harness:
        for script, arguments in SCRIPTS.items():
            harness.warm_up(script, [*arguments, "--out_dir", tmp_path_factory.mktemp("warm") / "run"])
        yield harness


# ---- parameters -----------------------------------------------------------------------------------------------------

NUMBERS = ["0", "1", "2", "3", "0.5", "-1", "1e-3", "1e300", "nan", "999999999", "99999999999999999999", "0x1", ""]
TEXTS = [
    "x",
    "digits",
    "CartPole-v0",
    "CarRacing-v3",
    "a b",
    "ß",
    "\U0001f9a0",
    "\x1b[31m",
    "/dev/null",
    "a/../..",
    "~",
]
COSTLY = ("dataset", "data_dir", "num_workers", "backend", "scheduler_address")


def some_arguments(script: str, choose: random.Random) -> list[str]:
    """One to three parameters of the script, sensible or not."""
    names = [p.name for p in used_by(EXPERIMENTS[script]) if p.name not in (*COSTLY, "out_dir", "resume")]
    given = []
    for name in choose.sample(names, choose.randint(1, 3)):
        parameter = declared()[name]
        values = [*NUMBERS, *TEXTS, "true", "false"]
        sensible = list(parameter.known) or {bool: ["true", "false"], str: TEXTS}.get(parameter.type, NUMBERS)
        given.append(f"--{name}={choose.choice(sensible if choose.random() < 0.8 else values)}")
    return given


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_run_starts_or_says_one_line_and_leaves_nothing(harness, tmp_path, script):
    choose = random.Random(f"{SEED} {script}")
    for case in range(CASES):
        arguments = some_arguments(script.removesuffix(".py"), choose)
        folder = tmp_path / str(case) / "run"
        ending = harness.run(script, [*SCRIPTS[script], *arguments, "--out_dir", folder], after=0.8)
        assert ending.status in (0, None, 2), (arguments, ending.said)
        assert "Traceback" not in ending.said, (arguments, ending.said)
        if ending.status == 2:
            assert ending.said.startswith("error: "), arguments
            assert len(ending.said.splitlines()) == 1, (arguments, ending.said)
            assert not folder.exists(), (arguments, ending.said)
        elif ending.status == 0:
            assert (folder / PARAMS_FILE).exists()


def test_training_that_overflows_ends_with_a_line(harness, tmp_path):
    arguments = [*SCRIPTS["run-wlnn-mnist-no-evolution.py"], "--lr=50", "--num_hidden=40", "--num_mutations=0"]
    ending = harness.run("run-wlnn-mnist-no-evolution.py", [*arguments, "--out_dir", tmp_path / "run"])
    assert ending.status == 1
    assert "error: epoch 1: training overflowed, the weights are not finite (lr is 50.0)" in ending.said
    assert "Traceback" not in ending.said
    assert "Warning" not in ending.said


# ---- environments ---------------------------------------------------------------------------------------------------


def run_with(harness, tmp_path, environment, *arguments):
    small = ("--num_generations=1", "--population_size=3", "--tournament_size=2", "--num_trials=1", "--test_every=5")
    where = (f"--env_name=broken_environments:{environment}-v0", "--out_dir", tmp_path / "run")
    return harness.run(GYM, ["params/wann-gym/CartPole-v0.yaml", "--num_inputs=2", *small, *where, *arguments])


FAULTS = {
    "Raising": "failed with seed {}: step: RuntimeError: the floor is lava",
    "NotANumber": "failed with seed {}: step: a reward is nan",
    "Blind": "failed with seed {}: step: an observation is not finite",
    "Killing": "killed its process with seed {}",
}


@pytest.mark.parametrize("environment", FAULTS)
def test_a_run_stops_with_a_line_that_names_environment_and_seed(harness, tmp_path, environment):
    ending = run_with(harness, tmp_path, environment)
    assert ending.status == 1
    hint = f"; to go on: python run-wann-gym.py --resume {tmp_path / 'run'} --on_env_error rank_last"
    line = ending.said.splitlines()[-1]
    seed = line.partition("seed ")[2].partition(":")[0].partition(";")[0]
    fault = FAULTS[environment].format(seed)
    assert line == f"error: environment broken_environments:{environment}-v0 {fault}{hint}"
    assert int(seed) >= 0
    assert "Traceback" not in ending.said


@pytest.mark.parametrize("environment", FAULTS)
def test_or_the_network_gets_the_worst_rank(harness, tmp_path, environment):
    ending = run_with(harness, tmp_path, environment, "--on_env_error=rank_last")
    assert ending.status == 0, ending.said
    assert "3 of 3 networks have a reward that is not finite and are ranked last" in ending.said
    assert "finished after generation 0 without a champion: no network" in ending.said


def test_an_episode_that_never_ends_is_ended(harness, tmp_path):
    ending = run_with(harness, tmp_path, "Endless", "--max_episode_steps=30")
    assert ending.status == 0, ending.said
    assert "champion 30;" in ending.said


def test_memory_that_is_not_there_is_one_line(tmp_path):
    """As of a batch of a thousand million images, which is a number that is allowed."""
    code = (
        "import experiment, numpy, utils\n"
        "def main(params): numpy.empty((10**9, 10**6))\n"
        "utils.run_script(experiment.CLASSIFICATION, main, '')"
    )
    command = [sys.executable, "-c", code, str(ROOT / "params/wann-classification/digits.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"error: Unable to allocate .* for an array .*\n", done.stderr)
