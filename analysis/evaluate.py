"""What a network's graph is worth by itself: with random and with tuned weights, shared and individual.

The four kinds of weights of Gaier & Ha (2019), tables 1 and 2, the reward by the shared weight, and for images the
ensembles: the votes of one network with several weights.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from tqdm import tqdm

from analysis import arguments as take
from analysis import style
from analysis.names import task_of
from analysis.runs import learning_task
from envs.datasets import DATASETS
from evolution.errors import InputError
from evolution.files import write_atomically
from evolution.genome import Genome
from evolution.workers import Workers
from networks.reference import SHARED_WEIGHTS, neuron_values

Array = npt.NDArray[np.float64]

LOWEST, HIGHEST = -2.0, 2.0  # weights, drawn uniformly or tried one after the other
INITIAL_SPREAD = 0.2  # of CMA-ES's first generation around the tuned shared weight; docs/results.md has others
PROBES = 200  # inputs by which a network is seen to live
LR, BATCH_SIZE = 0.01, 256  # of the gradient descent, as in params/wlnn-mnist

# What only one kind of task has: by option, what it is and what it is where it is not given.
OF_TUNING_EPISODES = {
    "iterations": ("of CMA-ES", 1000),
    "candidates": ("of an iteration", 64),
    "tuning_trials": ("episodes of a candidate", 16),
}
OF_TUNING_IMAGES = {
    "tunings": ("trainings, each with its own batches", 3),
    "num_epochs": ("epochs of a training", 10),
}


class Row(NamedTuple):
    """One kind of weights, and the reward or accuracy with it."""

    weights: str
    mean: float
    std: float  # NaN where there is one trial
    trials: int
    note: str = ""


class Evaluation(NamedTuple):
    """A network's table and its curve over the shared weight."""

    quantity: str  # "reward" or "test accuracy"
    rows: list[Row]
    shared: Array  # (P,) weights
    means: Array  # (P,)
    stds: Array  # (P,) over trials; NaN where there is one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    take.add_network(parser)
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--env_name", help="id of an environment (default: as the network's file or run says)")
    task.add_argument("--dataset", choices=DATASETS, help="default: as the network's file or run says")
    take.add_task_options(parser, take.OF_EPISODES)
    take.add_data_dir(parser)
    take.add_task_options(parser, take.OF_IMAGES)
    parser.add_argument("--trials", type=take.count, default=100, help="of each row (default: %(default)s)")
    parser.add_argument(
        "--points", type=take.count, default=65, help="shared weights from -2 to 2 (default: %(default)s)"
    )
    for name, (what, default) in OF_TUNING_EPISODES.items():
        parser.add_argument(f"--{name}", type=take.count, help=f"environments: {what} (default: {default})")
    for name, (what, default) in OF_TUNING_IMAGES.items():
        parser.add_argument(f"--{name}", type=take.count, help=f"images: {what} (default: {default})")
    parser.add_argument("--num_workers", type=take.count, default=2, help="default: %(default)s")
    parser.add_argument("--seed", type=take.seed, default=0, help="default: %(default)s")
    take.add_destination(parser, "beside the network, NETWORK-evaluation")


def main(arguments: argparse.Namespace) -> None:
    """Measure a network with random and tuned, shared and individual weights.

    Writes the table (.csv, .md), the curve over the shared weight (-curve.csv), and its figure.
    """
    genome = Genome.load(arguments.network)
    if not genome.num_connections:
        raise InputError(f"{arguments.network}: the network has no connections, so there are no weights to try")
    path = take.destination(arguments.to, arguments.network, "-evaluation")
    _settle_task(arguments)
    workers = Workers(arguments.num_workers)
    try:
        measure = measure_episodes if arguments.env_name else measure_images
        found = measure(genome, arguments, workers)
    finally:
        workers.close()
    text = table(found)
    with style.shown(text):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.with_name(path.name + ".md"), text)
        style.save_csv(path.with_name(path.name + ".csv"), Row._fields, found.rows)
        curve = zip(found.shared.tolist(), found.means.tolist(), found.stds.tolist(), strict=True)
        style.save_csv(path.with_name(path.name + "-curve.csv"), ("shared_weight", "mean", "std"), curve)
        with style.style():
            style.save(figure(found, arguments.env_name or arguments.dataset), path)
    print(f"{path}.csv, .md, .png, .svg, {path.name}-curve.csv")


