"""Pictures at their worst: every text lies on the page and none overlaps another, and no curve runs into the title."""

import argparse
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from genomes import evolved
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import assert_readable, texts
from test_figures import made

import learning
from analysis import draw, evaluate, layout, style, text
from analysis.__main__ import main
from analysis.figures import common, degrees, evolution, wann_curves
from analysis.names import Names, default_names
from analysis.runs import RunFolder
from evolution.genome import Genome
from learning import LEARNING_RULES

LONG = "a name that goes on and on, " * 12


def deep(num_layers: int, num_connections: int, seed: int = 0) -> Genome:
    """A network of one hidden neuron a layer, with random connections besides the chain through all of them."""
    rng = np.random.default_rng(seed)
    layers = np.array([0, num_layers - 1, *range(1, num_layers - 1)], np.int32)
    order = np.argsort(layers)
    chain = np.column_stack([order[:-1], order[1:]])
    pairs = np.sort(rng.integers(0, num_layers, (4 * num_connections, 2)), axis=1)
    pairs = order[np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)]
    pairs = rng.permutation(pairs)[: num_connections - len(chain)]
    connections = np.unique(np.concatenate([chain, pairs]), axis=0).astype(np.int32)
    activations = np.r_[0, 0, rng.integers(0, 10, num_layers - 2)].astype(np.int8)
    return Genome(1, 1, layers, activations, connections)


WORST = {
    "ten activations": lambda: evolved(1, 5, 2, mutations=150),
    "160 connections on digits": lambda: evolved(1, 64, 10, 0.05, 250),
    "weights on digits": lambda: evolved(1, 64, 10, 0.05, 250, with_weights=True),
    "500 connections": lambda: evolved(2, 24, 10, 0.3, 700),
    "bias beside pixels": lambda: evolved(3, 256, 10, 0.01, 60, use_bias=True),
    "a bias and a few": lambda: evolved(3, 5, 1, 0.5, 20, use_bias=True),
    "many inputs that are no image": lambda: evolved(4, 200, 60, 0.02, 50),
    "no connection": lambda: evolved(5, 3, 2, 0.0, 0),
    "256 layers": lambda: deep(256, 3000),
    "huge weights": lambda: replace(
        evolved(6, 64, 10, 0.05, 40, with_weights=True),
        weights=np.full(evolved(6, 64, 10, 0.05, 40, with_weights=True).num_connections, 3e38, np.float32),
    ),
}


@pytest.mark.parametrize("case", WORST)
def test_drawings_can_be_read(case):
    genome = WORST[case]()
    for names, title in ((default_names(genome), "Champion"), (_long_names(genome), LONG)):
        figure = draw.figure(genome, names, title)
        found = assert_readable(figure)
        (title_bottom,) = [box[1] for name, box in found.items() if name.startswith(title[:8])]
        heights = [path.vertices[:, 1].max() for path in _curves(figure)]
        assert max(heights, default=0) < title_bottom  # no curve runs into the title
        for output in range(min(genome.num_outputs, 2)):
            assert any(name.startswith(names.outputs[output][:8]) for name in found)


def _long_names(genome: Genome) -> Names:
    return Names(
        tuple(f"input {i}, {LONG}" for i in range(genome.num_observed)),
        tuple(f"output {i}, {LONG}" for i in range(genome.num_outputs)),
    )


def _curves(figure):
    from matplotlib.collections import PathCollection

    return [p for c in figure.axes[0].collections if isinstance(c, PathCollection) for p in c.get_paths()]


def test_the_bias_stands_beside_the_pixels():
    figure = draw.figure(evolved(3, 256, 10, 0.01, 60, use_bias=True))
    ((left, *_),) = [box for name, box in texts(figure) if name == "bias"]
    (image,) = figure.axes[0].images
    assert left > image.get_extent()[1]


# ---- figures of runs ------------------------------------------------------------------------------------------------


