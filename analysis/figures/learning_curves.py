"""How networks of some generations learn: test accuracy by epoch, trained again."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis import arguments as take
from analysis import style
from analysis.figures.common import (
    DASHES,
    Array,
    Drawn,
    Group,
    NothingToDraw,
    draw_spread,
    fresh,
    learning,
    lightened,
    mean_of,
    std_of,
)
from analysis.runs import RunFolder, dataset_of, learning_task
from envs import datasets
from evolution.errors import InputError
from evolution.workers import Workers


def draw(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Test accuracy by epoch, from before training on: a panel per experiment, a line per generation."""
    groups = learning(groups)
    chosen = [choose_generations(group, arguments.generations) for group in groups]
    workers = Workers(arguments.num_workers)
    height, width = math.ceil(len(groups) / 2), min(len(groups), 2)
    figure = style.new_figure(style.PAGE_WIDTH, 2.6 * height)
    panels = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    everyone = sorted(set().union(*chosen))
    kinds = {
        generation: {"marker": style.MARKERS[i % len(style.MARKERS)], "linestyle": DASHES[i % len(DASHES)]}
        for i, generation in enumerate(everyone)
    }
    rows: list[Sequence[Any]] = []
    epochs = np.arange(arguments.num_epochs + 1)
    for group, generations, axes in zip(groups, chosen, panels.flat, strict=False):
        dataset = dataset_of(group.runs[0], arguments.data_dir)
        for number, generation in enumerate(generations):
            accuracies = np.concatenate([_curves(run, generation, arguments, dataset, workers) for run in group.runs])
            colour = lightened(group.colour, (len(generations) - 1 - number) / len(generations))
            draw_spread(axes, epochs, accuracies, colour, **kinds[generation])
            for epoch, mean, std in zip(epochs.tolist(), mean_of(accuracies), std_of(accuracies), strict=True):
                rows.append((group.label, generation, epoch, len(accuracies), float(mean), float(std)))
        style.wrap_title(axes, group.label, style.PAGE_WIDTH / width - 0.7)
        axes.set(xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
        axes.label_outer()
        if groups.index(group) + width >= len(groups):  # nothing is below, or what was is removed
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    header = ("experiment", "generation", "epoch", "networks", "test_acc_mean", "test_acc_std")
    handles = [Line2D([], [], color=style.INK, label=f"generation {g}", **kinds[g]) for g in everyone]
    return Drawn(figure, header, rows, handles=handles)


def choose_generations(group: Group, wanted: Sequence[int] | None) -> list[int]:
    """The generations to train again: those wanted, else 0, 100 and 1000, as far as every run has saved them.

    Without a wish and with fewer than two of these, the first and the last. Raises InputError for one that is missing.
    """
    saved = sorted(set.intersection(*(set(run.saved_generations) for run in group.runs)))
    where = ", ".join(str(run.path) for run in group.runs)
    if not saved:
        raise NothingToDraw(f"{where}: no generation's networks are saved (networks/; see save_networks_every)")
    if wanted is None:
        usual = [generation for generation in saved if generation in (0, 100, 1000)]
        return usual if len(usual) > 1 else sorted({saved[0], saved[-1]})
    if missing := set(wanted) - set(saved):
        some = ", ".join(map(str, saved))
        raise InputError(f"{where}: generation {min(missing)} is not saved; there are {some:.200}")
    return sorted(set(wanted))


def _curves(
    run: RunFolder, generation: int, arguments: argparse.Namespace, dataset: datasets.Dataset, workers: Workers
) -> Array:
    """Test accuracies (N, num_epochs + 1) of evenly chosen networks of a generation."""
    networks = run.networks(generation)
    indices = np.unique(np.linspace(0, len(networks) - 1, arguments.networks).round().astype(int))
    rng = np.random.default_rng([arguments.seed, generation])
    chosen = [networks[i] for i in indices]
    if not arguments.keep_weights:
        chosen = [fresh(network, rng) for network in chosen]
    task = learning_task(run.params, dataset, arguments.num_epochs, workers)
    for network in chosen:
        take.check_sizes(network, task.num_inputs, task.num_outputs, run.task)
    return task.learning_curves(chosen, rng)[1]
