"""What a run's folder says is what the run was: checked before anything is touched, and nothing foreign removed."""

import importlib
import inspect
import json
import os
import signal

import numpy as np
import pytest
import yaml
from runs import MADE_RUN, ROOT, assert_same, files, finish, log, wait_until
from runs import start as start_process
from test_scripts import DIGITS, LEARNING, ONE_NETWORK, start

from evolution import checkpoint
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.mutation import compact_layers
from experiment import GYM, TRAINING, WLNN, origin
from experiment.folder import EVOLUTION, decode
from experiment.parameters import declared, may_change, read_params
from learning import LEARNING_RULES
from learning.settings import TrainingSettings


def run(*arguments):
    return start(MADE_RUN, *arguments)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "made.yaml"
    path.write_text(
        "env_name: Made\npopulation_size: 10\ntournament_size: 3\nnum_generations: 4\nseed: 3\ntest_every: 2\n"
    )
    return path


@pytest.fixture
def folder(tmp_path, file):
    assert run(file, "--out_dir", tmp_path / "run").returncode == 0
    return tmp_path / "run"


def everything(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def edit(folder, **changes):
    params = yaml.safe_load((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | changes))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", 4, "seed was 3 and is 4"),
        ("num_trials", 2, "num_trials was 1 and is 2"),
        ("elite_ratio", 0.5, "elite_ratio was 0.2 and is 0.5"),
        ("env_name", "Other", "env_name was 'Made' and is 'Other'"),
        ("population_size", 12, "population_size was 10 and is 12"),
    ],
)
def test_an_edited_params_yaml_is_refused_and_nothing_is_touched(folder, name, value, said):
    edit(folder, **{name: value})
    before = everything(folder)
    done = run("--resume", folder, "--num_generations", 6)
    assert done.returncode == 2
    assert done.stderr == f"error: {folder}/params.yaml is not what the run was begun with: {said}\n"
    assert everything(folder) == before


def test_what_changes_no_result_may_be_edited_or_given(folder):
    edit(folder, num_workers=2, checkpoint_period=1.0)
    done = run("--resume", folder, "--num_generations", 5, "--on_env_error", "rank_last")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((folder / "params.yaml").read_text())["on_env_error"] == "rank_last"
    for name in ("data_dir", "on_env_error", "num_workers", "checkpoint_period", "max_minutes"):
        assert may_change(declared()[name], GYM)
    assert may_change(declared()["num_epochs"], TRAINING)
    assert not may_change(declared()["num_epochs"], WLNN)


def test_fewer_generations_than_are_done_are_refused_and_nothing_is_touched(folder):
    (folder / f"{folder.name}.log").write_text("a line that came after the checkpoint\n" * 100)
    before = everything(folder)
    done = run("--resume", folder, "--num_generations", 2)
    assert (done.returncode, done.stderr) == (2, "error: num_generations is 2, but 4 are done\n")
    assert everything(folder) == before


def test_another_version_of_a_package_is_said(folder, monkeypatch):
    now = origin.versions()
    monkeypatch.setattr(origin, "versions", lambda: now | {"numpy": "9.9"})
    done = run("--resume", folder, "--num_generations", 5)
    assert done.returncode == 0, done.stderr
    assert f"numpy was {now['numpy']} when the run began, and is 9.9" in log(folder)


def test_resume_belongs_on_the_command_line(folder, tmp_path):
    (tmp_path / "p.yaml").write_text(f"env_name: Made\nresume: {folder}\n")
    before = everything(folder)
    done = run(tmp_path / "p.yaml")
    assert done.returncode == 2
    assert "resume belongs on the command line: python run-wann-gym.py --resume FOLDER" in done.stderr
    assert everything(folder) == before


