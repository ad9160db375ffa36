"""How many connections neurons have, and how large networks are."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import graph, style
from analysis.figures.common import Drawn, Group, TableRow, lines_of, some
from evolution.genome import Genome

LARGEST_SEPARATE = 16  # degrees above share a bin with their neighbours, four bins for each doubling
MOST_TICKS = 5


def draw(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """The share of neurons by their incoming, outgoing and all connections; the table of sizes and degrees."""
    networks = {group.label: last_networks(group) for group in groups}
    groups = some([group for group in groups if networks[group.label]], "no run has networks or a champion yet")
    figure = style.new_figure(style.PAGE_WIDTH, 2.5)
    panels = figure.subplots(1, 3, sharey=True)
    rows: list[Sequence[Any]] = []
    for number, (kind, axes) in enumerate(zip(("in", "out", "total"), panels, strict=True)):
        for group in groups:
            counts = np.concatenate([graph.degrees(network)[number] for network in networks[group.label]])
            edges = degree_bins(int(counts.max()))
            shares = np.histogram(counts, edges)[0] / len(counts)
            density = shares / np.diff(edges)
            axes.stairs(
                np.where(density > 0, density, np.nan),
                edges - 0.5,
                baseline=None,
                color=group.colour,
                linestyle=group.dashes,
                linewidth=1.4,
            )
            values = np.bincount(counts)
            rows += [
                (group.label, kind, degree, int(count), float(count / len(counts)))
                for degree, count in enumerate(values)
                if count
            ]
        axes.set_xscale("symlog", linthresh=LARGEST_SEPARATE, linscale=1.2)
        doubled = [2**i for i in range(2, 40) if 2**i <= axes.get_xlim()[1]]
        axes.set_xticks([0, *doubled[:: -(-len(doubled) // MOST_TICKS) or 1]])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.minorticks_off()
        axes.set(xlabel={"in": "in-degree", "out": "out-degree", "total": "total degree"}[kind], xlim=(-0.5, None))
        axes.set_yscale("log")
        style.plain_logarithms(axes.yaxis)
    panels[0].set_ylabel("share of neurons for each degree")
    header = ("experiment", "degree_kind", "degree", "neurons", "share")
    table = [row for g in groups for row in degree_statistics(g, networks[g.label])]
    return Drawn(figure, header, rows, table, lines_of(groups))


def last_networks(group: Group) -> list[Genome]:
    """Of every run the networks of the last generation that is saved, else the champion."""
    found: list[Genome] = []
    for run in group.runs:
        if run.saved_generations:
            found += run.networks(run.saved_generations[-1])
        elif run.champion is not None:
            found.append(run.champion)
    return found


def degree_bins(largest: int) -> npt.NDArray[np.int64]:
    """Edges of bins that start with them: one degree each up to 16, then four bins for each doubling."""
    edges = list(range(LARGEST_SEPARATE + 1))
    while edges[-1] <= largest:
        edges.append(max(edges[-1] + 1, round(edges[-1] * 2**0.25)))
    return np.array(edges)


QUANTITIES = {
    "connections": "connections",
    "neurons": "neurons",
    "hidden_neurons": "hidden neurons",
    "layers": "layers",
    "used_connections": "connections in use",
    "used_neurons": "neurons in use",
    "used_inputs": "inputs in use",
    "in_degree_mean": "in-degree, mean over neurons",
    "in_degree_std": "in-degree, spread over neurons",
    "out_degree_mean": "out-degree, mean over neurons",
    "out_degree_std": "out-degree, spread over neurons",
    "total_degree_mean": "total degree, mean over neurons",
    "total_degree_std": "total degree, spread over neurons",
}


def degree_statistics(group: Group, networks: Sequence[Genome]) -> list[TableRow]:
    """Sizes and degrees of an experiment's networks."""
    found = [graph.statistics(network) for network in networks]
    values = {text: np.array([statistics[name] for statistics in found]) for name, text in QUANTITIES.items()}
    return [TableRow(group.label, text, len(v), float(v.mean()), float(v.std())) for text, v in values.items()]
