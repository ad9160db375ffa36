"""Fitness of weight agnostic networks that classify images: cross-entropy at six shared weights, without training."""

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from envs.datasets import Dataset
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.task import Fitness, Task
from evolution.workers import Workers
from networks import reference
from networks.shared_weights import SharedWeights

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
LOG = logging.getLogger(__name__)

TEN_WEIGHTS = tuple(np.linspace(-2, 2, 10).tolist())
SLICE = 1000  # images that a reference works on at once: bounds the memory for whole data sets


class ClassificationTask(Task):
    """Images to tell apart; outputs are logits. Fitness is minus the mean cross-entropy on a batch of training images.

    `dataset` holds train images (n, I) float32, train labels (n,) int64, and the same for the test. Evaluators: the
    shared graph of the whole population (compiled), or network by network in numpy or torch (reference; `use_torch`,
    `use_cuda`). Raises InputError where these contradict each other.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        workers: Workers,
        shared_weights: SharedWeights | None = None,
        evaluator: str = "auto",
        use_torch: bool = False,
        use_cuda: bool = False,
    ) -> None:
        self.dataset, self.batch_size, self.workers = dataset, batch_size, workers
        self.shared_weights = shared_weights or SharedWeights()
        self.num_inputs = dataset.train_images.shape[1]
        self.num_outputs = int(dataset.train_labels.max()) + 1
        if evaluator == "compiled" and (use_torch or use_cuda):
            raise InputError("evaluator compiled uses neither use_torch nor use_cuda; give auto or reference")
        self.use_cuda = use_cuda and _has_gpu()
        self.computes = "torch" if use_torch or use_cuda else "numpy" if evaluator == "reference" else "compiled"
        device = "GPU" if self.use_cuda else "CPU"
        self.evaluator_name = {
            "compiled": "compiled, the population as one graph",
            "numpy": "numpy (reference)",
            "torch": f"torch on the {device} (reference)",
        }[self.computes]
        if self.computes == "compiled":
            check_losses()

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        """On one batch for all networks, drawn with replacement (`docs/method.md`, Evaluation)."""
        chosen = rng.integers(len(self.dataset.train_images), size=self.batch_size)
        images, labels = self.dataset.train_images[chosen], self.dataset.train_labels[chosen]
        losses, accuracies = self.losses(population, images, labels, self.shared_weights.draw(rng))
        return Fitness(_summary(losses, accuracies), ("mean_reward", "max_reward"))

    def confirm(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """On the whole training set."""
        weights = self.shared_weights.draw(rng)
        found = self.losses([genome], self.dataset.train_images, self.dataset.train_labels, weights)
        return _of_first(_summary(*found))

    def test(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """On the whole test set, at the shared weights and (names ending in _10_weights) at ten from -2 to 2."""
        images, labels = self.dataset.test_images, self.dataset.test_labels
        losses, accuracies = self.losses([genome], images, labels, (*self.shared_weights.values, *TEN_WEIGHTS))
        own, ten = slice(len(self.shared_weights.values)), slice(len(self.shared_weights.values), None)
        values = _of_first(_summary(losses[:, own], accuracies[:, own]))
        more = _of_first(_summary(losses[:, ten], accuracies[:, ten]))
        return {f"test_{name}": value for name, value in values.items()} | {
            f"test_{name}_10_weights": value for name, value in more.items()
        }

    def losses(
        self, genomes: Sequence[Genome], images: Images, labels: Labels, weights: Sequence[float]
    ) -> tuple[Array, Array]:
        """Mean cross-entropy and accuracy (N, W) of N networks at W shared weights on images (B, I), labels (B,).

        Neither depends on the number of workers.
        """
        if self.computes == "compiled" and self.workers.backend == "dask":  # a graph for each chunk of networks
            each = self.workers.map(compiled_losses, genomes, images, labels, tuple(weights))
            losses, accuracies = zip(*each, strict=True)
            return np.stack(losses), np.stack(accuracies)
        if self.computes == "compiled":
            from networks import population

            return population.losses(genomes, images, labels, weights, self.workers.num_workers)
        function = numpy_losses if self.computes == "numpy" else torch_losses
        extra = () if self.computes == "numpy" else (self.use_cuda,)
        if len(genomes) == 1:  # then the images are divided
            starts = range(0, len(images), SLICE)
            slices = [(genomes[0], start, min(start + SLICE, len(images))) for start in starts]
        else:
            slices = [(genome, 0, len(images)) for genome in genomes]
        found = self.workers.map(function, slices, images, labels, tuple(weights), *extra)
        sums = np.array(found)  # (items, 2, W)
        totals = sums.sum(axis=0)[None] if len(genomes) == 1 else sums
        return totals[:, 0] / len(images), totals[:, 1] / len(images)

    def close(self) -> None:
        self.workers.close()


@functools.cache
def check_losses() -> None:
    """Whether the kernels compute what the reference does, on a tiny example, once in a process. Raises RunError."""
    from networks import population, twins

    twins.check_networks()
    genome, inputs = twins.example()
    images = inputs.astype(np.float32)
    labels = np.arange(len(images)) % genome.num_outputs
    found = population.losses([genome], images, labels, twins.WEIGHTS)
    expected = numpy_losses([(genome, 0, len(images))], images, labels, twins.WEIGHTS)[0] / len(images)
    what = "the cross-entropy and accuracy of a network"
    twins.agree(what, population, numpy_losses, np.concatenate(found), expected, tolerance=1e-5)


Slice = tuple[Genome, int, int]  # a network, and which images


def compiled_losses(
    genomes: Sequence[Genome], images: Images, labels: Labels, weights: Sequence[float]
) -> list[tuple[Array, Array]]:
    """For each network its losses and accuracies (W,)."""
    from networks import population

    return list(zip(*population.losses(genomes, images, labels, weights), strict=True))


def numpy_losses(items: Sequence[Slice], images: Images, labels: Labels, weights: Sequence[float]) -> list[Array]:
    """For each item the sums (2, W) of cross-entropies and of hits over its images."""
    results = []
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite shows in the loss
        for genome, start, stop in items:
            total = np.zeros((2, len(weights)))
            for batch, truth in _batches(images[start:stop], labels[start:stop]):
                for w, weight in enumerate(weights):
                    total[:, w] += _sums(reference.forward(genome, batch, weight), truth)
            results.append(total)
    return results


def torch_losses(
    items: Sequence[Slice], images: Images, labels: Labels, weights: Sequence[float], use_cuda: bool
) -> list[Array]:
    """The same in torch."""
    import torch

    from networks import torch_reference
    from networks.devices import freest_gpu

    device = freest_gpu(2**30) if use_cuda else torch.device("cpu")
    results = []
    for genome, start, stop in items:
        total = torch.zeros(2, len(weights), dtype=torch.float64)
        for batch, truth in _batches(images[start:stop], labels[start:stop]):
            inputs = torch.from_numpy(np.asarray(batch, np.float64)).to(device)
            target = torch.from_numpy(truth).to(device)
            for w, weight in enumerate(weights):
                logits = torch_reference.forward(genome, inputs, weight)
                total[0, w] += torch.nn.functional.cross_entropy(logits, target, reduction="sum").cpu()
                total[1, w] += (logits.argmax(1) == target).sum().cpu()
        results.append(total.numpy())
    return results


def _batches(images: Images, labels: Labels) -> Iterator[tuple[Images, Labels]]:
    for start in range(0, len(images), SLICE):
        yield images[start : start + SLICE], labels[start : start + SLICE]


def _sums(logits: Array, labels: Labels) -> Array:
    """The sum of cross-entropies and the number of hits, of logits (B, O); of equal logits the first counts."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted[np.arange(len(labels)), labels] - np.log(np.exp(shifted).sum(axis=1))
    return np.array([-log_likelihood.sum(), np.count_nonzero(logits.argmax(axis=1) == labels)])


def _summary(losses: Array, accuracies: Array) -> dict[str, Array]:
    """Rewards and accuracies (N,) from those at each weight (N, W): means, and those where the loss is smallest."""
    best = losses.argmin(axis=1)
    return {
        "mean_reward": -losses.mean(axis=1),
        "max_reward": -np.take_along_axis(losses, best[:, None], axis=1)[:, 0],
        "mean_acc": accuracies.mean(axis=1),
        "max_acc": np.take_along_axis(accuracies, best[:, None], axis=1)[:, 0],
    }


def _of_first(values: Mapping[str, Array]) -> dict[str, float]:
    return {name: float(array[0]) for name, array in values.items()}


def _has_gpu() -> bool:
    import torch

    if not torch.cuda.is_available():
        LOG.warning("use_cuda: torch finds no GPU, so the CPU computes")
    return torch.cuda.is_available()
