"""How well networks learn that were only mutated at random, without evolution, by size and learning rule.

Dense networks, one hidden layer, may stand beside them: the order of the rules is another there, which
`analysis/turning.py` shows.
"""

import argparse
import csv
import io
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tqdm import tqdm

from analysis import arguments as take
from analysis import style, turning
from analysis.runs import learning_task
from envs import datasets
from evolution.errors import InputError, RunError, unreadable
from evolution.files import read, write_atomically
from evolution.genome import Genome
from evolution.loop import add_nodes_at_start
from evolution.mutation import MutationSettings, mutate
from evolution.workers import Workers
from experiment.parameters import from_yaml
from learning import LEARNING_RULES

LOG = logging.getLogger(__name__)

PARAMS = Path(__file__).resolve().parent.parent / "params" / "wlnn-mnist"
RULES = tuple(LEARNING_RULES)
FIRST_RULES = RULES[:4]  # the thesis's, which are trained where none are named
SIZES = tuple(range(200, 801, 50))
LARGEST = 10**5  # connections
MOST_NEURONS = 10**4  # of a dense network
MOST_BANDS = 6  # rules whose spread is drawn; the bands of more would hide each other
DENSE = 0  # in place of connections, of a dense network's generators
# Rieke's thesis, test accuracy on MNIST at 200 and at 800 connections.
PUBLISHED = {
    "backprop": {200: 0.45, 800: 0.76},
    "feedback_alignment": {200: 0.45, 800: 0.61},
    "hebbian": {200: 0.46, 800: 0.53},
    "last_layer": {200: 0.43, 800: 0.47},
}


class Result(NamedTuple):
    """One line of the CSV: a network that was trained by one rule."""

    rule: str
    size: str  # "800": mutated to so many connections. "dense 500": one hidden layer of so many neurons
    network: int  # its number among those of this size; the same for all rules
    connections: int
    test_acc: float
    test_loss: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", choices=tuple(datasets.DATASETS), default="mnist")
    take.add_data_dir(parser)
    parser.add_argument(
        "--rules", nargs="+", choices=(*RULES, "all"), default=list(FIRST_RULES), help="learning rules, or all of them"
    )
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), help="connections of the networks")
    parser.add_argument(
        "--dense",
        nargs="*",
        type=int,
        default=[],
        metavar="NEURONS",
        help="networks with one full hidden layer besides",
    )
    parser.add_argument("--networks", type=int, default=20, help="networks of each size (default: %(default)s)")
    parser.add_argument("--num_epochs", type=int, default=10, help="epochs of training (default: %(default)s)")
    parser.add_argument("--num_workers", type=int, default=2, help="threads (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides networks and training (default: %(default)s)")
    parser.add_argument(
        "--to",
        type=Path,
        default=Path("out/random-networks"),
        help="folder (default: %(default)s); what is in its CSV is not done again",
    )


def main(arguments: argparse.Namespace) -> None:
    """Train what is not in the CSV yet, then write the table and the figure of all that is in it."""
    _check(arguments)
    folder = arguments.to
    try:
        folder.mkdir(parents=True, exist_ok=True)
        results = measure(arguments)
        orders = turning.orders_of(cells(results))
        text = table(results, arguments.dataset) + (f"\n{turning.text(orders)}" if orders else "")
        with style.shown(text):
            write_atomically(folder / "random_networks.md", text)
            with style.style():
                style.save(figure(results), folder / "random_networks")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RunError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from None
    print(f"{folder}/random_networks.csv, .md, .png, .svg")


