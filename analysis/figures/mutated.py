"""Evolved champions beside networks that were only mutated at random."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis import arguments as take
from analysis import random_networks, style
from analysis.figures.common import Drawn, Group, NothingToDraw, fresh, learning, seed_of, some
from analysis.runs import dataset_of, learning_task
from evolution.workers import Workers


def draw(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Test accuracy by connections: networks that were only mutated, and the champions, trained alike."""
    groups = learning(groups)
    file = arguments.random_networks
    if not file.is_file():
        raise NothingToDraw(f"{file} is not there; `python -m analysis random-networks` makes it")
    results = [r for r in random_networks.read_results(file) if not random_networks.is_dense(r.size)]
    settings = random_networks.read_settings(file.parent)
    task_name = groups[0].runs[0].task
    if settings["dataset"] != task_name:
        raise NothingToDraw(f"{file} is of {settings['dataset']}, the runs are of {task_name}")
    groups = some(
        [g for g in groups if all(run.champion is not None for run in g.runs)], "no run has a champion_network.json yet"
    )
    figure = style.new_figure(style.PAGE_WIDTH * 0.75, 3.2)
    axes = figure.subplots()
    random_networks.draw(axes, results)
    rows: list[Sequence[Any]] = [
        ("mutated", style.look_of(r.rule).name, "", r.network, r.connections, r.test_acc) for r in results
    ]
    workers = Workers(arguments.num_workers)
    for group in groups:
        dataset = dataset_of(group.runs[0], arguments.data_dir)
        found = []
        for run in group.runs:
            assert run.champion is not None
            task = learning_task(run.params, dataset, settings["num_epochs"], workers)
            take.check_sizes(run.champion, task.num_inputs, task.num_outputs, task_name)
            rng = np.random.default_rng(arguments.seed)
            population = [fresh(run.champion, rng) for _ in range(arguments.draws)]
            tested = [values["test_acc"] for values in task.test_population(population, rng)]
            found += [(run.champion.num_connections, accuracy) for accuracy in tested]
            rows += [
                ("evolved", group.label, seed_of(run), i, run.champion.num_connections, accuracy)
                for i, accuracy in enumerate(tested)
            ]
        (connections, accuracy), (width, height) = np.mean(found, axis=0), np.std(found, axis=0)
        look: dict[str, Any] = {"markersize": 8, "markeredgecolor": style.BLACK, "linestyle": "", "capsize": 2}
        look |= {"color": group.colour, "marker": group.marker, "label": f"{group.label}, evolved"}
        axes.errorbar(connections, accuracy, xerr=width, yerr=height, **look)
    axes.set(xlabel="connections", ylabel=f"test accuracy after {settings['num_epochs']} epochs")
    handles, names = axes.get_legend_handles_labels()
    for handle, name in zip(handles, names, strict=True):
        handle.set_label(name)
    header = ("kind", "experiment", "seed", "number", "connections", "test_acc")
    return Drawn(figure, header, rows, handles=handles)
