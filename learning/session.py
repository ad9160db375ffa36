"""Training one network for as long as one likes: epoch by epoch, recorded, tested, resumable."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from envs.datasets import Dataset
from evolution import checkpoint
from evolution.checkpoint import Keeper
from evolution.errors import InputError, RunError
from evolution.genome import Genome
from evolution.loop import Purpose, Run, generator
from learning.settings import TrainingSettings, check_batch_size
from learning.training import Trainer, draw, test
from networks.devices import freest_gpu

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionSettings:
    """How one network is trained, tested and recorded. The names are those of the parameters."""

    seed: int
    training: TrainingSettings
    batch_size_eval: int
    checkpoint_period: float  # seconds
    provenance: Mapping[str, Any]
    device: torch.device


@dataclass(frozen=True)
class SessionState:
    """Where a training stands: epochs done, the genome with the weights it began with, the trainer's arrays."""

    progress: int
    genome: Genome
    trainer: checkpoint.Arrays
    file_sizes: Mapping[str, int]


def run_session(
    genome: Genome, dataset: Dataset, settings: SessionSettings, run: Run, state: SessionState | None = None
) -> Genome:
    """Train `genome` from its own weights, or from `state` on; gives the network with its trained weights.

    After each epoch, and before the first, loss and accuracy on the whole training and test set and the statistics of
    the weights are logged and written to TensorBoard. The trained network goes to trained_network.json. Raises
    InputError where a batch is larger than the data set, RunError where training overflows.
    """
    training = settings.training
    check_batch_size(training.batch_size, len(dataset.train_images))
    torch.set_num_threads(1)  # with more, sums are divided among them, and the result depends on how many there are
    if state is not None:
        genome = state.genome
    trainer = _trainer(genome, settings)
    first = 1
    if state is None:
        record(0, genome, dataset, settings, run)
    else:
        restore(trainer, state.trainer)
        first = state.progress + 1
    keeper = Keeper(run.path, to_bytes, settings.checkpoint_period, state)
    with keeper:
        for epoch in tqdm(range(first, training.num_epochs + 1), unit="epoch", disable=None, dynamic_ncols=True):
            rng = generator(settings.seed, epoch, Purpose.EVALUATION)
            order = rng.permutation(len(dataset.train_images))
            trainer.epoch(dataset.train_images, dataset.train_labels, order, training.batch_size)
            if not np.isfinite(trainer.weights).all():
                raise RunError(f"epoch {epoch}: training overflowed, the weights are not finite (lr is {training.lr})")
            record(epoch, replace(genome, weights=trainer.weights), dataset, settings, run)
            keeper.update(SessionState(epoch, genome, arrays_of(trainer), run.file_sizes()))
    trained = replace(genome, weights=trainer.weights)
    trained.save(run.path / "trained_network.json", {**settings.provenance, "epochs": training.num_epochs})
    run.log.info("finished after %d epochs: %s", training.num_epochs, run.path / "trained_network.json")
    return trained


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


def record(epoch: int, genome: Genome, dataset: Dataset, settings: SessionSettings, run: Run) -> None:
    """Loss and accuracy on both sets and the weights' statistics: one line in the log, and TensorBoard."""
    scalars: dict[str, float] = {}
    for name, images, labels in (
        ("train", dataset.train_images, dataset.train_labels),
        ("test", dataset.test_images, dataset.test_labels),
    ):
        loss, accuracy = test(genome, images, labels, settings.batch_size_eval, settings.device)
        scalars |= {f"{name}/loss": loss, f"{name}/acc": accuracy}
    scalars |= weight_statistics(genome)
    run.writer.scalars(scalars, epoch)
    assert genome.weights is not None
    run.writer.histogram("weights", genome.weights[np.isfinite(genome.weights)], epoch)
    run.log.info(
        "epoch %d: train loss %.4f, acc %.4f; test loss %.4f, acc %.4f",
        epoch,
        *(scalars[tag] for tag in ("train/loss", "train/acc", "test/loss", "test/acc")),
    )


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


def to_bytes(state: SessionState) -> bytes:
    """The checkpoint file of a training."""
    arrays = {f"trainer/{name}": array for name, array in state.trainer.items()}
    meta = {"progress": state.progress, "file_sizes": dict(state.file_sizes)}
    meta["genome"] = checkpoint.pack([state.genome], "genome", arrays)
    return checkpoint.encode(meta, arrays)


def from_bytes(content: bytes) -> SessionState:
    """The state of a training's checkpoint file. Raises InputError that says what is wrong with it."""
    meta, arrays = checkpoint.decode(content)
    with checkpoint.foreign_content():
        [genome] = checkpoint.unpack(meta["genome"], "genome", arrays)
        trainer = {n.removeprefix("trainer/"): a for n, a in arrays.items() if n.startswith("trainer/")}
        return SessionState(
            checkpoint.count(meta["progress"], "progress"), genome, trainer, checkpoint.file_sizes(meta)
        )