def test_a_renamed_folder_keeps_its_whole_log(folder, tmp_path):
    first = log(folder)
    folder.rename(tmp_path / "other")
    assert run("--resume", tmp_path / "other", "--num_generations", 5).returncode == 0
    (tmp_path / "other").rename(folder)
    assert run("--resume", folder, "--num_generations", 6).returncode == 0
    assert [path.name for path in folder.glob("*.log")] == ["run.log"]
    whole = log(folder)
    assert whole.startswith(first[: first.index("3: champion tested") - 40])  # the last test is made again
    assert [whole.count(f"generation {g}: best") for g in range(6)] == [1] * 6


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127], ids=["letters", "umlauts"])
def test_a_folder_with_the_longest_name_has_a_log(tmp_path, file, name):
    folder = tmp_path / name
    done = run(file, "--out_dir", folder)
    assert done.returncode == 0, done.stderr
    assert run("--resume", folder, "--num_generations", 5).returncode == 0
    [path] = folder.glob("*.log")
    assert len(os.fsencode(path.name)) in (254, 255)
    assert [log(folder).count(f"generation {g}: best") for g in range(5)] == [1] * 5


def test_files_that_the_run_did_not_make_are_left_alone(folder):
    notes = {folder / "notes.log": "mine", folder / "tensorboard_summary/events.of.mine": "", folder / "x.json": "{}"}
    for path, text in notes.items():
        path.write_text(text)
    assert run("--resume", folder, "--num_generations", 5).returncode == 0
    assert {path: path.read_text() for path in notes} == notes


def test_the_checkpoint_holds_what_decides_the_run(folder):
    loaded = decode((folder / checkpoint.NAME).read_bytes(), EVOLUTION)
    recorded = yaml.safe_load((folder / "params.yaml").read_text())
    assert loaded.params["seed"] == 3
    assert loaded.params == {name: value for name, value in recorded.items() if name in loaded.params}
    left_out = recorded.keys() - loaded.params.keys() - {"script"}
    assert all(may_change(declared()[name], GYM) for name in left_out)


# ---- parameters without effect --------------------------------------------------------------------------------------


def test_parameters_that_a_saved_network_decides_are_refused_or_not_recorded(tmp_path):
    assert start(*ONE_NETWORK, "--use_bias", "--num_epochs=1", "--out_dir", tmp_path / "first").returncode == 0
    network = ("--network", tmp_path / "first/trained_network.json", "--num_mutations=0", "--num_epochs=1")
    for name, value in (("use_bias", "true"), ("p_initial_connection_enabled", "0.5")):
        refused = start(*ONE_NETWORK, *network, f"--{name}={value}", "--out_dir", tmp_path / "run")
        assert refused.returncode == 2
        assert f"command line: {name} has no effect: the saved network decides it" in refused.stderr
        assert not (tmp_path / "run").exists()
    assert start(*ONE_NETWORK, *network, "--out_dir", tmp_path / "run").returncode == 0
    recorded = yaml.safe_load((tmp_path / "run/params.yaml").read_text())
    assert {"use_bias", "p_initial_connection_enabled", "p_add_node"}.isdisjoint(recorded)
    saved = json.loads((tmp_path / "run/trained_network.json").read_text())
    assert saved["bias"] is True
    assert {"p_initial_connection_enabled", "p_add_connection", "p_add_node", "inherit_weights"} <= saved.keys()
    # The checkpoint holds the genome: the file is not needed again.
    (tmp_path / "first/trained_network.json").unlink()
    assert start(ONE_NETWORK[0], "--resume", tmp_path / "run", "--num_epochs=2").returncode == 0


def test_a_network_that_is_mutated_is_made_compact(tmp_path):
    assert start(*ONE_NETWORK, "--num_mutations=60", "--num_epochs=1", "--out_dir", tmp_path / "run").returncode == 0
    genome = Genome.load(tmp_path / "run/trained_network.json")
    assert genome.num_hidden > 10
    assert compact_layers(genome) is genome


