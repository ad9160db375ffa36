"""How networks are trained: the names and defaults are those of the parameters. Importing this brings no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from evolution.errors import InputError
from learning import LEARNING_RULES

OPTIMIZER_NAMES = ("sgd", "adam", "adadelta")


@dataclass(frozen=True)
class TrainingSettings:
    """A learning rule, its constants, an optimiser, and for how long; see `docs/parameters.md`.

    Raises InputError for a rule or an optimiser that is not known.
    """

    learning_rule: str = "backprop"  # a name of LEARNING_RULES, or "module:class"
    optimizer: str = "adam"
    lr: float = 0.01
    batch_size: int = 256
    num_epochs: int = 5
    lr_hebbian: float | None = None  # of what no optimiser trains; None: as lr
    sign_symmetry_scale: float = 0.5
    kolen_pollack_decay: float = 0.005  # for each batch, as all decays and rates below
    weight_mirror_rate: float = 0.01
    weight_mirror_decay: float = 0.01
    direct_kolen_pollack_decay: float = 0.005
    local_loss_scale: float = 0.1
    noise_sigma: float = 0.1  # of node perturbation and reward modulation
    reward_average_rate: float = 0.1
    pepita_scale: float = 0.001
    predictive_steps: int = 20
    predictive_rate: float = 0.01
    soft_hebb_temperature: float = 1.0

    def __post_init__(self) -> None:
        rule_path(self.learning_rule)
        if self.optimizer not in OPTIMIZER_NAMES:
            raise InputError(f"unknown optimizer {self.optimizer!r:.60}; known are {', '.join(OPTIMIZER_NAMES)}")

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """The settings among a run's parameters by name; what is not there has its default.

        With `train_only_outputs` the rule is `last_layer` whatever the rule, since all of them train the connections
        into the outputs alike.
        """
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in params.items() if name in names}
        settings = cls(**values)  # an unknown rule is an error either way
        if params.get("train_only_outputs"):
            settings = cls(**(values | {"learning_rule": "last_layer"}))
        return settings

    @property
    def hebbian_rate(self) -> float:
        """The rate of what no optimiser trains."""
        return self.lr if self.lr_hebbian is None else self.lr_hebbian


def rule_path(name: str) -> str:
    """The "module:class" of a learning rule. Raises InputError for a name that is not known."""
    path = LEARNING_RULES.get(name, name)
    module, colon, cls = path.partition(":")
    if not (colon and cls.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise InputError(
            f"unknown learning_rule {name!r:.60}; known are {', '.join(LEARNING_RULES)}, or module:class of your own"
        )
    return path


def as_settings(settings: TrainingSettings | None, fields: Mapping[str, Any]) -> TrainingSettings:
    """Settings given as a whole or by their fields, `train_only_outputs` among them. Raises TypeError for other
    names.
    """
    known = {*TrainingSettings.__dataclass_fields__, "train_only_outputs"}
    if unknown := set(fields) - known:
        raise TypeError(f"unknown training settings: {', '.join(sorted(unknown))}")
    return TrainingSettings.of({**(asdict(settings) if settings else {}), **fields})


def check_batch_size(batch_size: int, num_images: int) -> None:
    """Raise InputError where a batch is larger than the data set: no batch would be left to train on."""
    if not 1 <= batch_size <= num_images:
        raise InputError(f"batch_size is {batch_size}; there are {num_images} training images, so 1..{num_images}")
