"""The parameters: each is declared once, in DECLARED; YAML, command line, --help and the table come from there."""

import argparse
import difflib
import math
import os
import re
import reprlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evolution.errors import InputError, unreadable
from evolution.files import network_path
from experiment import EXPERIMENTS, Experiment

LARGE = 10**9  # more of anything is a slip of the keyboard
LARGEST_FILE = 10**6  # bytes of a parameter file
PARAMS_FILE = "params.yaml"
REQUIRED = object()


class ByGroup(dict[str, Any]):
    """A default that differs: the first of its groups that an experiment has decides."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: what it means, what it may be, and which experiments use it."""

    name: str
    type: type[Any]  # int, float, bool, str, dict (names to values), or list (of numbers; a text is taken too)
    default: Any  # a value, or a ByGroup; None where it follows from something else, REQUIRED where there is none
    help: str
    groups: tuple[str, ...] = ()  # an experiment that has all of these uses it
    low: float | None = None
    high: float | None = None
    below: float | None = None  # like high, itself excluded
    above: float | None = None  # like low, itself excluded
    choices: tuple[str, ...] | Callable[[], Iterable[str]] = ()  # a function where others may add to them
    from_outside: bool = False  # besides the choices, "module:class" of one's own
    changeable: bool = False  # when a run is resumed, since it changes no result
    path_of: Callable[[str], Path] | None = None  # what a text names; made absolute
    idle: Callable[["Params"], str | None] = lambda params: None  # why it has no effect beside the others
    of_the_start: bool = False  # about one start of the program, not about the experiment: not in params.yaml

    def default_for(self, experiment: Experiment) -> Any:
        if self.name in experiment.defaults:
            return experiment.defaults[self.name]
        if isinstance(self.default, ByGroup):
            return next(value for group, value in self.default.items() if group in experiment.groups)
        return self.default

    def is_used_by(self, experiment: Experiment) -> bool:
        return experiment.groups.issuperset(self.groups)

    @property
    def known(self) -> tuple[str, ...]:
        """The choices there are now."""
        return tuple(self.choices() if callable(self.choices) else self.choices)

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        if self.choices:
            return "one of " + ", ".join(self.known) + (", or module:class" if self.from_outside else "")
        bounds = [
            f"at least {self.low}" if self.low is not None else "",
            f"above {self.above}" if self.above is not None else "",
            f"at most {self.high}" if self.high is not None else "",
            f"below {self.below}" if self.below is not None else "",
        ]
        return ", ".join([_KINDS[self.type], *filter(None, bounds)])

    def parse(self, text: str, where: str) -> Any:
        """A value from the command line."""
        value: Any
        try:
            if self.type is bool:
                value = _TRUTH[text]
            elif self.type in (dict, list):
                value = from_yaml(text)
                if self.type is list and not isinstance(value, list):
                    value = text
            else:
                value = self.type(text)
        except (ValueError, KeyError):
            raise self.error(text, where) from None
        return self.check(value, where)

    def check(self, value: Any, where: str) -> Any:
        """The value, converted to the parameter's type. Raises InputError that names it and what is allowed."""
        if value is None and self.default is None:
            return None
        if self.type is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGE:
            value = float(value)
        fits = type(value) is self.type or (self.type is list and type(value) is str)
        if fits and type(value) is str:
            fits = value.isprintable() and value != "" and self._is_choice(value)
        elif fits and self.type in (int, float):
            fits = self._is_within_bounds(value)
        elif fits and self.type is list:
            fits = 0 < len(value) <= LARGEST_FILE and all(_is_number(v) and self._is_within_bounds(v) for v in value)
        elif fits and self.type is dict:
            fits = all(isinstance(key, str) for key in value) and _is_plain(value)
        if not fits:
            raise self.error(value, where)
        return str(self.path_of(value).absolute()) if self.path_of else value

    def _is_choice(self, value: str) -> bool:
        named = self.from_outside and re.fullmatch(r"[\w.]+:\w+", value) is not None
        return not self.choices or value in self.known or named

    def _is_within_bounds(self, value: float) -> bool:
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and value <= (LARGE if self.high is None else self.high)
            and (self.below is None or value < self.below)
        )

    def error(self, value: Any, where: str) -> InputError:
        too_large = self.high is None and type(value) in (int, float) and value > LARGE
        limit = f", at most {LARGE}" if too_large else ""
        return InputError(f"{where}: {self.name} is {show(value)}; it must be {self.allowed}{limit}")