def _settle_task(arguments: argparse.Namespace) -> None:
    """What is not said follows from the network's file or run, and the tuning's options take their defaults.

    Raises InputError where the file says nothing either, and for an option that the task has no use for.
    """
    if not (arguments.env_name or arguments.dataset):
        task = task_of(arguments.network)
        if task is None:
            raise InputError(f"{arguments.network} does not say what it was evolved for: give --env_name or --dataset")
        if task in DATASETS:
            arguments.dataset = task
        else:
            arguments.env_name = task
    if arguments.env_name:
        mine, others, kind = OF_TUNING_EPISODES, (*OF_TUNING_IMAGES, *take.OF_IMAGES, "data_dir"), "images"
    else:
        mine, others, kind = OF_TUNING_IMAGES, (*OF_TUNING_EPISODES, *take.OF_EPISODES), "environments"
    why = f"is for {kind}, and {arguments.env_name or arguments.dataset} is none of them"
    take.settle(arguments, {name: default for name, (_, default) in mine.items()}, others, why)


# ---- environments ---------------------------------------------------------------------------------------------------


def measure_episodes(genome: Genome, arguments: argparse.Namespace, workers: Workers) -> Evaluation:
    """Rewards in an environment; each trial is an episode with a seed of its own.

    Raises InputError for an environment that there is not, or that the network does not fit.
    """
    from envs.gym_task import GymTask, draw_seeds

    given = take.of_task(arguments, arguments.env_name, (*take.OF_EPISODES, "evaluator"))
    task = GymTask(arguments.env_name, num_trials=1, workers=workers, **given)
    take.check_sizes(genome, task.num_inputs, task.num_outputs, arguments.env_name)
    rng, trials = np.random.default_rng(arguments.seed), arguments.trials

    def row(name: str, weights: Array, note: str = "") -> Row:
        """`weights` are one shared, one per connection (E,), or a different choice for each trial (trials, 1 or E)."""
        each = np.broadcast_to(weights, (trials, weights.shape[-1]))
        seeds = draw_seeds(rng, trials)
        items = [(genome, w if len(w) == 1 else w[None], (seed,)) for w, seed in zip(each.copy(), seeds, strict=True)]
        return _row(name, np.array([rewards[0, 0] for rewards, _ in task.play(items)]), note)

    shared = np.linspace(LOWEST, HIGHEST, arguments.points)
    rewards = task.episodes([genome], shared, draw_seeds(rng, trials))[0][0]  # (P, trials)
    observations = np.random.default_rng(0).standard_normal((PROBES, genome.num_observed))
    best = float(shared[_first_live(rewards.mean(axis=1), live(genome, observations, shared))])
    start = _own_weights(genome, best)
    tuned = tune(genome, start, task, arguments, rng.spawn(1)[0])  # how it tunes changes no other row
    size = (trials, genome.num_connections)
    rows = [
        row("random individual", rng.uniform(LOWEST, HIGHEST, size)),
        row("random shared", rng.uniform(LOWEST, HIGHEST, (trials, 1))),
        row("tuned shared", np.array([best]), f"weight {best:g}"),
        row("tuned individual", tuned, f"CMA-ES, {arguments.iterations} iterations"),
    ]
    if genome.weights is not None:
        rows.append(row("its own", genome.weights.astype(np.float64)))
    spread = rewards.std(axis=1) if trials > 1 else np.full(len(shared), np.nan)
    return Evaluation("reward", rows, shared, rewards.mean(axis=1), spread)


