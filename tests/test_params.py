"""Parameters: what is in force, and one clear line for everything that is wrong."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

import utils
from evolution.errors import InputError
from evolution.selection import SelectionSettings
from experiment import EXPERIMENTS, GYM, WLNN, parameters
from experiment.folder import EVOLUTION, open_run
from learning.settings import TrainingSettings
from networks.reference import SHARED_WEIGHTS

ROOT = Path(__file__).parent.parent
FILES = [f for f in sorted((ROOT / "params").glob("*/*.yaml")) if f"run-{f.parent.name}" in EXPERIMENTS]
SWINGUP = str(ROOT / "params/wann-gym/CartPoleSwingUp.yaml")


def read(*arguments, experiment=GYM):
    return parameters.read_params(experiment, "", [str(a) for a in arguments])


def write(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_parameter_file_can_be_read(file):
    params = read(file, experiment=EXPERIMENTS[f"run-{file.parent.name}"])
    assert params.script == f"run-{file.parent.name}"
    if "evolution" not in file.parent.name:
        utils.evolution_settings(params)


OTHER_DATA = ("fashion_mnist", "kmnist", "mnist_1d", "file")


def test_all_files_of_the_specification_are_there():
    rules = ("backprop", "feedback_alignment", "hebbian", "last_layer")
    names = {f"{file.parent.name}/{file.stem}" for file in FILES}
    assert names == {
        *(f"wann-gym/{name}" for name in ("CartPole-v0", "CartPoleSwingUp", "BipedalWalker-v2")),
        "wann-classification/digits",
        "wann-classification/mnist",
        *(f"wann-classification/{name}" for name in OTHER_DATA),
        *(f"{folder}/{name}-backprop" for folder in ("wlnn-mnist", "wlnn-mnist-no-evolution") for name in OTHER_DATA),
        "wlnn-mnist/digits-backprop",
        *(f"wlnn-mnist/mnist-{rule}" for rule in rules),
        *(f"wlnn-mnist-no-evolution/mnist-{rule}" for rule in rules),
    }


def test_swing_up_has_the_values_of_the_specification():
    p = read(SWINGUP)
    assert (p.env_name, p.take_argmax_action, p.num_inputs, p.num_outputs) == ("CartPoleSwingUp", False, 5, 1)
    assert (p.num_generations, p.population_size, p.tournament_size, p.num_trials) == (1024, 192, 16, 3)
    assert (p.p_initial_connection_enabled, p.test_every) == (0.5, 50)
    assert (p.p_change_activation, p.p_add_node, p.p_add_connection) == (0.5, 0.25, 0.25)
    assert (p.elite_ratio, p.cull_ratio, p.p_complexity_objective) == (0.2, 0.2, 0.8)


def test_command_line_wins_over_file_and_file_over_default(tmp_path):
    file = write(tmp_path, "env_name: X\npopulation_size: 50\nlr: 0.5\n")
    p = read(file, "--population_size", 60)
    assert (p.env_name, p.population_size, p.num_trials) == ("X", 60, 1)
    assert not hasattr(p, "lr")  # known, but this script has no use for it
    assert read(file, "--population_size=61").population_size == 61


def test_a_seed_is_drawn_and_recorded_where_none_is_given():
    seeds = {read(SWINGUP).seed for _ in range(5)}
    assert len(seeds) == 5
    assert read(SWINGUP, "--seed", 7).as_dict()["seed"] == 7


def test_what_is_recorded_can_be_read_again(tmp_path):
    first = read(SWINGUP, "--seed", 7, "--p_add_node", "0.25", "--out_dir", tmp_path / "x")
    again = read(write(tmp_path, parameters.yaml_text(first)))
    assert again.as_dict() == first.as_dict()
    assert again.out_dir is None


def test_numbers_as_people_write_them(tmp_path):
    file = write(tmp_path, "dataset: digits\nlr: 1e-3\ncheckpoint_period: 5\n")
    p = read(file, experiment=WLNN)
    assert (p.lr, p.checkpoint_period) == (0.001, 5.0)
    assert isinstance(p.checkpoint_period, float)


@pytest.mark.parametrize(("text", "value"), [("--scale_actions", True), ("--scale_actions=false", False)])
def test_a_flag_needs_no_value_and_takes_nothing_away(text, value):
    p = read(text, SWINGUP)
    assert p.scale_actions is value
    assert p.env_name == "CartPoleSwingUp"


WRONG = {
    "unknown on the command line": (["--populaton_size", "3"], "populaton_size.*did you mean population_size"),
    "wrong type": (["--population_size", "many"], "population_size is 'many'.*whole number"),
    "a fraction for a count": (["--population_size", "3.5"], "population_size is '3.5'"),
    "below the range": (["--num_generations", "0"], "num_generations is 0.*at least 1"),
    "negative": (["--seed", "-1"], "seed is -1.*at least 0"),
    "above the range": (["--p_add_node", "1.5"], "p_add_node is 1.5.*at most 1"),
    "not a number": (["--p_add_node", "nan"], "p_add_node is nan"),
    "infinite": (["--p_add_node", "inf"], "p_add_node is inf"),
    "no value": (["--seed"], "--seed needs a value"),
    "no such choice": (["--evaluator", "fast"], "evaluator is 'fast'.*auto, reference, compiled"),
    "not true or false": (["--take_argmax_action=maybe"], "true or false"),
    "one file too many": ([SWINGUP], "one parameter file too many"),
    "a short option": (["-x"], "unknown parameter '-x'"),
    "dask without address": (["--backend", "dask"], "scheduler_address"),
    "resume and file": (["--resume", "x"], "takes its parameters from that folder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_command_lines_are_one_line_that_says_what_is_allowed(case):
    arguments, expected = WRONG[case]
    with pytest.raises(InputError, match=expected) as error:
        read(SWINGUP, *arguments)
    assert "\n" not in str(error.value)


WRONG_FILES = {
    "unknown name": ("env_name: X\npopulaton_size: 3\n", "populaton_size.*did you mean population_size"),
    "wrong type": ("env_name: X\npopulation_size: many\n", "population_size is 'many'"),
    "truth for a number": ("env_name: X\npopulation_size: true\n", "population_size is True"),
    "number for a text": ("env_name: 3\n", "env_name is 3.*a line of text"),
    "a list": ("- 1\n- 2\n", "lines 'name: value'"),
    "nothing": ("", "lines 'name: value'"),
    "twice": ("env_name: X\nseed: 1\nseed: 2\n", "'seed' is there twice"),
    "not YAML": ("a: [1\n", "not YAML.*line"),
    "a tag that would run code": ("env_name: !!python/object/apply:os.system ['true']\n", "not YAML"),
    "a date of month 13": ("env_name: 2020-13-45\n", "not YAML"),
    "missing": ("population_size: 3\n", "env_name is missing"),
    "another script's": ("script: run-wlnn-mnist\nenv_name: X\n", "run-wlnn-mnist"),
    "deep": ("[" * 5000, "not YAML"),
    "huge": ("env_name: X\npopulation_size: 0x" + "f" * 5000, "population_size is a number of thousands of digits"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files_are_one_line_that_names_the_file(case, tmp_path):
    text, expected = WRONG_FILES[case]
    file = write(tmp_path, text)
    with pytest.raises(InputError, match=expected) as error:
        read(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_parameter_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match=re.escape("no parameter file: python run-wann-gym.py params/wann-gym/")):
        read()


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))
def test_help_shows_the_seven_groups_and_only_what_the_script_uses(experiment):
    text = parameters.help_text(experiment, "")
    headings = re.findall(r"^([a-z ]+):$", text, re.MULTILINE)
    assert [h for h in headings if h != "options"] == [
        "evolution",
        "evaluation",
        "training",
        "architecture",
        "task and data set",
        "computation",
        "miscellaneous",
    ]
    for p in parameters.declared().values():
        assert (f"--{p.name} " in text) == p.is_used_by(experiment)
        assert not p.is_used_by(experiment) or " ".join(p.help.split()[:3]) in " ".join(text.split())


def test_defaults_are_allowed_values():
    for experiment in EXPERIMENTS.values():
        for p in parameters.used_by(experiment):
            default = p.default_for(experiment)
            if default is not parameters.REQUIRED and default is not None:
                assert p.check(default, "") == default


def test_sizes_must_be_the_tasks_own():
    utils.check_sizes(read(SWINGUP), 5, 1)
    with pytest.raises(InputError, match="num_inputs is 6, but CartPoleSwingUp has 5"):
        utils.check_sizes(read(SWINGUP, "--num_inputs", 6), 5, 1)


def test_folders_are_made_whole_or_not_at_all(tmp_path):
    params = read(SWINGUP, "--seed", 1, "--out_dir", tmp_path / "deep/run")
    with open_run(params, EVOLUTION) as (run, state):
        run.log.info("hello")
        assert state is None
        assert yaml.safe_load((run.path / "params.yaml").read_text())["seed"] == 1
    assert "hello" in (tmp_path / "deep/run/run.log").read_text()
    with pytest.raises(InputError, match="exists"), open_run(params, EVOLUTION):
        pass
    replaced = read(SWINGUP, "--seed", 2, "--out_dir", tmp_path / "deep/run", "--overwrite_output")
    with open_run(replaced, EVOLUTION):
        pass
    assert "hello" not in (tmp_path / "deep/run/run.log").read_text()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["run"]


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("five years of work")
    params = read(SWINGUP, "--out_dir", tmp_path, "--overwrite_output")
    with pytest.raises(InputError, match="no run's folder"), open_run(params, EVOLUTION):
        pass
    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    params = read(SWINGUP, "--out_dir", tmp_path / "file/run")
    with pytest.raises(InputError, match="cannot be written"), open_run(params, EVOLUTION):
        pass


def test_resuming_takes_the_folders_parameters_and_few_others(tmp_path):
    with open_run(read(SWINGUP, "--seed", 5, "--out_dir", tmp_path / "run"), EVOLUTION):
        pass
    p = read("--resume", tmp_path / "run", "--num_generations", 2000, "--num_workers", 2)
    assert (p.seed, p.num_generations, p.num_workers, p.population_size) == (5, 2000, 2, 192)
    with pytest.raises(InputError, match="population_size cannot be changed"):
        read("--resume", tmp_path / "run", "--population_size", 3)
    with pytest.raises(InputError, match="no run in this folder"):
        read("--resume", tmp_path)
    with pytest.raises(InputError, match="parameters of 'run-wann-gym', not of run-wlnn-mnist"):
        read("--resume", tmp_path / "run", experiment=WLNN)


def test_show_is_short_whatever_it_gets():
    bomb: list = ["x" * 1000]
    for _ in range(100):
        bomb = [bomb] * 10
    for value in (bomb, 10**10000, "y" * 10**6, {i: i for i in range(1000)}, np.float32(3)):
        assert len(parameters.show(value)) < 5000


@pytest.mark.parametrize(("settings", "experiment"), [(SelectionSettings(), GYM), (TrainingSettings(), WLNN)])
def test_settings_made_without_a_script_have_the_defaults_of_the_parameters(settings, experiment):
    declared = parameters.declared()
    shared = [field.name for field in fields(settings) if field.name in declared]
    assert len(shared) >= 4
    for name in shared:
        assert getattr(settings, name) == declared[name].default_for(experiment), name


def test_the_shared_weights_are_the_papers():
    assert parameters.declared()["shared_weights"].default == list(SHARED_WEIGHTS) == [-2, -1, -0.5, 0.5, 1, 2]


@pytest.mark.parametrize(("name", "bound"), [("lr", 0), ("reward_average_rate", 0), ("cull_ratio", 1)])
def test_a_bound_that_is_excluded_is_refused(name, bound):
    parameter = parameters.declared()[name]
    parameter.check(0.5, "here")
    with pytest.raises(InputError, match=f"^here: {name} is {bound}"):
        parameter.check(bound, "here")