_TRUTH = {"true": True, "false": False, "True": True, "False": False}
_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a line of text",
    dict: "names and their values, {name: value, ...}",
    list: "numbers, [a, b, ...], or a line of text",
}
_METAVAR = {int: "N", float: "X", bool: "true|false", str: "TEXT", dict: "{NAME: VALUE}", list: "[X, ...]"}


def _at_home(text: str) -> Path:
    return Path(os.path.expanduser(text))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_plain(value: Any) -> bool:
    """Whether it is data that YAML gives back as it was."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and k.isprintable() and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value.isprintable()
    return value is None or isinstance(value, bool | int)


def _replaced_by_a_network(params: "Params") -> str | None:
    return "the saved network decides it" if getattr(params, "network", None) is not None else None


def _without_mutations(params: "Params") -> str | None:
    return "num_mutations is 0" if getattr(params, "num_mutations", None) == 0 else None


def _without_hidden(params: "Params") -> str | None:
    """Of a network that is trained alone: where nothing makes hidden neurons."""
    none = getattr(params, "num_hidden", None) == 0 and _without_mutations(params)
    return _replaced_by_a_network(params) or ("num_hidden and num_mutations are 0" if none else None)


def _without_scheduler(params: "Params") -> str | None:
    return None if params.backend == "dask" else "only the backend dask has a scheduler"


def _by_the_scheduler(params: "Params") -> str | None:
    return "the workers are those of the scheduler" if params.backend == "dask" else None


def _without_files(params: "Params") -> str | None:
    from envs.datasets import has_files

    return None if has_files(params.dataset) else f"{params.dataset} has no files"


def _replaced_by_last_layer(params: "Params") -> str | None:
    return "with train_only_outputs every rule is last_layer" if params.train_only_outputs else None


def _of_rules(*rules: str) -> Callable[["Params"], str | None]:
    """For a constant that of our rules only these read; one of one's own may read any."""

    def idle(params: "Params") -> str | None:
        rule = "last_layer" if params.train_only_outputs else params.learning_rule
        from_outside = ":" in rule or not _is_ours(rule)
        return None if rule in rules or from_outside else f"{rule} has no use for it, but {', '.join(rules)}"

    return idle


def _is_ours(rule: str) -> bool:
    from learning import LEARNING_RULES

    return LEARNING_RULES[rule].startswith("learning.rules.")


def _without_out_dir(params: "Params") -> str | None:
    new = params.overwrite_output and params.out_dir is None
    return "there is no out_dir, so the folder is new" if new else None


def _learning_rules() -> Iterable[str]:
    from learning import LEARNING_RULES  # whoever only evolves weight agnostic networks needs none of it

    return LEARNING_RULES


def _activations() -> Iterable[str]:
    from evolution.genome import ACTIVATION_NAMES

    return ACTIVATION_NAMES


def _data_sets() -> Iterable[str]:
    from envs.datasets import DATASETS

    return DATASETS


