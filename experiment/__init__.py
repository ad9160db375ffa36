"""What surrounds a run, and knows no science: parameters, folder, program, observers; and the experiments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiment.parameters import Parameter


@dataclass(frozen=True)
class Experiment:
    """What tells one script's experiments from another's.

    `groups` say what it deals with; a parameter belongs to every experiment that has all of the parameter's groups:
    evolution (an outer loop), wann (shared weights), learning (an inner loop), images, episodes, one network. `task`
    is the parameter that names what is solved, where there is one. `parameters` are those that no other script has,
    `defaults` replace those of declared parameters.
    """

    name: str  # of the script, without .py
    groups: frozenset[str]
    task: str | None = None
    parameters: tuple["Parameter", ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether connections have weights of their own, which are trained."""
        return "learning" in self.groups

    @property
    def evolves(self) -> bool:
        return "evolution" in self.groups

    @property
    def metrics(self) -> tuple[str, ...]:
        """The tags whose last values TensorBoard's HParams tab shows beside a run's parameters."""
        if not self.evolves:
            return ("test/acc", "test/loss", "train/acc")
        if self.learns:
            return ("champion/test_acc", "champion/acc", "champion/connections", "stats/connections_mean")
        value = "reward" if "episodes" in self.groups else "acc"
        return (
            f"champion/test_mean_{value}",
            f"champion/test_max_{value}",
            f"champion/mean_{value}",
            "champion/connections",
        )

    @property
    def unit(self) -> str:
        """The parameter that says how long a run is: a run that has begun may be given more of it."""
        return "num_generations" if self.evolves else "num_epochs"


GYM = Experiment("run-wann-gym", frozenset({"evolution", "wann", "episodes"}), "env_name")
CLASSIFICATION = Experiment("run-wann-classification", frozenset({"evolution", "wann", "images"}), "dataset")
WLNN = Experiment("run-wlnn-mnist", frozenset({"evolution", "learning", "images"}), "dataset")
TRAINING = Experiment("run-wlnn-mnist-no-evolution", frozenset({"learning", "images", "one network"}), "dataset")
EXPERIMENTS = {experiment.name: experiment for experiment in (GYM, CLASSIFICATION, WLNN, TRAINING)}
