"""Fitness by training: how well a network's architecture learns by a learning rule."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from evolution.errors import InputError, RunError
from evolution.genome import Genome
from evolution.task import Fitness, Task
from evolution.workers import Workers
from learning.measures import measures
from learning.rules import Draws, rule_class
from learning.settings import TrainingSettings, check_batch_size
from learning.training import Training, draw, draw_order, to_tensor, train
from learning.training import test as test_network
from networks.devices import freest_gpu

LOG = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int64]
Item = tuple[Genome, Draws]  # a network to train, and what its training has of its own at random

# Which batches of (num_epochs, batches) count; all of an epoch that has fewer than ten (docs/method.md, Evaluation).
EVALUATION_PERIODS: dict[str, Callable[[npt.NDArray], npt.NDArray]] = {
    "last_epoch": lambda batches: batches[-1],
    "last_batch": lambda batches: batches[-1, -1:],
    "last_ten_batches": lambda batches: batches[-1, -10:],
    "first_ten_batches": lambda batches: batches[0, :10],
    "integral": lambda batches: batches,
}
GPU_MEMORY = 2**30  # bytes that a worker asks for beside the data set: CUDA's own, weights, activities


class LearningTask(Task):
    """Networks are trained from their weights; `reward` is minus the training loss, `acc` the training accuracy.

    `dataset` are train images (n, I) float32, train labels (n,) int64, and the same for the test. Every network trains
    on the same batches in the same order, and has a generator of its own for its feedback weights and noise. The
    compiled kernels compute in threads, torch in worker processes, which may share GPUs. Raises InputError for a
    setting that cannot be.
    """

    def __init__(
        self,
        dataset: tuple[FloatArray, LabelArray, FloatArray, LabelArray],
        settings: TrainingSettings,
        *,
        num_epochs_long: int,
        batch_size_eval: int,
        evaluation_period: str,
        workers: Workers,
        evaluator: str = "auto",
        use_cuda: bool = False,
    ) -> None:
        self.train_images, self.train_labels, self.test_images, self.test_labels = dataset
        self.num_inputs = self.train_images.shape[1]
        self.num_outputs = int(self.train_labels.max()) + 1
        check_batch_size(settings.batch_size, len(self.train_images))
        self.rule = rule_class(settings.learning_rule)
        _check("evaluation_period", evaluation_period, EVALUATION_PERIODS)
        _check("evaluator", evaluator, ("auto", "reference", "compiled"))
        self.settings, self.num_epochs_long = settings, num_epochs_long
        self.batch_size_eval = batch_size_eval
        self.evaluation_period = evaluation_period
        self.workers, self.evaluator = workers, evaluator
        self._choose_evaluator(evaluator, use_cuda)

    def _choose_evaluator(self, evaluator: str, use_cuda: bool) -> None:
        if evaluator == "compiled" and use_cuda:
            raise InputError("evaluator compiled runs on the CPU; with use_cuda it must be auto or reference")
        self.use_cuda = use_cuda and torch.cuda.is_available()
        if use_cuda and not self.use_cuda:
            LOG.warning("use_cuda: torch finds no GPU, so the CPU computes")
        rule, optimizer = self.settings.learning_rule, self.settings.optimizer
        plain = Genome.initial(self.num_inputs, self.num_outputs, 0.0, np.random.default_rng(0), with_weights=True)
        self.kernels = evaluator != "reference" and not self.use_cuda
        self.kernels = self.kernels and self._has_kernels(plain)
        if evaluator == "compiled" and not self.kernels:
            raise InputError(f"evaluator compiled: there is no kernel for {rule} with {optimizer}")
        if self.kernels:
            from learning.twins import check_rule  # torch's workers need no numba

            check_rule(rule)
            self.evaluator_name = "compiled kernels on the CPU"
        else:
            self.evaluator_name = "torch on the GPU" if self.use_cuda else "torch on the CPU"

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        """Train every network; a network whose loss or weights overflow has the reward minus infinity."""
        trainings = self._train(population, self.settings.num_epochs, rng)
        finite = np.array([_is_finite(training) for training in trainings])
        period = EVALUATION_PERIODS[self.evaluation_period]
        reward = np.array([-_mean(period(t.losses)) for t in trainings])
        acc = np.array([_mean(period(t.accuracies)) for t in trainings])
        values = {"reward": np.where(finite, reward, -np.inf), "acc": np.where(finite, acc, np.nan)}
        trained = [_heritable(genome, training) for genome, training in zip(population, trainings, strict=True)]
        return Fitness(values, ("reward", "reward"), trained)

    def evaluate_untrained(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        """Reward and accuracy of every network on all training images, as it is."""
        results = np.array(self._test(population, self.train_images, self.train_labels))
        return Fitness({"reward": -results[:, 0], "acc": results[:, 1]}, ("reward", "reward"))

    def test(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """Train afresh, longer, from the genome's own weights, and test on the whole test set.

        `long_training_reward` and `long_training_acc` are those of the last epoch; a reward is minus the loss.
        Besides, the measures of learning after that training (`learning/measures.py`), but for those of single layers.
        """
        trainings = self._train([genome], self.num_epochs_long, rng)
        (tested,) = self._results([genome], trainings)
        (training,) = trainings
        if not _is_finite(training):
            return tested
        learned = measures(
            replace(genome, weights=training.weights),
            self.train_images,
            self.train_labels,
            self.settings,
            Draws(training.feedback),
        )
        return {**tested, **{tag: value for tag, value in learned.items() if "layer" not in tag}}

    def test_population(self, population: Sequence[Genome], rng: np.random.Generator) -> list[Mapping[str, float]]:
        """What `test` gives, for every network, all trained on the same batches."""
        return self._results(population, self._train(population, self.num_epochs_long, rng))

    def _results(self, population: Sequence[Genome], trainings: Sequence[Training]) -> list[Mapping[str, float]]:
        trained = [replace(g, weights=t.weights) for g, t in zip(population, trainings, strict=True)]
        results = self._test(trained, self.test_images, self.test_labels)
        return [
            {
                "long_training_reward": -_mean(training.losses[-1]),
                "long_training_acc": _mean(training.accuracies[-1]),
                "test_reward": -loss,
                "test_acc": accuracy,
            }
            for training, (loss, accuracy) in zip(trainings, results, strict=True)
        ]

    def learning_curves(
        self, population: Sequence[Genome], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Loss and accuracy on the test set before training and after each of `num_epochs_long` epochs.

        Both (N, num_epochs_long + 1); trained as `test_population` does, so that the last are what that gives.
        """
        trainings = self._train(population, self.num_epochs_long, rng)
        trained = [
            replace(genome, weights=weights)
            for genome, training in zip(population, trainings, strict=True)
            for weights in training.weights_by_epoch
        ]
        results = np.array(self._test(trained, self.test_images, self.test_labels))
        losses, accuracies = results.reshape(len(population), -1, 2).transpose(2, 0, 1)
        return losses, accuracies

    def close(self) -> None:
        self.workers.close()

    # ---- spreading networks over workers --------------------------------------------------------------------------

    def _train(self, population: Sequence[Genome], num_epochs: int, rng: np.random.Generator) -> list[Training]:
        order = draw_order(num_epochs, len(self.train_images), rng)
        generators = rng.spawn(len(population))
        rule = self.settings.learning_rule
        items = [(genome, draw(genome, rule, own)) for genome, own in zip(population, generators, strict=True)]
        settings = replace(self.settings, num_epochs=num_epochs)
        shared = (self.train_images, self.train_labels, order, settings)
        return self._spread(items, _train_compiled, _train_torch, *shared)

    def _test(self, population: Sequence[Genome], images: FloatArray, labels: LabelArray) -> list[tuple[float, float]]:
        items: list[Item] = [(genome, Draws()) for genome in population]
        return self._spread(items, _test_compiled, _test_torch, images, labels, self.batch_size_eval)

    def _spread(self, items: list[Item], kernels: Callable, reference: Callable, *shared: Any) -> list[Any]:
        """One result per item: by the kernels in threads where they cover its network, else by torch in processes."""
        covered = np.array([self.kernels and self._has_kernels(genome) for genome, _ in items], bool)
        if self.evaluator == "compiled" and not covered.all():
            raise InputError(f"evaluator compiled: no kernel covers network {np.argmin(covered)}")
        results: dict[int, Any] = {}
        for function, threads in ((kernels, True), (reference, False)):
            chosen = np.flatnonzero(covered == threads).tolist()
            arguments = shared if threads else (*shared, self.use_cuda)
            found = self.workers.map(function, [items[i] for i in chosen], *arguments, threads=threads)
            results |= zip(chosen, found, strict=True)
        return [results[i] for i in range(len(items))]

    def _has_kernels(self, genome: Genome) -> bool:
        from learning import compiled  # torch's workers need no numba

        return compiled.supports(genome, self.settings.learning_rule, self.settings.optimizer)