# fmt: off
DECLARED: dict[str, list[Parameter]] = {
    "evolution": [
        Parameter("cull_ratio", float, 0.2, "share of the population that is dropped", ("evolution",), low=0, below=1),
        Parameter("elite_ratio", float, 0.2, "share of it that is copied unchanged", ("evolution",), low=0, high=1),
        Parameter("num_generations", int, 1024, "generations to evolve", ("evolution",), low=1, changeable=True),
        Parameter("population_size", int, 192, "networks in a generation", ("evolution",), low=1, high=10**6),
        Parameter("p_add_connection", float, ByGroup(wann=0.25, learning=0.5), "probability of add connection",
                  low=0, high=1, idle=_without_mutations),
        Parameter("p_add_node", float, ByGroup(wann=0.25, learning=0.5), "probability of add node", low=0, high=1,
                  idle=_without_mutations),
        Parameter("p_change_activation", float, 0.5, "probability of change activation", ("wann",), low=0, high=1),
        Parameter("tournament_size", int, 16, "networks that compete to be a parent", ("evolution",), low=1),
        Parameter("inherit_weights", bool, False,
                  "children start from their parent's trained weights; else mutations redraw all weights",
                  ("evolution", "learning")),
        Parameter("num_mutations_per_generation", int, 1, "mutations of a child", ("evolution",), low=1, high=10**4),
        Parameter("p_complexity_objective", float, 0.8,
                  "probability that a generation is ranked by reward and 1/connections", ("evolution",), low=0, high=1),
    ],
    "evaluation": [
        Parameter("batch_size", int, ByGroup(wann=1000, learning=256), "images in a batch", ("images",), low=1),
        Parameter("batch_size_eval", int, 1000, "images in a batch when testing", ("learning",), low=1),
        Parameter("evaluation_period", str, "last_epoch", "batches that reward and accuracy are averaged over",
                  ("evolution", "learning"),
                  choices=("last_epoch", "last_batch", "last_ten_batches", "first_ten_batches", "integral")),
        Parameter("shared_weights", list, [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0],
                  "weights to evaluate at; random: N draws N from [-2, 2] in each generation", ("wann",)),
        Parameter("num_trials", int, 1, "episodes for each shared weight", ("episodes",), low=1, high=10**6),
        Parameter("test_every", int, 20, "generations between tests of the champion", ("evolution",), low=1),
    ],
    "training": [
        Parameter("learning_rule", str, "backprop", "how weights learn", ("learning",), choices=_learning_rules,
                  from_outside=True, idle=_replaced_by_last_layer),
        Parameter("lr", float, 0.01, "learning rate", ("learning",), above=0, high=10**6),
        Parameter("num_epochs", int, ByGroup({"one network": 100, "learning": 5}), "epochs of training", ("learning",),
                  low=1),
        Parameter("num_epochs_long", int, 10, "epochs of training before a champion's test", ("evolution", "learning"),
                  low=1),
        Parameter("optimizer", str, "adam", "optimiser", ("learning",), choices=("sgd", "adam", "adadelta")),
        Parameter("train_only_outputs", bool, False, "train only the connections into the outputs", ("learning",)),
        Parameter("lr_hebbian", float, None, "learning rate of what no optimiser trains; else lr", ("learning",),
                  above=0, high=10**6, idle=_of_rules("hebbian", "soft_hebb")),
        Parameter("sign_symmetry_scale", float, 0.5, "magnitude of the feedback weights", ("learning",), above=0,
                  idle=_of_rules("sign_symmetry", "sign_symmetry_fixed", "sign_symmetry_batch")),
        Parameter("kolen_pollack_decay", float, 0.005, "decay of weights and feedback in a batch", ("learning",),
                  low=0, below=1, idle=_of_rules("kolen_pollack")),
        Parameter("weight_mirror_rate", float, 0.01, "growth of the feedback in a batch", ("learning",), low=0, high=1,
                  idle=_of_rules("weight_mirror")),
        Parameter("weight_mirror_decay", float, 0.01, "decay of the feedback in a batch", ("learning",), low=0,
                  below=1, idle=_of_rules("weight_mirror")),
        Parameter("direct_kolen_pollack_decay", float, 0.005, "decay of the feedback in a batch", ("learning",), low=0,
                  below=1, idle=_of_rules("direct_kolen_pollack")),
        Parameter("local_loss_scale", float, 0.1, "spread of the hidden layers' readouts", ("learning",), above=0,
                  idle=_of_rules("local_loss")),
        Parameter("noise_sigma", float, 0.1, "spread of the noise of node_perturbation and reward_modulated",
                  ("learning",), above=0, idle=_of_rules("node_perturbation", "reward_modulated")),
        Parameter("reward_average_rate", float, 0.1, "share of a batch in the running mean of reward_modulated",
                  ("learning",), above=0, high=1, idle=_of_rules("reward_modulated")),
        Parameter("pepita_scale", float, 0.001, "spread of the weights from errors to images", ("learning",), above=0,
                  idle=_of_rules("pepita")),
        Parameter("predictive_steps", int, 20, "steps in which the values of predictive_coding relax", ("learning",),
                  low=1, high=10**4, idle=_of_rules("predictive_coding")),
        Parameter("predictive_rate", float, 0.01, "length of these steps", ("learning",), above=0, high=1,
                  idle=_of_rules("predictive_coding")),
        Parameter("soft_hebb_temperature", float, 1.0, "of the competition in soft_hebb", ("learning",), above=0,
                  idle=_of_rules("soft_hebb")),
    ],
    "architecture": [
        Parameter("num_inputs", int, None, "inputs; the task knows them", low=1),
        Parameter("num_outputs", int, None, "outputs; the task knows them", low=1),
        Parameter("p_initial_connection_enabled", float, ByGroup({"wann": 0.5, "one network": 1.0, "learning": 0.05}),
                  "probability of each input-output connection in a new genome", low=0, high=1,
                  idle=_replaced_by_a_network),
        Parameter("use_bias", bool, False, "one more input that is always 1", idle=_replaced_by_a_network),
        Parameter("hidden_activation", str, "relu", "activation of hidden neurons", ("learning",),
                  choices=_activations, idle=_without_hidden),
        Parameter("num_mutations", int, 0, "random mutations before training", ("one network",), low=0, high=10**6),
        Parameter("num_hidden", int, 0, "neurons of one dense hidden layer", ("one network",), low=0, high=10**5),
        Parameter("network", str, None, "file of a saved network to train, or champions/NAME", ("one network",),
                  path_of=network_path),
        Parameter("keep_weights", bool, False, "start from the saved network's weights", ("one network",)),
    ],
    "task and data set": [
        Parameter("dataset", str, REQUIRED, "the images, or signals", ("images",), choices=_data_sets),
        Parameter("data_dir", str, None, "folder or file of the data set; else a variable (MNIST_DIR), else data/",
                  ("images",), changeable=True, path_of=_at_home, idle=_without_files),
        Parameter("image_size", int, None, "pixels a side that images are resized to; else 16, and 8 for digits",
                  ("images",), low=1, high=1024),
        Parameter("deskew", bool, None, "shear images upright; else for mnist alone", ("images",)),
        Parameter("env_name", str, REQUIRED, "id of a Gymnasium environment, or CartPoleSwingUp", ("episodes",)),
        Parameter("env_kwargs", dict, {}, "arguments of the environment", ("episodes",)),
        Parameter("observation_size", int, None, "pixels a side that observed images are resized to, in grey",
                  ("episodes",), low=1, high=1000),
        Parameter("max_episode_steps", int, None, "longest episode; else the environment's own limit", ("episodes",),
                  low=1),
        Parameter("on_env_error", str, "stop", "if the environment fails: end the run, or rank the network last",
                  ("episodes",), choices=("stop", "rank_last"), changeable=True),
    ],
    "computation": [
        Parameter("num_workers", int, 1, "processes or threads that evaluate", ("evolution",), low=1, high=4096,
                  changeable=True, idle=_by_the_scheduler),
        Parameter("backend", str, "loky", "what carries the workers that are processes", ("evolution",),
                  choices=("loky", "threading", "dask"), changeable=True),
        Parameter("scheduler_address", str, None, "address of a Dask scheduler (tcp://host:port)", ("evolution",),
                  changeable=True, idle=_without_scheduler),
        Parameter("evaluator", str, "auto", "compiled kernels, readable reference, or compiled where it applies",
                  ("evolution",), choices=("auto", "reference", "compiled")),
        Parameter("take_argmax_action", bool, None,
                  "the action is the index of the largest output; else it follows from the environment", ("episodes",)),
        Parameter("scale_actions", bool, False, "map outputs in [-1, 1] onto the bounds of the actions", ("episodes",)),
        Parameter("use_cuda", bool, False, "compute on a GPU, with torch", ("images",)),
        Parameter("use_torch", bool, False, "compute with torch", ("wann", "images")),
        Parameter("seed", int, None, "decides the run; drawn and recorded where it is not given", low=0, high=10**18),
        Parameter("checkpoint_period", float, 60.0, "seconds between checkpoints", low=0, changeable=True),
        Parameter("max_minutes", float, None, "minutes after which the run stops, to be resumed", ("evolution",),
                  above=0, changeable=True, of_the_start=True),
    ],
    "miscellaneous": [
        Parameter("save_networks_every", int, 100, "generations between writings of all networks",
                  ("evolution", "learning"), low=1),
        Parameter("out_dir", str, None, "folder for the results; else out/<date and time>", of_the_start=True,
                  path_of=_at_home),
        Parameter("overwrite_output", bool, False, "replace the run that is in out_dir", of_the_start=True,
                  idle=_without_out_dir),
        Parameter("resume", str, None, "folder of a run to go on with", of_the_start=True, path_of=_at_home),
    ],
}
# fmt: on