def _check(arguments: argparse.Namespace) -> None:
    for name, low, high in (("networks", 1, 10**6), ("num_epochs", 1, 10**6), ("num_workers", 1, 4096)):
        value = getattr(arguments, name)
        if not low <= value <= high:
            raise InputError(f"--{name} is {value}; it must be a whole number from {low} to {high}")
    if arguments.seed < 0:
        raise InputError(f"--seed is {arguments.seed}; it must be a whole number, at least 0")
    if not (arguments.sizes or arguments.dense or (arguments.to / "random_networks.csv").exists()):
        raise InputError("--sizes and --dense are empty: there is nothing to train")
    for size in arguments.sizes:
        if not 1 <= size <= LARGEST:
            raise InputError(f"--sizes: {size}; a size must be a whole number from 1 to {LARGEST}")
    for neurons in arguments.dense:
        if not 1 <= neurons <= MOST_NEURONS:
            raise InputError(f"--dense: {neurons}; it must be a whole number from 1 to {MOST_NEURONS}")


# ---- networks -------------------------------------------------------------------------------------------------------


def random_network(
    num_inputs: int, num_outputs: int, size: int, params: dict[str, Any], rng: np.random.Generator
) -> Genome:
    """A new genome as `run-wlnn-mnist.py` makes it, then mutated, one mutation at a time, to `size` connections.

    A new genome may have more connections than that already, and is then left as it is.
    """
    probabilities = {name: params[name] for name in ("p_add_node", "p_add_connection")}
    settings = MutationSettings(probabilities, connect_outputs=False)
    p_initial = params["p_initial_connection_enabled"]
    genome = Genome.initial(num_inputs, num_outputs, p_initial, rng, with_weights=True)
    genome = add_nodes_at_start(genome, rng)
    while genome.num_connections < size:
        genome = mutate(genome, settings, rng)
    return genome


def random_population(
    num_inputs: int, num_outputs: int, size: int, count: int, params: dict[str, Any], seed: int
) -> list[Genome]:
    """`count` such networks; each is decided by the seed, the size and its number."""
    return [
        random_network(num_inputs, num_outputs, size, params, _generator(seed, size, number)) for number in range(count)
    ]


def dense_population(num_inputs: int, num_outputs: int, neurons: int, count: int, seed: int) -> list[Genome]:
    """`count` networks with a hidden layer of `neurons`, all inputs to all of them, and they to all outputs."""
    return [
        Genome.initial(
            num_inputs,
            num_outputs,
            1.0,
            _generator(seed, DENSE, neurons, number),
            num_hidden=neurons,
            with_weights=True,
        )
        for number in range(count)
    ]