def test_figures_of_many_experiments_with_long_names_can_be_read(tmp_path):
    runs = []
    for i, rule in enumerate(["backprop"] * 6 + ["hebbian", "a_rule_of_ones_own", *list(LEARNING_RULES)[:5]]):
        params = {"script": "run-wlnn-mnist", "dataset": "digits", "learning_rule": rule, "lr": 0.1 * i, "seed": 0}
        params |= {"note": f"$experiment {i} {LONG}", "train_only_outputs": False}
        values = {"population/net0_acc": 0.5, "population/net0_connections": 100_000.0}
        folder = made(tmp_path / str(i), params, {0: values})
        evolved(i, 64, 10, 0.1, 10, with_weights=True).save(folder / "champion_network.json")
        runs.append(RunFolder(folder))
    groups = common.group_runs(runs)
    looks = [(group.colour, group.dashes, group.marker) for group in groups]
    assert len(set(looks)) == len(groups) == 13
    for function in (evolution.draw, degrees.draw):
        with style.style():
            drawn = function(groups, argparse.Namespace())
            figure = style.furnish(drawn.figure, f"digits {LONG}", drawn.handles)
        found = assert_readable(figure)
        assert sum("$experiment" in name.replace("\n", " ") for name in found) == 9  # rules with two and more
        _assert_two_ticks(figure)


def test_weight_agnostic_figures_can_be_read(tmp_path):
    tags = ("best/mean_acc", "best/max_acc", "champion/mean_acc", "stats/connections_mean", "champion/connections")
    runs = []
    for i in range(10):
        params = {"script": "run-wann-classification", "dataset": "mnist", "batch_size": i, "note": LONG}
        runs.append(RunFolder(made(tmp_path / str(i), params, {0: dict.fromkeys(tags, 0.1 * i)})))
    with style.style():
        drawn = wann_curves.draw(common.group_runs(runs), argparse.Namespace())
        figure = style.furnish(drawn.figure, "mnist", drawn.handles)
    assert_readable(figure)
    _assert_two_ticks(figure)


def test_an_evaluation_can_be_read():
    names = (
        "random individual",
        "random shared",
        "tuned shared",
        "tuned individual",
        "votes of six weights",
        "its own",
    )
    rows = [evaluate.Row(name, 0.1 * i, 0.0, 1) for i, name in enumerate(names)]
    shared = np.linspace(-2, 2, 5)
    found = evaluate.Evaluation("test accuracy", rows, shared, shared, shared * np.nan)
    with style.style():
        figure = evaluate.figure(found, LONG)
    assert_readable(figure)
    _assert_two_ticks(figure)


def _assert_two_ticks(figure):
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            assert sum(low <= tick <= high for tick in axis.get_majorticklocs()) >= 2


def test_each_rule_has_a_look_of_its_own(monkeypatch):
    looks = [style.look_of(rule) for rule in learning.LEARNING_RULES]
    assert len({look.colour for look in looks}) == len(looks) == 18
    more = {f"rule_{i}": "nowhere:Rule" for i in range(13)}
    monkeypatch.setattr(learning, "LEARNING_RULES", learning.LEARNING_RULES | more)
    looks = [style.look_of(rule) for rule in learning.LEARNING_RULES]
    assert len({(look.colour, look.marker) for look in looks}) == len(looks)  # colours repeat, with another marker
    assert len({look.name for look in looks}) == len(looks)
    assert style.look_of("rule_3").name == "Rule 3"


OWN = """
from analysis import style
from analysis.figures.common import Drawn, lines_of

def sizes(groups, arguments):
    figure = style.new_figure(3, 2)
    sizes = [run.champion.num_connections for group in groups for run in group.runs]
    figure.subplots().plot(sizes)
    return Drawn(figure, ("connections",), [(size,) for size in sizes], handles=lines_of(groups))
"""