def declared() -> dict[str, Parameter]:
    """All parameters by name, those that other modules added to DECLARED too."""
    return {parameter.name: parameter for group in DECLARED.values() for parameter in group}


def known_to(experiment: Experiment) -> dict[str, Parameter]:
    """What may be given to the experiment's script: all declared parameters, and its own."""
    return declared() | {parameter.name: parameter for parameter in experiment.parameters}


def used_by(experiment: Experiment) -> list[Parameter]:
    return [parameter for parameter in known_to(experiment).values() if parameter.is_used_by(experiment)]


class WithoutEffect(InputError):
    """Parameters of the command line that have no effect beside the others; `reasons` says why, by name."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
        super().__init__(f"command line: {without_effect(reasons)}")


def without_effect(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name} has no effect: {why}" for name, why in reasons.items())


class Params(argparse.Namespace):
    """An experiment's parameters as attributes, after all checks."""

    experiment: Experiment
    folder: Path | None = None  # of the run, once there is one
    data_digest: str | None = None  # of the data set, once it is loaded: a short name for its content
    without_use: tuple[str, ...] = ()  # what was given, is known, and is nothing that this experiment uses
    without_effect: Mapping[str, str] = {}  # what the file gives and others make idle, and why

    def __getattr__(self, name: str) -> Any:  # for the type checker: parameters are known at run time
        raise AttributeError(name)

    @property
    def script(self) -> str:
        return self.experiment.name

    @property
    def task_name(self) -> str:
        """What is solved: the environment or the data set."""
        return self.script if self.experiment.task is None else str(getattr(self, self.experiment.task))

    def as_dict(self) -> dict[str, Any]:
        """What params.yaml records: the script and every parameter that belongs to the experiment."""
        return {"script": self.script} | {
            p.name: getattr(self, p.name)
            for p in used_by(self.experiment)
            if not p.of_the_start and p.idle(self) is None
        }

    def decisive(self) -> dict[str, Any]:
        """The parameters that a run's results depend on: those that stay when it is resumed."""
        return {
            p.name: getattr(self, p.name)
            for p in used_by(self.experiment)
            if p.idle(self) is None and not (p.of_the_start or may_change(p, self.experiment))
        }

    def idle(self, names: Iterable[str]) -> dict[str, str]:
        """Those of the parameters that have no effect beside the others, and why."""
        reasons = {p.name: p.idle(self) for p in used_by(self.experiment) if p.name in names}
        return {name: why for name, why in reasons.items() if why is not None}