def _generator(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def read_rule_params(rule: str) -> dict[str, Any]:
    """The parameters that the experiments with this learning rule are run with: backpropagation's where it has no
    file.
    """
    file = PARAMS / f"mnist-{rule}.yaml"
    file = file if file.exists() else PARAMS / "mnist-backprop.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) | {"learning_rule": rule}


# ---- measurement ----------------------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace) -> list[Result]:
    """All results of the folder's CSV, after the missing (rule, size) cells were trained and added to it.

    The networks of a size, the batches and the feedback weights' seeds are the same for all rules. Raises InputError
    where the folder holds results of other settings.
    """
    file = arguments.to / "random_networks.csv"
    _check_settings(arguments)
    results = read_results(file) if file.exists() else []
    done = {(result.rule, result.size, result.network) for result in results}
    sizes = [*map(str, arguments.sizes), *(f"dense {neurons}" for neurons in arguments.dense)]
    missing = [
        (rule, size)
        for size in dict.fromkeys(sizes)
        for rule in (RULES if "all" in arguments.rules else dict.fromkeys(arguments.rules))
        if not all((rule, size, number) in done for number in range(arguments.networks))
    ]
    if not missing:
        return results
    dataset = datasets.load(arguments.dataset, arguments.data_dir)
    workers = Workers(arguments.num_workers)
    for rule, size in tqdm(missing, unit="cell", disable=None, dynamic_ncols=True):  # disable=None: only on a terminal
        params = read_rule_params(rule)
        task = learning_task(params, dataset, arguments.num_epochs, workers)
        shape, number, seed = (task.num_inputs, task.num_outputs), number_of(size), arguments.seed
        if is_dense(size):
            networks = dense_population(*shape, number, arguments.networks, seed)
            tested = task.test_population(networks, _generator(seed, DENSE, number))
        else:
            networks = random_population(*shape, number, arguments.networks, params, seed)
            tested = task.test_population(networks, _generator(seed, number))
        results = [result for result in results if (result.rule, result.size) != (rule, size)]
        for number, (network, values) in enumerate(zip(networks, tested, strict=True)):
            accuracy, loss = values["test_acc"], -values["test_reward"]
            results.append(Result(rule, size, number, network.num_connections, accuracy, loss))
        results.sort(key=_place)
        write_atomically(file, to_csv(results))
        accuracies = [values["test_acc"] for values in tested]
        LOG.info("%s, %s: test accuracy %.3f +- %.3f", rule, label_of(size), *_mean_and_std(accuracies))
    return results


def _check_settings(arguments: argparse.Namespace) -> None:
    """Raise InputError where the folder's results are of another experiment; else record the settings beside them."""
    file = arguments.to / "settings.yaml"
    settings = {name: getattr(arguments, name) for name in ("dataset", "num_epochs", "seed")}
    if not file.exists():
        if (arguments.to / "random_networks.csv").exists():
            raise InputError(f"{arguments.to}: there is a random_networks.csv, but no settings.yaml that says of what")
        write_atomically(file, yaml.safe_dump(settings))
        return
    found = read_settings(arguments.to)
    if found != settings:
        raise InputError(f"{file}: the results in this folder are of {found}, not of {settings}; give another --to")


def read_settings(folder: Path) -> dict[str, Any]:
    """Data set, epochs and seed of the results in a folder. Raises InputError where they are not there or damaged."""
    file = folder / "settings.yaml"
    try:
        found = from_yaml(read(file))
        kinds = {"dataset": str, "num_epochs": int, "seed": int}
        if not isinstance(found, dict) or any(type(found.get(name)) is not kind for name, kind in kinds.items()):
            raise ValueError("not the settings of random-networks")
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None
    return found


# ---- results --------------------------------------------------------------------------------------------------------


def is_dense(size: str) -> bool:
    return size.startswith("dense ")


def number_of(size: str) -> int:
    """Connections of mutated networks, hidden neurons of dense ones."""
    return int(size.removeprefix("dense "))


def label_of(size: str) -> str:
    return f"{size} neurons" if is_dense(size) else f"{size} connections"


def _place(result: Result) -> tuple[Any, ...]:
    return result.rule, is_dense(result.size), number_of(result.size), result.network


def to_csv(results: Iterable[Result]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Result._fields, *results])
    return text.getvalue()


def read_results(path: Path) -> list[Result]:
    """The results of a CSV that `random-networks` wrote. Raises InputError for any other file."""
    try:
        header, *rows = csv.reader(io.StringIO(read(path).decode(), newline=""))
        if tuple(header) != Result._fields:
            raise ValueError(f"its columns are {', '.join(header):.60}")
        if unknown := {row[0] for row in rows} - set(RULES):
            raise ValueError(f"there is no rule {min(unknown)!r:.60}")
        if wrong := {row[1] for row in rows if not re.fullmatch(r"(dense )?[1-9]\d*", row[1])}:
            raise ValueError(f"there is no size {min(wrong)!r:.60}")
        return [Result(r, s, int(n), int(c), float(a), float(x)) for r, s, n, c, a, x in rows]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: not a CSV of random-networks ({reason})") from None


def cells(results: Iterable[Result]) -> dict[str, dict[str, list[float]]]:
    """The test accuracies by rule and size, rules in their usual order, sizes ascending, dense networks last."""
    found: dict[str, dict[str, list[float]]] = {}
    for result in sorted(results, key=_place):
        found.setdefault(result.rule, {}).setdefault(result.size, []).append(result.test_acc)
    return {rule: found[rule] for rule in sorted(found, key=RULES.index)}


