"""Training one network for as long as one likes: epoch by epoch, tested, resumable. It writes nothing."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from envs.datasets import Dataset
from evolution import checkpoint
from evolution.errors import InputError, RunError
from evolution.genome import Genome
from evolution.loop import Purpose, generator
from learning.measures import measures
from learning.rules import Draws
from learning.settings import TrainingSettings, check_batch_size
from learning.training import Trainer, draw, test
from networks.devices import freest_gpu

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionSettings:
    """How one network is trained and tested. The names are those of the parameters."""

    seed: int
    training: TrainingSettings
    batch_size_eval: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class SessionState:
    """Where a training stands: epochs done, the genome with the weights it began with, the trainer's arrays.

    `trained` is the network as it is now and `measured` what was found of it; a state that was saved comes back without
    what was measured.
    """

    progress: int
    genome: Genome
    trainer: checkpoint.Arrays
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def trained(self) -> Genome:
        return replace(self.genome, weights=self.trainer["weights"])


def epochs(
    genome: Genome, dataset: Dataset, settings: SessionSettings, state: SessionState | None = None
) -> Iterator[SessionState]:
    """Train `genome` from its own weights, or from its `state` on: a state an epoch, and one before the first.

    In each, loss and accuracy on the whole training and test set and the statistics of the weights are measured. Raises
    InputError where a batch is larger than the data set, RunError where training overflows.
    """
    training = settings.training
    torch.set_num_threads(1)  # with more, sums are divided among them, and the result depends on how many there are
    trainer = check(genome, dataset, settings, state)
    if state is None:
        yield SessionState(0, genome, arrays_of(trainer), measure(trainer, dataset, settings))
    for epoch in range(1 if state is None else state.progress + 1, training.num_epochs + 1):
        rng = generator(settings.seed, epoch, Purpose.EVALUATION)
        order = rng.permutation(len(dataset.train_images))
        trainer.epoch(dataset.train_images, dataset.train_labels, order, training.batch_size)
        if not np.isfinite(trainer.weights).all():
            raise RunError(f"epoch {epoch}: training overflowed, the weights are not finite (lr is {training.lr})")
        yield SessionState(epoch, genome, arrays_of(trainer), measure(trainer, dataset, settings))


def check(genome: Genome, dataset: Dataset, settings: SessionSettings, state: SessionState | None = None) -> Trainer:
    """A trainer as it is before the first epoch, or as `state` left it. Raises InputError for what does not fit."""
    check_batch_size(settings.training.batch_size, len(dataset.train_images))
    trainer = _trainer(genome, settings)
    if state is not None:
        restore(trainer, state.trainer)
    return trainer


def device(use_cuda: bool) -> torch.device:
    """The freest GPU where one is asked for and there is one, else the CPU; a warning where there is none."""
    if use_cuda and torch.cuda.is_available():
        return freest_gpu(0)
    if use_cuda:
        LOG.warning("use_cuda: torch finds no GPU, so the CPU computes")
    return torch.device("cpu")


def _trainer(genome: Genome, settings: SessionSettings) -> Trainer:
    draws = draw(genome, settings.training.learning_rule, generator(settings.seed, 0, Purpose.FEEDBACK))
    return Trainer(genome, settings.training, draws=draws, device=settings.device)


def measure(trainer: Trainer, dataset: Dataset, settings: SessionSettings) -> dict[str, float]:
    """Loss and accuracy on both sets, the weights' statistics, and the measures of learning, by their tags."""
    genome = replace(trainer.network.genome, weights=trainer.weights)
    measured: dict[str, float] = {}
    for name, images, labels in (
        ("train", dataset.train_images, dataset.train_labels),
        ("test", dataset.test_images, dataset.test_labels),
    ):
        loss, accuracy = test(genome, images, labels, settings.batch_size_eval, settings.device)
        measured |= {f"{name}/loss": loss, f"{name}/acc": accuracy}
    draws = Draws(trainer.feedback, trainer.rule.seed)
    learned = measures(genome, dataset.train_images, dataset.train_labels, settings.training, draws)
    return measured | weight_statistics(genome) | learned


def weight_statistics(genome: Genome) -> dict[str, float]:
    """Mean, spread, mean and largest absolute weight: of all connections, of those into hidden and into outputs."""
    assert genome.weights is not None
    into_outputs = genome.layers[genome.connections[:, 1]] == genome.num_layers - 1
    weights = genome.weights.astype(np.float64)  # large ones must not overflow in the sums
    groups = {"all": weights, "hidden": weights[~into_outputs], "outputs": weights[into_outputs]}
    return {
        f"weights/{name}_{statistic}": float(value)
        for name, group in groups.items()
        if len(group)
        for statistic, value in (
            ("mean", group.mean()),
            ("std", group.std()),
            ("abs_mean", np.abs(group).mean()),
            ("abs_max", np.abs(group).max()),
        )
    }


def arrays_of(trainer: Trainer) -> checkpoint.Arrays:
    """The trainer's weights (E,) and the states of its rule and its optimiser, as arrays by name."""
    arrays: checkpoint.Arrays = {"weights": trainer.weights}
    arrays |= {f"rule/{name}": array for name, array in trainer.rule.state().items()}
    for i, values in trainer.optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer/{i}/{key}": v.cpu().numpy().copy() for key, v in values.items() if v is not None}
    return arrays


def restore(trainer: Trainer, arrays: checkpoint.Arrays) -> None:
    """Bring a fresh trainer to where `arrays_of` found another one. Raises InputError for arrays that do not fit."""
    parameters = [parameter for group in trainer.optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    with checkpoint.foreign_content():
        trainer.rule.load_state({n.removeprefix("rule/"): a for n, a in arrays.items() if n.startswith("rule/")})
        for name, array in arrays.items():
            if name.startswith("rule/"):
                continue
            shapes: list[tuple[int, ...]] = [trainer.weights.shape]
            if name != "weights":
                _, i, key = name.split("/")
                shapes = [(), parameters[int(i)].shape]
                state.setdefault(int(i), {})[key] = torch.from_numpy(array.copy())
            if array.dtype != np.float32 or array.shape not in shapes:
                raise InputError(f"{name} is an array {array.shape} of {array.dtype}")
        with torch.no_grad():
            for layer in trainer.network.layers:
                layer.weights.copy_(torch.from_numpy(arrays["weights"][layer.connections.cpu().numpy()]))
        trainer.optimizer.load_state_dict({**trainer.optimizer.state_dict(), "state": state})


def pack(state: SessionState) -> tuple[dict[str, Any], checkpoint.Arrays]:
    """The state as JSON and arrays, for a checkpoint."""
    arrays = {f"trainer/{name}": array for name, array in state.trainer.items()}
    meta = {"progress": state.progress, "genome": checkpoint.pack_genomes([state.genome], "genome", arrays)}
    return meta, arrays


def unpack(meta: dict[str, Any], arrays: checkpoint.Arrays) -> SessionState:
    """The state that `pack` was given. Raises InputError, or what a parser makes of content that is not ours."""
    [genome] = checkpoint.unpack_genomes(meta["genome"], "genome", arrays)
    trainer = {n.removeprefix("trainer/"): a for n, a in arrays.items() if n.startswith("trainer/")}
    return SessionState(checkpoint.count(meta["progress"], "progress"), genome, trainer)