def may_change(parameter: Parameter, experiment: Experiment) -> bool:
    """Whether the parameter may differ when a run of the experiment is resumed."""
    return parameter.changeable or parameter.name == experiment.unit


def read_params(experiment: Experiment, description: str, arguments: Sequence[str]) -> Params:
    """The parameters in force: the command line wins over the file, the file over the defaults.

    With --resume the folder's params.yaml is the file. Raises InputError for anything that is wrong, SystemExit(0)
    after --help.
    """
    script, used = experiment.name, used_by(experiment)
    given = _parse_command_line(experiment, description, arguments)
    file, resume = given.pop("params_file", None), given.get("resume")
    if resume is not None:
        changeable = [p.name for p in used if may_change(p, experiment)]
        if file is not None:
            raise InputError(f"--resume {resume} takes its parameters from that folder, not from {file}")
        names = {p.name for p in used}
        fixed = [name for name in given if name in names and name not in (*changeable, "resume")]
        if fixed:
            raise InputError(
                f"--resume: {', '.join(fixed)} cannot be changed in a run that has begun; {', '.join(changeable)} can"
            )
        file = str(Path(resume) / PARAMS_FILE)
        if not is_run(Path(resume)):
            raise InputError(f"--resume {resume}: there is no run in this folder (no {PARAMS_FILE})")
    elif file is None:
        raise InputError(f"no parameter file: python {script}.py params/{script.removeprefix('run-')}/FILE.yaml")
    in_file = read_params_file(experiment, file)
    if in_file.get("resume") is not None:
        raise InputError(f"{file}: resume belongs on the command line: python {script}.py --resume FOLDER")
    values = {p.name: p.default_for(experiment) for p in used} | in_file | given
    missing = [p for p in used if values[p.name] is REQUIRED]
    if missing:
        raise InputError(f"{file}: {missing[0].name} is missing; it must be {missing[0].allowed}")
    unused = tuple(dict.fromkeys(name for name in (*in_file, *given) if name not in {p.name for p in used}))
    params = Params(experiment=experiment, without_use=unused, **{p.name: values[p.name] for p in used})
    if params.seed is None:
        params.seed = secrets.randbelow(2**31)
    if getattr(params, "backend", None) == "dask" and params.scheduler_address is None:
        raise InputError("backend dask needs scheduler_address, the address of its scheduler (tcp://host:port)")
    if idle := params.idle(given):
        raise WithoutEffect(idle)
    params.without_effect = params.idle(in_file)
    return params