def test_a_figure_of_ones_own_is_drawn_by_the_command(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_figures.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    folder = made(tmp_path / "run", {"script": "run-wann-gym", "env_name": "CartPole-v0"}, {0: {"best/acc": 0.1}})
    genome = evolved(0, 4, 2)
    genome.save(folder / "champion_network.json")
    assert main(["figures", str(folder), "--only", "own_figures:sizes"]) == 0
    written = (folder / "figures/own_figures-sizes-CartPole-v0.csv").read_text()
    assert written == f"connections\n{genome.num_connections}\n"
    assert (folder / "figures/own_figures-sizes-CartPole-v0.svg").is_file()
    assert main(["figures", str(folder), "--only", "own_figures:none"]) == 2
    assert "cannot be imported" in capsys.readouterr().err


# ---- the layout -----------------------------------------------------------------------------------------------------


def test_a_neuron_wants_to_be_where_its_neighbours_and_its_pull_are_on_average():
    """Two inputs at 2 and -1; 2 hears both, 3 the second and is drawn to 5, 4 nobody; 5 listens to 2 and 3."""
    layers, edges = np.array([0, 0, 1, 1, 1, 2], np.int32), [(0, 2), (1, 2), (1, 3), (2, 5), (3, 5)]
    graph = layout._Places.of(layers, np.array(edges, np.int32), np.zeros(6, bool))
    graph.pulls[3] = 5
    heights, column = np.array([2, -1, 0.3, 0.1, 0.7, 8]), np.array([4, 2, 3])
    np.testing.assert_allclose(graph.wanted(heights, column, 1, True, False), [0.7, 0.5, 2])
    np.testing.assert_allclose(graph.wanted(heights, column, 1, False, True), [0.7, 8, 6.5])
    np.testing.assert_allclose(graph.wanted(heights, column, 1, True, True), [0.7, 3, 4])


@given(st.lists(st.integers(0, 40), max_size=60))
def test_inversions_are_pairs_out_of_order(values):
    pairs = sum(values[i] > values[j] for j in range(len(values)) for i in range(j))
    assert layout.inversions(np.array(values, np.int64)) == pairs


def test_crossings_of_many_connections_take_little_memory():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3000, 20_000)
    tracemalloc.start()
    try:
        layout.inversions(values)
        assert tracemalloc.get_traced_memory()[1] < 5e6  # a square of them has 4e8 entries
    finally:
        tracemalloc.stop()


def test_a_deep_drawing_has_few_bends_and_looks_at_each_edge_twice_a_sweep(monkeypatch):
    genome, looked = deep(256, 3000), []
    bincount = np.bincount
    monkeypatch.setattr(np, "bincount", lambda x, *rest, **more: looked.append(len(x)) or bincount(x, *rest, **more))
    drawn = layout.layered(genome.layers, genome.connections, genome.layers == 0)
    bends = [len(route) - 2 for route in drawn.routes]
    assert 0.9 * layout.MOST_BENDS < sum(bends) <= layout.MOST_BENDS
    skipped = np.diff(genome.layers[genome.connections], axis=1)[:, 0] - 1
    assert all(bend in (0, skip) for bend, skip in zip(bends, skipped.tolist(), strict=True))
    assert max(b for b in bends) <= min(s for b, s in zip(bends, skipped.tolist(), strict=True) if s and not b)
    edges = sum(bends) + genome.num_connections
    # Per edge: a count and a sum, in each sweep for order once, in each of twice as many for places from both sides.
    assert sum(looked) <= 2 * edges * layout.SWEEPS * 5


def test_names_are_moved_apart_as_little_as_needed():
    assert draw._apart(np.array([1.0, 3.0]), 1.0, 0.0, 4.0).tolist() == [1, 3]
    np.testing.assert_allclose(draw._apart(np.array([2.0, 2.0, 0.5]), 1.0, 0.0, 9.0), [2.5, 1.5, 0.5])
    np.testing.assert_allclose(draw._apart(np.array([0.0, 0.1]), 1.0, 0.0, 9.0), [0.0, 1.0])
    np.testing.assert_allclose(draw._apart(np.array([9.0, 8.9]), 1.0, 0.0, 9.0), [9.0, 8.0])


# ---- text -----------------------------------------------------------------------------------------------------------


@example("00+\u0b020", 0.30078125)  # before an ellipsis the last sign takes more room
@given(st.text(max_size=200), st.floats(0.3, 5))
def test_wrapped_lines_have_room_and_lose_nothing_but_what_is_marked(content, room):
    lines = text.wrapped(content, room, 10).split("\n")
    assert len(lines) <= 3
    assert all(len(line) <= 1 or text.width(line, 10) <= room for line in lines)
    shown = "".join(lines).replace(" ", "")
    if not shown.endswith("\N{HORIZONTAL ELLIPSIS}"):
        assert shown == text.printable(content).replace(" ", "")


@pytest.mark.parametrize(
    ("given", "shown"), [("cost in $ and $x$", "cost in $ and $x$"), ("a\udcffb", "a�b"), ("a\0\n b", "a� b")]
)
def test_text_from_outside_is_text(given, shown, tmp_path):
    from analysis import style

    genome = evolved(0, 2, 1)
    figure = draw.figure(genome, Names((given, "b"), ("c",)), given)
    found = [name for name, _ in texts(figure)]
    assert found.count(shown) == 2
    style.save(figure, tmp_path / "picture")
    assert "<svg" in (tmp_path / "picture.svg").read_text(encoding="utf-8")
