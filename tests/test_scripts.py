"""The scripts as a user runs them: the same results with any number of workers, resumed, and clean errors."""

import io
import json
import runpy
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import scalars

import utils

ROOT = Path(__file__).parent.parent
TINY = ("--population_size=12", "--tournament_size=3", "--num_generations=4", "--test_every=2", "--seed=3")
GYM = ("run-wann-gym.py", "params/wann-gym/CartPole-v0.yaml", *TINY, "--num_trials=2")
SWINGUP = ("run-wann-gym.py", "params/wann-gym/CartPoleSwingUp.yaml", *TINY, "--num_trials=1")
DIGITS = ("run-wann-classification.py", "params/wann-classification/digits.yaml", *TINY, "--batch_size=50")
LEARNING = (
    "run-wlnn-mnist.py",
    "params/wlnn-mnist/digits-backprop.yaml",
    *TINY,
    "--num_epochs=1",
    "--num_epochs_long=2",
    "--save_networks_every=2",
)
INHERITING = (*LEARNING, "--inherit_weights", "--learning_rule=feedback_alignment")
ONE_NETWORK = (
    "run-wlnn-mnist-no-evolution.py",
    "params/wlnn-mnist-no-evolution/mnist-hebbian.yaml",
    "--dataset=digits",
    "--num_inputs=64",
    "--num_mutations=20",
    "--num_epochs=3",
    "--seed=3",
)
EXPERIMENTS = {
    "gym": GYM,
    "swing-up": SWINGUP,
    "digits": DIGITS,
    "digits reference": (*DIGITS, "--evaluator=reference"),
    "learning": LEARNING,
    "inheriting": INHERITING,
}


def start(*command):
    """Run a script in this process, which spares importing everything again; what it printed, and its exit status."""
    script, *arguments = map(str, command)
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    status = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", [script, *arguments])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            status = end.code or 0
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def run(*command):
    done = start(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def results(folder: Path) -> dict[str, object]:
    """All that two runs with one seed must have in common."""
    files = [*folder.glob("*.json"), *folder.glob("*.csv"), *folder.glob("networks/*")]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files} | {"scalars": scalars(folder)}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_number_of_workers_and_an_interruption_change_nothing(experiment, tmp_path):
    command = EXPERIMENTS[experiment]
    run(*command, "--out_dir", tmp_path / "one")
    whole = results(tmp_path / "one")
    assert json.loads(whole["champion_network.json"])["provenance"]["seed"] == 3
    assert [step for step, _ in next(v for k, v in whole["scalars"].items() if k.startswith("best/"))] == [0, 1, 2, 3]
    run(*command, "--num_workers=4", "--out_dir", tmp_path / "four")
    assert results(tmp_path / "four") == whole
    run(*command, "--num_generations=2", "--out_dir", tmp_path / "part")
    run(command[0], "--resume", tmp_path / "part", "--num_generations=4", "--num_workers=2")
    assert results(tmp_path / "part") == whole


def test_training_one_network_can_be_resumed(tmp_path):
    run(*ONE_NETWORK, "--out_dir", tmp_path / "one")
    whole = results(tmp_path / "one")
    assert {"train/loss", "train/acc", "test/loss", "test/acc"} <= set(whole["scalars"])
    assert [step for step, _ in whole["scalars"]["test/acc"]] == [0, 1, 2, 3]
    run(*ONE_NETWORK, "--num_epochs=1", "--out_dir", tmp_path / "part")
    run(ONE_NETWORK[0], "--resume", tmp_path / "part", "--num_epochs=3")
    part = results(tmp_path / "part")
    assert part == whole


def test_a_saved_network_can_be_trained_again(tmp_path):
    run(*ONE_NETWORK, "--out_dir", tmp_path / "first")
    file = tmp_path / "first/trained_network.json"
    again = (*ONE_NETWORK, "--num_mutations=0", "--num_epochs=1", "--network", file)
    run(*again, "--out_dir", tmp_path / "fresh")
    run(*again, "--keep_weights", "true", "--out_dir", tmp_path / "kept")
    accuracy = {name: dict(scalars(tmp_path / name)["test/acc"]) for name in ("first", "fresh", "kept")}
    assert accuracy["kept"][0] == accuracy["first"][3]  # it begins where the first one ended
    assert accuracy["fresh"][0] < 0.3