def is_run(folder: Path) -> bool:
    try:
        return (folder / PARAMS_FILE).is_file()
    except OSError:  # the name is too long, say
        return False


def yaml_text(params: Params) -> str:
    """The content of params.yaml."""
    return yaml.safe_dump(params.as_dict(), sort_keys=False, allow_unicode=True)


# ---- files ----------------------------------------------------------------------------------------------------------


def read_params_file(experiment: Experiment, file: str) -> dict[str, Any]:
    """The parameters of a YAML file, checked, those too that the experiment has no use for. Raises InputError."""
    try:
        with open(file, "rb") as opened:
            text = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise unreadable(file, error) from None
    except ValueError as error:
        raise InputError(f"{show(file)} is the name of no file ({error})") from None
    if len(text) > LARGEST_FILE:
        raise InputError(f"{file}: too large for a parameter file")
    try:
        content = from_yaml(text)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: must be lines 'name: value', not {show(content)}")
    values = {}
    for name, value in content.items():
        if name == "script":
            if value != experiment.name:
                raise InputError(f"{file}: these are parameters of {show(value)}, not of {experiment.name}")
            continue
        parameter = parameter_named(experiment, name, file)
        value = parameter.check(value, file)
        if value is not None:
            values[parameter.name] = value
    return values


