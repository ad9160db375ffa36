"""`run-study.py`: cells are ordinary runs, it goes on wherever it was killed, what is wrong is said at first."""

import json
import signal
import subprocess
import sys
import time

import pytest
import yaml
from runs import ENVIRONMENT, ROOT, assert_same

import utils
from evolution.errors import InputError
from experiment import study as module

PARAMS_FILE = "params/wann-gym/CartPole-v0.yaml"
TINY = {"num_generations": 3, "population_size": 8, "tournament_size": 2, "num_trials": 1, "test_every": 2}
FILE = {
    "script": "run-wann-gym",
    "params_file": PARAMS_FILE,
    "fixed": TINY | {"checkpoint_period": 0.0},
    "grid": {"p_complexity_objective": [0.2], "seed": "0..1"},
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)

    def write(**changes):
        file = tmp_path / "made.yaml"
        file.write_text(yaml.safe_dump({k: v for k, v in (FILE | changes).items() if v is not None}, sort_keys=False))
        return str(file)

    return write


def read(file, *arguments):
    return module.read([file, *arguments], utils.check_settings)


def start(*arguments):
    command = [sys.executable, "run-study.py", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


# ---- the cells ------------------------------------------------------------------------------------------------------


def test_cells_are_all_combinations(write):
    grid = {"learning_rule": ["hebbian", "backprop"], "lr": [0.1, 1], "inherit_weights": [True], "seed": "3..4"}
    fixed = {"num_generations": 2, "dataset": "digits", "num_workers": 3}
    file = write(script="run-wlnn-mnist", params_file="params/wlnn-mnist/digits-backprop.yaml", grid=grid, fixed=fixed)
    study = read(file)
    assert [cell.name for cell in study.cells][:3] == [
        "hebbian-lr0.1-inherit_weightstrue-seed3",
        "hebbian-lr0.1-inherit_weightstrue-seed4",
        "hebbian-lr1.0-inherit_weightstrue-seed3",
    ]
    assert len(study.cells) == 8
    params = study.cells[-1].params
    assert (params.learning_rule, params.lr, params.inherit_weights, params.seed) == ("backprop", 1.0, True, 4)
    assert (params.num_generations, params.population_size) == (2, 480)  # the latter is the parameter file's
    assert str(study.folder) == "out/studies/made"


def test_the_command_line_wins(write):
    study = read(write(), "--seed", "2..3", "--num_generations=7", "--p_complexity_objective", "0.5", "--out_dir=x")
    assert [cell.name for cell in study.cells] == ["p_complexity_objective0.5-seed2", "p_complexity_objective0.5-seed3"]
    assert {cell.params.num_generations for cell in study.cells} == {7}
    assert str(study.folder) == "x"


@pytest.mark.parametrize(
    ("workers", "more", "at_once", "each"),
    [(1, [], 1, 1), (2, [], 2, 1), (5, [], 2, 2), (4, ["--cells_at_once=1"], 1, 4), (4, ["--seed=0"], 1, 4)],
)
def test_workers_are_shared_by_the_cells(write, workers, more, at_once, each):
    study = read(write(), f"--num_workers={workers}", *more)
    assert study.at_once == at_once
    assert {cell.params.num_workers for cell in study.cells} == {each}


def test_a_study_without_seeds_has_seed_0(write):
    assert [cell.params.seed for cell in read(write(grid={"num_trials": [1, 2]})).cells] == [0, 0]


def test_a_constant_of_one_rule_stands_only_in_that_rules_cells(write):
    digits = {"script": "run-wlnn-mnist", "params_file": "params/wlnn-mnist/digits-backprop.yaml"}
    digits["fixed"] = {"noise_sigma": 0.2, "num_generations": 2}
    backprop, perturbed = read(write(**digits, grid={"learning_rule": ["backprop", "node_perturbation"]})).cells
    assert "--noise_sigma=0.2" not in backprop.arguments
    assert "--noise_sigma=0.2" in perturbed.arguments
    with pytest.raises(InputError, match=r"made.yaml: fixed: noise_sigma has no effect: hebbian has no use for it"):
        read(write(**digits, grid={"learning_rule": ["backprop", "hebbian"]}))
    both = {"noise_sigma": [0.1, 0.2], "learning_rule": ["backprop", "node_perturbation"], "seed": [0]}
    with pytest.raises(InputError, match=r"grid: noise_sigma0.1-backprop-seed0: noise_sigma has no effect"):
        read(write(**digits | {"fixed": {}}, grid=both))


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"script": "run-something"}, [], "script is 'run-something'; it must be one of run-wann-gym, "),
        ({"script": None}, [], "script is None; it must be one of"),
        ({"params_file": None}, [], "params_file is None"),
        ({"params_file": "params/none.yaml"}, [], "params/none.yaml: cannot be read"),
        ({"gird": {}}, [], "unknown key 'gird'; there are script, params_file"),
        ({"grid": {"sede": "0..1"}}, [], "grid: unknown parameter 'sede'; did you mean seed?"),
        ({"fixed": {"population": 3}}, [], "fixed: unknown parameter 'population'"),
        ({"grid": {"lr": [0.1]}}, [], "run-wann-gym has no use for lr"),
        ({"grid": {"seed": []}}, [], "grid: seed is []; it must be a list or a range as 0..4 of values"),
        ({"grid": {"seed": 3}}, [], "grid: seed is 3; it must be a list or a range as 0..4"),
        ({"grid": {"seed": "0-4"}}, [], "grid: seed is '0-4'; it must be a list or a range as 0..4"),
        ({"grid": {"seed": "4..0"}}, [], "seed is 4..0"),
        ({"grid": {"seed": [0, -1]}}, [], "grid: seed is -1; it must be a whole number, at least 0"),
        ({"grid": {"cull_ratio": [0.2, 1.5]}}, [], "cull_ratio is 1.5; it must be a number, at least 0, below 1"),
        ({"grid": {"seed": [0, 1, 0]}}, [], "two cells have the folder seed0"),
        ({"grid": {"env_name": ["a/b", "a:b"]}}, [], "two cells have the folder a_b"),
        ({"grid": {"seed": "0..9999", "num_trials": [1, 2]}}, [], "the grid has 20000 cells"),
        ({"fixed": {"num_inputs": None}}, [], "num_inputs is null; a parameter that a study names needs a value"),
        ({"grid": {"max_episode_steps": [None, 5]}}, [], "max_episode_steps is null"),
        ({"fixed": {"out_dir": "x"}}, [], "out_dir is of the whole study"),
        ({"compare": {"metrics": "x"}}, [], "compare: unknown key 'metrics'"),
        ({"published": [{"what": "x"}]}, [], "must name what and metric"),
        ({}, ["--tournament_size=100"], "p_complexity_objective0.2-seed0: tournament_size"),
        ({}, ["--num_workers=0"], "command line: num_workers is 0; it must be a whole number, at least 1"),
        ({}, ["--populaton_size=9"], "unknown parameter 'populaton_size'; did you mean population_size?"),
        ({}, ["other.yaml"], "one study file is needed, not 2"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(write, tmp_path, changes, arguments, said):
    with pytest.raises(InputError) as caught:
        read(write(**changes), f"--out_dir={tmp_path / 'out'}", *arguments)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def made_cell(folder, params, provenance=None):
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params.as_dict()))
    if provenance is not None:
        (folder / "champion_network.json").write_text(json.dumps({"provenance": provenance}))


