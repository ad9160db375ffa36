"""Reading what a run left in its folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from envs import datasets
from envs.datasets import Dataset
from evolution.errors import InputError, unreadable
from evolution.files import read
from evolution.genome import Genome
from evolution.workers import Workers
from experiment.parameters import from_yaml
from learning.settings import TrainingSettings
from learning.task import LearningTask

SUMMARY = "tensorboard_summary"
CHAMPION, TRAINED = "champion_network.json", "trained_network.json"
Kind = Literal["learning", "agnostic", "training"]
TRAINING = "run-wlnn-mnist-no-evolution"  # the script in which nothing evolves
# What may differ between runs of one experiment: the seed, and what changes no result.
NOT_THE_EXPERIMENT = (
    "seed", "num_generations", "num_workers", "backend", "scheduler_address", "evaluator", "use_cuda", "use_torch",
    "checkpoint_period", "save_networks_every", "data_dir", "num_inputs", "num_outputs",
)  # fmt: skip
NETWORK_FILE = re.compile(r"generation(\d+)-net(\d+)\.json")


@dataclass(frozen=True)
class Series:
    """A scalar over the generations, each once, in order; the last value written where a run was resumed."""

    steps: npt.NDArray[np.int64]  # (n,)
    values: npt.NDArray[np.float64]  # (n,)

    def last(self, window: int = 1, until: int | None = None) -> tuple[float, int]:
        """The mean over the last `window` steps up to `until`, and the step that it ends with; NaN, -1 of nothing."""
        steps = self.steps if until is None else self.steps[self.steps <= until]
        if not len(steps):
            return float("nan"), -1
        inside = (self.steps > steps[-1] - window) & (self.steps <= steps[-1])
        return float(self.values[inside].mean()), int(steps[-1])


NOTHING = Series(np.empty(0, np.int64), np.empty(0))


class RunFolder:
    """A run's folder, read when asked for. Raises InputError, then and later, for what is no run or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / "params.yaml"
        if not file.is_file():
            raise InputError(f"{path}: there is no run in this folder (no params.yaml)")
        try:
            params = from_yaml(read(file))
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from None
        if not isinstance(params, dict) or not isinstance(params.get("script"), str):
            raise InputError(f"{file}: these are not the parameters of a run (no script)")
        self.params: dict[str, Any] = params

    @property
    def script(self) -> str:
        return self.params["script"]

    @property
    def kind(self) -> Kind:
        """What a run is of: evolved weight agnostic networks, evolved networks that learn, one network in training."""
        return "training" if self.script == TRAINING else "learning" if self.learns else "agnostic"

    @property
    def learns(self) -> bool:
        """Whether the run evolved architectures that learn."""
        return self.script == "run-wlnn-mnist"

    @property
    def rule(self) -> str:
        """The learning rule that really trained, see `learning.settings.TrainingSettings.of`."""
        return "last_layer" if self.params.get("train_only_outputs") else str(self.params.get("learning_rule"))

    @property
    def task(self) -> str:
        """The environment or the data set."""
        return str(self.params.get("env_name") or self.params.get("dataset"))

    @property
    def experiment(self) -> tuple[tuple[str, str], ...]:
        """What two runs must share to be repetitions of one another with different seeds."""
        params = self.params.items()
        return tuple(sorted((name, str(value)) for name, value in params if name not in NOT_THE_EXPERIMENT))

    @cached_property
    def scalars(self) -> Mapping[str, Series]:
        """All scalars of the event files by tag."""
        return read_scalars(self.path / SUMMARY)

    def series(self, tag: str) -> Series:
        """One scalar; an empty series where the run has none of this name."""
        return self.scalars.get(tag, NOTHING)

    def series_or_nothing(self, tag: str) -> Series:
        """One scalar; empty too where there are no event files or none that can be read."""
        try:
            return self.series(tag)
        except InputError:
            return NOTHING

    def last_step(self, tag: str) -> int:
        """The last step of a scalar; -1 where there is none."""
        return self.series_or_nothing(tag).last()[1]

    @cached_property
    def champion(self) -> Genome | None:
        """The champion with its trained weights; None where there is none yet."""
        file = self.path / CHAMPION
        return Genome.load(file) if file.is_file() else None

    @cached_property
    def saved_generations(self) -> list[int]:
        """The generations whose networks are in the folder, in order."""
        return sorted({int(match[1]) for match in self._network_files()})

    def networks(self, generation: int) -> list[Genome]:
        """The saved networks of one generation, in the order of their numbers."""
        numbers = sorted(int(match[2]) for match in self._network_files() if int(match[1]) == generation)
        return [Genome.load(self.path / "networks" / f"generation{generation}-net{i}.json") for i in numbers]

    def _network_files(self) -> list[re.Match[str]]:
        folder = self.path / "networks"
        names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        return [match for name in names if (match := NETWORK_FILE.fullmatch(name))]


def read_scalars(folder: Path) -> dict[str, Series]:
    """All scalars of the event files in `folder`, none left out. Raises InputError where there are no event files."""
    # tensorboard takes a second to load
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(folder.glob("events*")):
        raise InputError(f"{folder}: there are no event files in this folder")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1, "histograms": 1})
    try:
        events.Reload()
    except Exception as error:  # whatever a damaged file makes the reader fail with
        raise InputError(f"{folder}: the event files cannot be read ({error!r:.100})") from None
    found = {}
    for tag in events.Tags()["scalars"]:
        by_step = {event.step: event.value for event in events.Scalars(tag)}
        steps = sorted(by_step)
        found[tag] = Series(np.array(steps, np.int64), np.array([by_step[step] for step in steps]))
    return found


def dataset_of(run: RunFolder, data_dir: str | None = None) -> Dataset:
    """The images that a run learned on, prepared as its parameters say. Raises InputError."""
    prepared = {name: run.params.get(name) for name in ("image_size", "deskew")}
    if data_dir is None and datasets.has_files(run.task):
        data_dir = run.params.get("data_dir")
    return datasets.load(run.task, data_dir, **prepared)


def learning_task(params: Mapping[str, Any], dataset: Dataset, num_epochs: int, workers: Workers) -> LearningTask:
    """Training as a run with these parameters does it, for `num_epochs` before a test. Raises InputError."""
    needed = ["optimizer", "lr", "num_epochs", "batch_size", "train_only_outputs"]
    if not params.get("train_only_outputs"):  # else every rule is the same
        needed.append("learning_rule")
    if missing := [name for name in needed if name not in params]:
        raise InputError(f"the run's parameters lack {', '.join(missing)}")
    return LearningTask(
        dataset,
        TrainingSettings.of(params),
        num_epochs_long=num_epochs,
        batch_size_eval=params.get("batch_size_eval", 1000),
        evaluation_period=params.get("evaluation_period", "last_epoch"),
        workers=workers,
    )