def tune(genome: Genome, start: Array, task, arguments: argparse.Namespace, rng: np.random.Generator) -> Array:
    """Weights (E,) that CMA-ES finds from `start` (E,).

    A candidate's fitness is its mean reward over `tuning_trials` episodes, with the same seeds for all candidates of an
    iteration and other ones in the next. In the end the search's mean, the best candidate of all and the start play
    eight times as many fresh episodes, and the best of the three is taken. N. Hansen, "The CMA Evolution Strategy: A
    Tutorial" (2016), by his `cma`.
    """
    import cma

    from envs.gym_task import draw_seeds

    seed = int(rng.integers(1, 2**31))  # cma takes 0 for the time
    size = max(2, arguments.candidates)  # CMA-ES needs two
    options = {"seed": seed, "maxiter": arguments.iterations, "popsize": size, "verbose": -9, "tolflatfitness": 10**6}
    search = cma.CMAEvolutionStrategy(start, INITIAL_SPREAD, options)

    def losses(candidates: Sequence[Array], trials: int) -> Array:
        seeds = tuple(draw_seeds(rng, trials))
        played = task.play([(genome, weights[None], seeds) for weights in candidates])
        return np.nan_to_num([-rewards.mean() for rewards, _ in played], nan=np.inf)

    for _ in tqdm(range(arguments.iterations), unit="iteration", disable=None, dynamic_ncols=True):
        candidates = search.ask()
        search.tell(candidates, losses(candidates, arguments.tuning_trials))
    finalists = [search.mean, search.result.xbest, start]
    return finalists[int(losses(finalists, 8 * arguments.tuning_trials).argmin())]


# ---- images ---------------------------------------------------------------------------------------------------------


def measure_images(genome: Genome, arguments: argparse.Namespace, workers: Workers) -> Evaluation:
    """Accuracies on the whole test set; what is tuned is tuned on the training set.

    The tuned shared weight has the smallest training loss of those at which the network lives, see `live`: a dead
    network's loss, the logarithm of the number of classes, is often smaller than that of one that could learn.
    Raises InputError where the data set is not there, or the network does not fit it.
    """
    from envs import datasets
    from envs.classification_task import TEN_WEIGHTS, ClassificationTask
    from learning import compiled

    prepared = take.of_task(arguments, arguments.dataset, take.OF_IMAGES)
    dataset = datasets.load(arguments.dataset, take.data_dir_of(arguments, arguments.dataset), **prepared)
    task = ClassificationTask(dataset, batch_size=1, workers=workers)
    take.check_sizes(genome, task.num_inputs, task.num_outputs, arguments.dataset)
    agnostic = replace(genome, weights=None)
    test = dataset.test_images, dataset.test_labels
    rng, trials = np.random.default_rng(arguments.seed), arguments.trials

    def accuracy(weights: Array) -> Array:
        """Test accuracies (T,) with T shared weights."""
        return task.losses([agnostic], *test, weights.tolist())[1][0]

    def with_weights(weights: Array) -> Genome:
        return replace(genome, weights=np.broadcast_to(weights, genome.num_connections).astype(np.float32))

    shared = np.linspace(LOWEST, HIGHEST, arguments.points)
    losses = task.losses([agnostic], dataset.train_images, dataset.train_labels, shared.tolist())[0][0]
    alive = live(genome, dataset.train_images[:PROBES], shared)
    best = float(shared[_first_live(np.where(alive | ~alive.any(), -losses, -np.inf), alive)])
    drawn = [with_weights(rng.uniform(LOWEST, HIGHEST, genome.num_connections)) for _ in range(trials)]
    training = {"learning_rule": "backprop", "optimizer": "adam", "lr": LR, "train_only_outputs": False}
    training |= {"num_epochs": arguments.num_epochs, "batch_size": BATCH_SIZE}
    learning = learning_task(training, dataset, arguments.num_epochs, workers)
    start = with_weights(_own_weights(genome, best))
    tuned = [learning.test(start, child)["test_acc"] for child in rng.spawn(arguments.tunings)]
    rows = [
        _row("random individual", [found for _, found in compiled.test_population(drawn, *test, 1000)]),
        _row("random shared", accuracy(rng.uniform(LOWEST, HIGHEST, trials))),
        _row("tuned shared", accuracy(np.array([best])), f"weight {best:g}"),
        _row("tuned individual", tuned, f"gradient descent, {arguments.num_epochs} epochs"),
        _row("votes of six weights", [votes(agnostic, *test, SHARED_WEIGHTS)], "-2, -1, -0.5, 0.5, 1, 2"),
        _row("votes of ten weights", [votes(agnostic, *test, TEN_WEIGHTS)], "evenly spaced from -2 to 2"),
    ]
    if genome.weights is not None:
        rows.append(_row("its own", [found for _, found in compiled.test_population([genome], *test, 1000)]))
    return Evaluation("test accuracy", rows, shared, accuracy(shared), np.full(len(shared), np.nan))