def test_a_cell_of_other_parameters_is_named(write, tmp_path):
    study = read(write(), f"--out_dir={tmp_path / 'out'}")
    cell = study.cells[0]
    made_cell(study.folder / cell.name, cell.params)
    (study.folder / "study.yaml").write_text(yaml.safe_dump(dict(study.content)))
    module.check_folder(study)  # as it should be
    more = read(write(), f"--out_dir={tmp_path / 'out'}", "--num_generations=9", "--num_workers=4")
    module.check_folder(more)  # a run may be given more generations, and other workers
    for argument, said in (
        ("--elite_ratio=0.5", "elite_ratio was 0.2 and is 0.5"),
        ("--num_generations=2", "num_generations was 3 and is 2"),
    ):
        with pytest.raises(InputError, match=f"{cell.name} was made with other parameters: {said}"):
            module.check_folder(read(write(), f"--out_dir={tmp_path / 'out'}", argument))


def test_what_a_run_settles_by_itself_is_no_difference(write, tmp_path):
    """A run records the image size and the deskewing that it used."""
    changes = {"script": "run-wlnn-mnist", "params_file": "params/wlnn-mnist/mnist-backprop.yaml", "fixed": {}}
    file = write(**changes, grid={"dataset": ["mnist"]})
    study = read(file, f"--out_dir={tmp_path / 'out'}")
    (cell,) = study.cells
    made_cell(study.folder / cell.name, cell.params)
    there = study.folder / cell.name / "params.yaml"
    recorded = yaml.safe_load(there.read_text())
    assert (recorded["image_size"], recorded["deskew"]) == (16, True)
    (study.folder / "study.yaml").write_text(yaml.safe_dump(dict(study.content)))
    module.check_folder(study)
    there.write_text(yaml.safe_dump(recorded | {"image_size": 8}))
    with pytest.raises(InputError, match="image_size was 8 and is 16"):
        module.check_folder(study)


def test_a_cell_of_another_version_is_named(write, tmp_path):
    study = read(write(), f"--out_dir={tmp_path / 'out'}")
    cell = study.cells[0]
    made_cell(study.folder / cell.name, cell.params, {"code": "commit 123", "versions": {}})
    (study.folder / "study.yaml").write_text(yaml.safe_dump(dict(study.content)))
    with pytest.raises(InputError, match="was made by another version: the program was 'commit 123' and is"):
        module.check_folder(study)
    module.check_folder(read(write(), f"--out_dir={tmp_path / 'out'}", "--other_versions"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grid": {"elite_ratio": [0.1], "seed": "0..1"}}, "its grid is over p_complexity_objective, seed"),
        (
            {"script": "run-wann-classification", "params_file": "params/wann-classification/digits.yaml", "fixed": {}},
            "its script is 'run-wann-gym', not run-wann-classification",
        ),
    ],
)
def test_another_studys_folder_is_refused(write, tmp_path, changes, said):
    study = read(write(), f"--out_dir={tmp_path / 'out'}")
    study.folder.mkdir()
    (study.folder / "study.yaml").write_text(yaml.safe_dump(dict(study.content)))
    with pytest.raises(InputError, match=f"is another study's: {said}"):
        module.check_folder(read(write(**changes), f"--out_dir={tmp_path / 'out'}"))