def test_a_run_can_be_repeated_from_its_own_parameters(tmp_path):
    run(*SWINGUP, "--out_dir", tmp_path / "one")
    run(SWINGUP[0], tmp_path / "one/params.yaml", "--out_dir", tmp_path / "again")
    assert results(tmp_path / "again") == results(tmp_path / "one")


def test_the_log_says_what_happens_and_no_progress_bar_where_there_is_no_terminal(tmp_path):
    done = run(*SWINGUP, "--out_dir", tmp_path / "run")
    log = (tmp_path / "run/run.log").read_text()
    for line in ("seed 3", "compiled", "generation 3: best", "champion tested", "finished after generation 3"):
        assert line in log
    assert [line.split(maxsplit=2)[2] for line in log.splitlines()] == [
        line.split(maxsplit=2)[2] for line in done.stdout.splitlines()
    ]
    assert done.stderr == ""


FAILURES = {
    "unknown parameter": ((*GYM, "--populaton_size=3"), "did you mean population_size"),
    "unknown environment": ((*GYM, "--env_name=CartPol-v0"), "CartPole-v0"),
    "image environment": (
        (*GYM, "--env_name=CarRacing-v3", "--take_argmax_action=false"),
        "CarRacing-v3",
    ),
    "wrong num_inputs": ((*GYM, "--num_inputs=5"), "num_inputs is 5, but CartPole-v0 has 4"),
    "tournament too large": ((*GYM, "--tournament_size=11"), "tournament_size 11 is larger than the 10"),
    "probabilities": ((*GYM, "--p_add_node=0.5"), "must sum to 1"),
    "no such file": (("run-wann-gym.py", "params/nowhere.yaml"), "params/nowhere.yaml"),
    "no such data": (
        ("run-wann-classification.py", "params/wann-classification/mnist.yaml", "--data_dir=/dev/null/x"),
        "/dev/null/x",
    ),
    "unwritable": ((*GYM, "--out_dir=/dev/null/run"), "/dev/null/run cannot be written"),
    "nothing to resume": (("run-wann-gym.py", "--resume=tests"), "no run in this folder"),
    "no network": ((*ONE_NETWORK, "--network=nowhere.json"), "nowhere.json"),
    "a batch larger than the data": ((*ONE_NETWORK, "--batch_size=5000"), "batch_size"),
    "a batch of evolution larger than the data": ((*LEARNING, "--batch_size=5000"), "batch_size"),
    "keep what": ((*ONE_NETWORK, "--keep_weights"), "keep_weights needs network"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_wrong_input_is_one_line_and_status_2(failure, tmp_path):
    command, expected = FAILURES[failure]
    if not any(part.startswith(("--out_dir", "--resume")) for part in command):
        command = (*command, "--out_dir", tmp_path / "run")
    done = start(*command)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_kept(tmp_path):
    (tmp_path / "file").write_text("precious")
    done = start(*GYM, "--out_dir", tmp_path)
    assert done.returncode == 2
    assert "exists" in done.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_damaged_checkpoints(tmp_path):
    run(*GYM, "--checkpoint_period=0", "--out_dir", tmp_path / "run")
    whole = results(tmp_path / "run")
    newest, previous = tmp_path / "run/checkpoint.npz", tmp_path / "run/checkpoint.previous.npz"
    newest.write_bytes(newest.read_bytes()[:-10])
    done = run(GYM[0], "--resume", tmp_path / "run")
    assert "going on from the previous checkpoint" in done.stdout
    assert results(tmp_path / "run") == whole
    for file in (newest, previous):
        file.write_bytes(b"nonsense")
    done = start(GYM[0], "--resume", tmp_path / "run")
    assert done.returncode == 2
    assert "no whole checkpoint" in done.stderr


def test_no_more_workers_are_started_than_there_are_networks():
    params = utils.Params(num_workers=64, population_size=12, backend="loky", scheduler_address=None)
    assert utils.workers(params).num_workers == 12