def _train_compiled(
    items: Sequence[Item], images: FloatArray, labels: LabelArray, order: npt.NDArray, settings: TrainingSettings
) -> Sequence[Training]:
    from learning import compiled

    genomes, draws = zip(*items, strict=True)
    return compiled.train_population(genomes, images, labels, settings, order=order, draws=draws)


def _test_compiled(
    items: Sequence[Item], images: FloatArray, labels: LabelArray, batch_size: int
) -> Sequence[tuple[float, float]]:
    from learning import compiled

    return compiled.test_population([genome for genome, _ in items], images, labels, batch_size)


def _train_torch(
    items: Sequence[Item],
    images: FloatArray,
    labels: LabelArray,
    order: npt.NDArray,
    settings: TrainingSettings,
    use_cuda: bool,
) -> Sequence[Training]:
    with _on_device(images, labels, use_cuda) as (device, pixels, truth):
        return [train(g, pixels, truth, settings, order=order, draws=d, device=device) for g, d in items]


def _test_torch(
    items: Sequence[Item], images: FloatArray, labels: LabelArray, batch_size: int, use_cuda: bool
) -> Sequence[tuple[float, float]]:
    with _on_device(images, labels, use_cuda) as (device, pixels, truth):
        return [test_network(genome, pixels, truth, batch_size, device) for genome, _ in items]


@contextmanager
def _on_device(
    images: FloatArray, labels: LabelArray, use_cuda: bool
) -> Iterator[tuple[torch.device, torch.Tensor, torch.Tensor]]:
    """Where this worker computes, with the data brought there once for all networks of a chunk."""
    torch.set_num_threads(1)  # the workers share the processor; and sums then do not depend on the machine
    device = freest_gpu(images.nbytes + GPU_MEMORY) if use_cuda else torch.device("cpu")
    try:
        yield device, to_tensor(images, device), to_tensor(labels, device)
    except torch.OutOfMemoryError:
        raise RunError(f"the memory of {device} is full: use fewer num_workers or a smaller batch_size") from None


def _heritable(genome: Genome, training: Training) -> Genome:
    """The trained network; as it was where training overflowed, since such weights must not be inherited."""
    return replace(genome, weights=training.weights) if _is_finite(training) else genome


def _is_finite(training: Training) -> bool:
    return bool(np.isfinite(training.losses).all() and np.isfinite(training.weights).all())


def _mean(batches: npt.NDArray) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        return float(batches.mean(dtype=np.float64))


def _check(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"unknown {name} {value!r:.60}; known are {', '.join(known)}")