def votes(
    genome: Genome, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], weights: Sequence[float]
) -> float:
    """Accuracy of the class that most of W shared weights vote for; of classes with equal votes the first counts."""
    from networks import population

    outputs = population.forward([genome], images, np.array(weights))[0]  # (W, B, O)
    chosen = outputs.argmax(axis=2)  # (W, B)
    counts = (chosen[:, :, None] == np.arange(outputs.shape[2])).sum(axis=0)
    return float((counts.argmax(axis=1) == labels).mean())


# ---- results --------------------------------------------------------------------------------------------------------


def _row(name: str, values: npt.ArrayLike, note: str = "") -> Row:
    values = np.asarray(values, np.float64)
    std = float(values.std()) if len(values) > 1 else float("nan")
    return Row(name, float(values.mean()), std, len(values), note)


def live(genome: Genome, inputs: npt.NDArray, weights: Array) -> npt.NDArray[np.bool_]:
    """(P,) at which shared weights the network lives: its values depend on what it sees (B, observed).

    Counted are the neurons whose value is not the same for all inputs; where they are fewer than half of those at the
    best weight, most of the network is dead, as one of ReLU is at weights below 0, and gradients do not get through.
    """
    with np.errstate(all="ignore"):
        values = [neuron_values(genome, inputs, weight)[:, genome.num_inputs :] for weight in weights.tolist()]
        counts = np.array([np.count_nonzero(np.ptp(each, axis=0) > 0) for each in values])
    return (counts > 0) & (2 * counts >= counts.max())


def _first_live(scores: Array, alive: npt.NDArray[np.bool_]) -> int:
    """The largest that is a number; of equals the first at which the network lives, else the first."""
    return int(np.lexsort((~alive, -np.nan_to_num(scores, nan=-np.inf)))[0])


def _own_weights(genome: Genome, shared: float) -> Array:
    """(E,) where tuning starts: the network's own weights if it has any, else the shared one on every connection."""
    return np.full(genome.num_connections, shared) if genome.weights is None else genome.weights.astype(np.float64)


def table(found: Evaluation) -> str:
    """Markdown: each kind of weights with mean and standard deviation."""
    digits = 3 if found.quantity == "test accuracy" else 1
    lines = [f"| weights | {found.quantity} | trials | |", "| --- | --- | --- | --- |"]
    for row in found.rows:
        spread = "" if np.isnan(row.std) else f" +- {row.std:.{digits}f}"
        lines.append(f"| {row.weights} | {row.mean:.{digits}f}{spread} | {row.trials} | {row.note} |")
    return "\n".join(lines) + "\n"


def figure(found: Evaluation, task: str) -> Figure:
    """The curve over the shared weight, with the other kinds of weights as horizontal lines."""
    drawn = style.new_figure(style.PAGE_WIDTH * 0.75, 3.6)
    axes = drawn.subplots()
    for weight in SHARED_WEIGHTS:
        axes.axvline(weight, color=style.GREY, linewidth=0.6, linestyle=":", zorder=0.5)
    if not np.isnan(found.stds).all():
        low, high = found.means - found.stds, found.means + found.stds
        axes.fill_between(found.shared, low, high, color=style.BLUE, alpha=0.15, linewidth=0)
    axes.plot(found.shared, found.means, color=style.BLUE, label="one shared weight")
    colours = (style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.BLACK)
    lines = [row for row in found.rows if "shared" not in row.weights]
    for row, colour, dashes in zip(lines, colours, ("--", "-.", ":", (0, (5, 1)), (0, (1, 1))), strict=False):
        axes.axhline(row.mean, color=colour, linestyle=dashes, linewidth=1.2, label=row.weights)
    axes.set(xlabel="shared weight", ylabel=found.quantity, xlim=(LOWEST, HIGHEST))
    return style.furnish(drawn, task, axes.get_legend_handles_labels()[0])