WITHOUT_EFFECT = {
    "files of a set without files": (DIGITS, "--data_dir=/tmp", "data_dir has no effect: digits has no files"),
    "signals' files": (DIGITS, "--dataset=mnist_1d", "--data_dir=/tmp", "data_dir has no effect: mnist_1d has no"),
    "another rule's constant": (LEARNING, "--noise_sigma=0.2", "noise_sigma has no effect: backprop has no use for it"),
    "a rule's that is no longer one": (
        (*LEARNING, "--learning_rule=hebbian"), "--train_only_outputs", "learning_rule has no effect: with train_only"
    ),
    "workers of a cluster": (
        (*LEARNING, "--backend=dask", "--scheduler_address=tcp://127.0.0.1:9"), "--num_workers=2",
        "num_workers has no effect: the workers are those of the scheduler",
    ),
    "a scheduler of no cluster": (LEARNING, "--scheduler_address=tcp://127.0.0.1:9", "scheduler_address has no effect"),
    "hidden neurons' where there are none": (
        (*ONE_NETWORK, "--num_mutations=0"), "--hidden_activation=tanh", "hidden_activation has no effect: num_hidden"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT_EFFECT)
def test_parameters_without_effect_are_refused(case, tmp_path):
    command, *given, said = WITHOUT_EFFECT[case]
    done = start(*command, *given, "--out_dir", tmp_path / "run")
    assert done.returncode == 2
    assert f"error: command line: {said}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_overwriting_what_is_not_named_is_refused(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="overwrite_output has no effect: there is no out_dir"):
        read_params(GYM, "", [str(file), "--overwrite_output"])


def test_parameters_of_a_file_without_effect_are_said_and_not_recorded(tmp_path):
    (tmp_path / "p.yaml").write_text("dataset: digits\ndata_dir: /nowhere\nlr_hebbian: 0.5\n")
    done = start(LEARNING[0], tmp_path / "p.yaml", *LEARNING[2:], "--out_dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "data_dir has no effect: digits has no files\n" in done.stdout
    assert "lr_hebbian has no effect: backprop has no use for it, but hebbian, soft_hebb\n" in done.stdout
    assert {"data_dir", "lr_hebbian", "noise_sigma"}.isdisjoint(
        yaml.safe_load((tmp_path / "run/params.yaml").read_text())
    )


def test_a_rules_constants_are_those_that_its_file_reads():
    own = [p for p in declared().values() if p.groups == ("learning",) and hasattr(TrainingSettings, p.name)]
    for rule, path in LEARNING_RULES.items():
        text = inspect.getsource(importlib.import_module(path.partition(":")[0])).replace("hebbian_rate", "lr_hebbian")
        params = read_params(WLNN, "", [LEARNING[1], f"--learning_rule={rule}"])
        for parameter in own:
            everyones = parameter.name in ("learning_rule", "optimizer", "lr", "batch_size", "num_epochs")
            read = everyones or f"settings.{parameter.name}" in text
            assert (parameter.idle(params) is None) == read, (rule, parameter.name)
        params.learning_rule = "mine:Rule"
        assert not params.idle(p.name for p in own)


def test_other_data_than_the_run_was_begun_with_is_refused_and_nothing_is_touched(tmp_path, monkeypatch):
    def write(shift, folder="data"):
        images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8) + np.uint8(shift)
        labels = np.arange(60) % 10
        (tmp_path / folder).mkdir(exist_ok=True)
        arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
        np.savez(tmp_path / folder / "mine.npz", **arrays)

    write(0)
    folder = tmp_path / "run"
    own = ("--dataset=file", "--num_inputs=256", "--data_dir", tmp_path / "data/mine.npz")
    small = ("--batch_size=20", "--num_epochs_long=1", "--num_generations=1")
    assert start(*LEARNING, *own, *small, "--out_dir", folder).returncode == 0
    write(0, "elsewhere")  # the same images at another place are the same
    more = ("--num_generations=2", "--data_dir", tmp_path / "elsewhere/mine.npz")
    assert start(LEARNING[0], "--resume", folder, *more).returncode == 0
    write(1, "elsewhere")
    before = everything(folder)
    done = start(LEARNING[0], "--resume", folder, "--num_generations=3")
    assert done.returncode == 2
    assert f"error: {folder}: the data set file is not what the run was begun with (digest " in done.stderr
    assert done.stderr.endswith(f"look at data_dir {tmp_path}/elsewhere/mine.npz\n")
    assert everything(folder) == before
    now = origin.versions()  # another OpenCV may give other images: that is said, as of all that computes
    monkeypatch.setattr(origin, "versions", lambda: now | {"opencv-python-headless": "9.9"})
    done = start(LEARNING[0], "--resume", folder, "--num_generations=3")
    assert done.returncode == 0, done.stderr
    assert "the data set file is not what the run was begun with" in done.stdout


def test_what_a_script_has_no_use_for_is_said(tmp_path, file):
    done = run(file, "--lr=0.5", "--out_dir", tmp_path / "run")
    assert done.returncode == 0
    assert "run-wann-gym has no use for lr\n" in done.stdout
    assert "lr" not in yaml.safe_load((tmp_path / "run/params.yaml").read_text())


def test_no_connection_to_begin_with_is_one_line(tmp_path):
    arguments = ("params/wlnn-mnist/digits-backprop.yaml", "--p_initial_connection_enabled=0")
    done = start("run-wlnn-mnist.py", *arguments, "--out_dir", tmp_path / "run")
    assert done.returncode == 2
    assert "p_initial_connection_enabled is 0: a network that learns would never get a connection" in done.stderr


# ---- surroundings ---------------------------------------------------------------------------------------------------


def test_paths_stay_where_they_were_meant(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert read_params(GYM, "", [str(file), "--out_dir=a/b"]).out_dir == str(tmp_path / "a/b")
    assert read_params(GYM, "", [str(file), "--out_dir=~/x"]).out_dir == str(tmp_path / "home/x")


def test_printed_commands_are_quoted_for_the_shell(tmp_path, file):
    folder = tmp_path / "my $(run)"
    assert run(file, "--out_dir", folder, "--max_minutes=1e-9").returncode == 0
    process = start_process(MADE_RUN, "--resume", folder, "--num_generations", 100000)
    wait_until(lambda: "generation 2:" in log(folder))
    process.send_signal(signal.SIGTERM)
    assert finish(process)[2] == f"stopped; to go on: python run-wann-gym.py --resume '{folder}'\n"


@pytest.mark.parametrize("name", ["SIGHUP", "SIGXCPU", "SIGUSR1"])
def test_signals_of_terminals_and_schedulers_leave_a_checkpoint(tmp_path, file, name):
    folder, number = tmp_path / "run", getattr(signal, name)
    arguments = ("--num_generations", 100000, "--checkpoint_period", 10000, "--num_workers", 2)
    process = start_process(MADE_RUN, file, "--out_dir", folder, *arguments, variables={"MADE_SECONDS": "0.001"})
    wait_until(lambda: "generation 3:" in log(folder))
    os.killpg(process.pid, number)
    status, _, errors = finish(process)
    assert (status, errors) == (128 + number, f"stopped; to go on: python run-wann-gym.py --resume {folder}\n")
    assert checkpoint.from_bytes((folder / checkpoint.NAME).read_bytes()).generation >= 2


@pytest.mark.parametrize("redirection", [">/dev/full 2>/dev/full", ">&- 2>&-", ">/dev/full", "2>&-"])
def test_a_console_in_any_state_ends_no_run(tmp_path, file, folder, redirection):
    wrapper = ["sh", "-c", f'exec "$@" {redirection}', "sh"]
    status = finish(start_process(MADE_RUN, file, "--out_dir", tmp_path / "other", wrapper=wrapper))[0]
    assert status == 0
    assert_same(tmp_path / "other", folder)


def test_text_that_the_console_cannot_encode_ends_no_run(tmp_path, file):
    folder = tmp_path / "läuft \U0001f9a0"
    variables = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    status, out, errors = finish(start_process(MADE_RUN, file, "--out_dir", folder, variables=variables))
    assert (status, errors) == (0, "")
    assert "l\\xe4uft \\U0001f9a0" in out
    assert "läuft \U0001f9a0" in log(folder)
    assert files(folder)


def test_an_environment_of_a_module_in_the_users_folder_is_found(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Mine-v0', CartPoleEnv, max_episode_steps=20)\n"
    )
    (tmp_path / "p.yaml").write_text(
        "env_name: mine:Mine-v0\npopulation_size: 4\ntournament_size: 2\nnum_generations: 1\n"
    )

    script = ROOT / "run-wann-gym.py"
    status, out, errors = finish(start_process(script, "p.yaml", "--out_dir=run", "--num_workers=2", cwd=tmp_path))
    assert status == 0, errors
    assert "finished after generation 0" in out


def test_unknown_names_are_guessed_only_where_one_is_near():
    with pytest.raises(InputError, match=r"unknown parameter 'zzz'$"):
        read_params(GYM, "", ["x.yaml", "--zzz=1"])