def test_a_folder_that_is_no_studys_is_refused(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is no study's folder"):
        module.check_folder(read(write(), f"--out_dir={tmp_path / 'out'}"))


# ---- running --------------------------------------------------------------------------------------------------------


def test_a_study_that_is_killed_ends_as_one_that_is_not(write, tmp_path, capsys):
    """Three times SIGKILL to the study alone: its cells end with it, and the next call goes on."""
    file, whole, killed = write(), tmp_path / "whole", tmp_path / "killed"
    status, out, err = finish(file, f"--out_dir={whole}")
    assert (status, err) == (0, "")
    assert "2 of 2 cells are done" in out
    one, other = "p_complexity_objective0.2-seed0", "p_complexity_objective0.2-seed1"
    for moment in (f"{one}/params.yaml", f"{one}/checkpoint.npz", f"{other}/champion_network.json"):
        process = start(file, f"--out_dir={killed}")
        end = time.monotonic() + 60
        while not (killed / moment).exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(0.2)  # the kernel ends the cell
    status, out, err = finish(file, f"--out_dir={killed}")
    assert (status, err) == (0, "")
    for cell in (one, other):
        assert_same(whole / cell, killed / cell)
    assert (whole / "study.yaml").read_bytes() == (killed / "study.yaml").read_bytes()
    # a cell is what the script makes
    arguments = [PARAMS_FILE, "--p_complexity_objective=0.2", "--seed=0", "--num_workers=1"]
    arguments += [f"--{key}={value}" for key, value in FILE["fixed"].items()]
    subprocess.run(
        [sys.executable, "run-wann-gym.py", *arguments, f"--out_dir={tmp_path / one}"],
        cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert_same(whole / one, tmp_path / one)
    assert module.main([file, f"--out_dir={whole}", "--dry_run"], utils.check_settings, "") == 0
    said = capsys.readouterr().out
    assert f"{one}: done" in said
    assert "2 of 2 cells are done; nothing is left to do" in said


def test_a_cell_that_fails_is_recorded_and_the_others_go_on(write, tmp_path):
    file = write(grid={"env_name": ["Nonsense-v0", "CartPole-v0"]}, fixed=TINY | {"num_generations": 1})
    status, out, err = finish(file, f"--out_dir={tmp_path / 'out'}")
    assert status == 1
    assert "1 of 2 cells are done" in out
    assert err.splitlines()[-1].startswith("error: 1 cells failed: Nonsense-v0; ")
    journal = module.read_journal(tmp_path / "out")
    assert journal["CartPole-v0"].status == "done"
    assert journal["Nonsense-v0"].status == "failed"
    assert "Nonsense" in journal["Nonsense-v0"].line


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("a warning\nerror: no such file\n", "no such file"),
        ("Traceback (most recent call last):\n  File x\n    f()\nRuntimeError: two\nlines\n", "RuntimeError: two"),
        ("", ""),
    ],
)
def test_a_failed_cells_line_names_the_cause(said, line):
    assert module._last_word(said) == line


def test_time_that_is_over_and_signals_leave_what_can_be_gone_on_with(write, tmp_path):
    fixed = TINY | {"num_generations": 10**6, "test_every": 10**6}
    file, folder = write(fixed=fixed, grid={"seed": [0]}), tmp_path / "out"
    status, out, _ = finish(file, f"--out_dir={folder}", "--max_minutes=0.02")
    assert status == 0
    assert "The time is over; the next call goes on." in out
    assert module.read_journal(folder)["seed0"].status == "stopped"
    # The first call may have left a checkpoint: that the second one's cell runs, and so its signals are handled, says
    # what it adds to the log.
    log, checkpoint = folder / "seed0" / "seed0.log", folder / "seed0" / "checkpoint.npz"
    before = log.stat().st_size if log.exists() else 0
    process = start(file, f"--out_dir={folder}")
    while not (checkpoint.exists() and log.stat().st_size > before):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert module.read_journal(folder)["seed0"].status == "stopped"


def test_an_estimate_is_made_of_what_was_timed(write, tmp_path):
    study = read(write(grid={"seed": "0..3"}), f"--out_dir={tmp_path / 'out'}")
    assert module._estimate(study, study.cells, {}) == "none has been timed yet"
    journal = {
        "seed0": module.Outcome("done", 300.0, 3), "seed1": module.Outcome("stopped", 60.0, 3),
    }  # fmt: skip
    # 100 s for each generation: 240 s for what is left of seed 1, 300 for each of the other two
    said = module._estimate(study, study.cells[1:], journal)
    assert said == "the rest may take 14.0 minutes, by the 1 that are timed"