def from_yaml(text: bytes | str) -> Any:
    """What the YAML says. Raises InputError."""
    try:
        return yaml.load(text, _Loader)
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"not YAML ({error.problem}{place})") from None
    except Exception as error:  # PyYAML lets others through: a date of month 13, a tag it cannot apply, deep nesting
        raise InputError(f"not YAML ({one_line(error)[:200] or type(error).__name__})") from None


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key that is there twice and `<<`, and reads 1e-3 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        key, times = next(iter(keys.most_common(1)), ("", 0))
        if times > 1:
            raise InputError(f"{show(key)} is there twice (line {node.start_mark.line + 1} and after)")
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave `<<` alone, which is then an error: merging merged mappings takes memory without end."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


# ---- command line ---------------------------------------------------------------------------------------------------


def parameter_named(experiment: Experiment, name: Any, where: str) -> Parameter:
    known = known_to(experiment)
    if isinstance(name, str) and name in known:
        return known[name]
    near = difflib.get_close_matches(str(name)[:100], known, 1) if isinstance(name, str) else []
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{where}: unknown parameter {show(name)}{hint}")


def _parse_command_line(experiment: Experiment, description: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What the command line gives, checked: `--name value`, `--name=value`, and `--flag` for `--flag true`."""
    where, given = "command line", dict[str, Any]()
    rest = list(arguments)
    while rest:
        token = rest.pop(0)
        if token in ("-h", "--help"):
            print(help_text(experiment, description), end="")
            raise SystemExit(0)
        if not token.startswith("-"):
            if "params_file" in given:
                raise InputError(f"{where}: {show(token)} is one parameter file too many")
            given["params_file"] = token
            continue
        name, has_value, text = token.removeprefix("--").partition("=")
        parameter = parameter_named(experiment, name if token.startswith("--") else token, where)
        if not has_value:
            if parameter.type is bool and (not rest or rest[0] not in _TRUTH):
                text = "true"
            elif rest and not rest[0].startswith("--"):
                text = rest.pop(0)
            else:
                raise InputError(f"{where}: --{name} needs a value, {parameter.allowed}")
        value = parameter.parse(text, where)
        given[name] = value
    return given


def help_text(experiment: Experiment, description: str) -> str:
    """What --help prints: the parameters of this script by group."""
    script = experiment.name
    parser = argparse.ArgumentParser(
        f"{script}.py", description=description, usage=f"python {script}.py PARAMS_FILE [--name value ...]"
    )
    own = {f"of {script} alone": list(experiment.parameters)} if experiment.parameters else {}
    for group, parameters in (DECLARED | own).items():
        used = any(p.is_used_by(experiment) for p in parameters)
        arguments = parser.add_argument_group(group, None if used else "none: this script has no use for them")
        if group == "task and data set":
            arguments.add_argument("params_file", help="YAML file of parameters (see params/)")
        for p in parameters:
            if p.is_used_by(experiment):
                default = p.default_for(experiment)
                known = default is not None and default is not REQUIRED
                suffix = f" (default: {_plain(default)})" if known else ""
                text = (p.help + suffix).replace("%", "%%")
                arguments.add_argument(f"--{p.name}", metavar=_METAVAR[p.type], help=text)
    return parser.format_help()


def parameter_table() -> str:
    """The table of all parameters, in Markdown."""
    lines = ["| parameter | what | allowed | default | scripts |", "| --- | --- | --- | --- | --- |"]
    for group, parameters in DECLARED.items():
        lines.append(f"| **{group}** | | | | |")
        for p in parameters:
            users = [experiment for experiment in EXPERIMENTS.values() if p.is_used_by(experiment)]
            defaults = dict.fromkeys(_plain(p.default_for(experiment)) for experiment in users)
            scripts = ", ".join(experiment.name.removeprefix("run-") for experiment in users)
            scripts = "all" if len(users) == len(EXPERIMENTS) else scripts
            lines.append(f"| `{p.name}` | {p.help} | {p.allowed} | {' / '.join(defaults)} | {scripts} |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    if value is REQUIRED:
        return "required"
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def show(value: Any) -> str:
    """A value from outside, short enough for an error line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = 2
    try:
        return short.repr(value)[:300]
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"


def one_line(error: object) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    print(parameter_table(), end="")