def table(results: Sequence[Result], dataset: str) -> str:
    """Markdown: a rule a line, the best at the largest size first, with mean and standard deviation of the test
    accuracy; for MNIST what was published stands beside it.
    """
    found = cells(results)
    sizes = list(dict.fromkeys(result.size for result in sorted(results, key=lambda result: _place(result)[1:])))
    published, means = PUBLISHED if dataset == "mnist" else {}, mean_connections(results)
    header = ["rule"]
    for size in sizes:
        as_asked = is_dense(size) or abs(means[size] - number_of(size)) < 0.05
        name = size if as_asked else f"{means[size]:.1f} ({size} asked)"
        header += [name, "thesis"] if _of_size(published, size) else [name]
    lines = [header, ["---"] * len(header)]
    for rule in by_accuracy(found):
        line = [style.look_of(rule).name]
        for size in sizes:
            mean, std = _mean_and_std(found[rule].get(size, []))
            line.append(f"{mean:.3f} +- {std:.3f}" if size in found[rule] else "")
            if of_size := _of_size(published, size):
                line.append(f"about {of_size[rule]:.2f}" if rule in of_size else "")
        lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def mean_connections(results: Sequence[Result]) -> dict[str, float]:
    """By size how many connections its networks have: a new network may have more than were asked for, and a mutation
    may add two.
    """
    found: dict[str, list[int]] = {}
    for result in results:
        found.setdefault(result.size, []).append(result.connections)
    return {size: float(np.mean(connections)) for size, connections in found.items()}


def _of_size(published: dict[str, dict[int, float]], size: str) -> dict[str, float]:
    """What was published of networks of a size, by rule."""
    return {rule: values[int(size)] for rule, values in published.items() if size.isdigit() and int(size) in values}


def by_accuracy(found: dict[str, dict[str, list[float]]]) -> list[str]:
    """The rules, that with the highest mean accuracy at its largest size of mutated networks first."""

    def last(rule: str) -> float:
        means = [np.mean(accuracies) for size, accuracies in found[rule].items() if not is_dense(size)]
        return float(means[-1]) if means else float(np.mean(list(found[rule].values())[-1]))

    return sorted(found, key=last, reverse=True)


def figure(results: Sequence[Result]) -> Figure:
    """Test accuracy by connections, a line a rule with its name at the end; beside it, where there are dense networks,
    how the rules' order turns over.
    """
    orders = turning.orders_of(cells(results))
    dense = all(is_dense(result.size) for result in results)
    drawn = style.new_figure(style.PAGE_WIDTH * (1 if orders else 0.75), 4.2)
    axes, *others = drawn.subplots(1, 2 if orders else 1, width_ratios=(2, 1)[: 1 + bool(orders)], squeeze=False)[0]
    draw(axes, results, dense)
    axes.set(xlabel="hidden neurons" if dense else "connections", ylabel="test accuracy")
    style.furnish(drawn, "Networks that were only mutated at random" + (", and dense ones" if orders or dense else ""))
    drawn.draw_without_rendering()  # the names' places depend on how high the axes are
    ends = {line.get_gid(): (line.get_xdata()[-1], line.get_ydata()[-1]) for line in axes.get_lines()}
    heights = turning.name_lines(axes, ends)
    if orders:
        turning.draw_orders(others[0], orders, heights)
    return drawn


def draw(axes: Axes, results: Sequence[Result], dense: bool = False) -> None:
    """A line a rule over the sizes of the mutated networks, or of the dense ones; a band of the standard deviation over
    the networks, where the rules are few.
    """
    found, connections = (
        cells([result for result in results if is_dense(result.size) == dense]),
        mean_connections(results),
    )
    for rule, by_size in found.items():
        sizes = np.array([number_of(size) if dense else connections[size] for size in by_size])
        means, stds = np.array([_mean_and_std(accuracies) for accuracies in by_size.values()]).T
        look = style.look_of(rule)
        colour, marker = look.colour, look.marker
        if len(found) <= MOST_BANDS:
            axes.fill_between(sizes, means - stds, means + stds, color=colour, alpha=0.15, linewidth=0)
        axes.plot(sizes, means, color=colour, marker=marker, label=look.name, gid=rule)


def _mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    return (float(np.mean(values)), float(np.std(values))) if len(values) else (float("nan"), float("nan"))
