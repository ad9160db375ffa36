"""Whether the groups of a study differ by more than chance: means, intervals, exact tests, effect sizes."""

import argparse
import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from analysis import arguments as take
from analysis import style
from analysis.runs import NOT_THE_EXPERIMENT, RunFolder
from analysis.statistics import LEVEL, TESTS, Difference, Summary, compare, holm, summarise
from evolution.errors import InputError, unreadable
from evolution.files import read, write_atomically
from experiment.parameters import from_yaml

STUDY_FILE = "study.yaml"  # a copy of the study file in the study's folder; what it names is compared unless asked else
PARAMS_FILE = "params.yaml"
# What is compared unless it is said: the first of these that a run has.
USUAL_METRICS = (
    "champion/test_acc", "champion/test_mean_reward", "champion/test_mean_acc", "champion/mean_reward",
    "champion/mean_acc", "champion/acc", "test/acc",
)  # fmt: skip
# A study over several of these is compared within each: accuracies on two data sets are two quantities.
TASKS = ("env_name", "dataset")
PUBLISHED_WINDOW = 10  # generations over which a value is averaged that stands beside a published one
LISTED = 12  # tags in an error line
OF_ONE_NETWORK = re.compile(r"population/net\d+_")


class Found(NamedTuple):
    """A run's value of the metric."""

    seed: int
    value: float
    generation: int
    folder: Path


@dataclass(frozen=True)
class Group:
    """The runs that differ in nothing but their seed."""

    label: str
    within: str  # what it shares with the groups that it is compared with, as the data set; "" if there is nothing
    params: Mapping[str, Any]  # in which the study's groups differ
    rule: str | None  # the learning rule, where the runs learn
    found: Sequence[Found]  # by seed
    summary: Summary

    @property
    def values(self) -> list[float]:
        return [run.value for run in self.found]

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.found]


class Pair(NamedTuple):
    """Two groups, how they differ, and Holm's adjusted p."""

    first: Group
    second: Group
    difference: Difference
    adjusted: float


@dataclass(frozen=True)
class Comparison:
    """All that `compare` says."""

    metric: str
    generation: int
    window: int
    test: str
    groups: Sequence[Group]
    pairs: Sequence[Pair]
    notes: Sequence[str]  # sentences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY", nargs="+", type=Path, help="a study's folder, or folders of runs")
    parser.add_argument("--metric", help="TensorBoard tag (default: the study file's, else champion/test_acc or alike)")
    parser.add_argument("--at", type=take.seed, metavar="GENERATION", help="default: the last that all runs have")
    parser.add_argument(
        "--window", type=take.count, metavar="GENERATIONS", help="mean over the last so many (default: 1)"
    )
    parser.add_argument("--by", nargs="+", metavar="PARAMETER", help="compare groups that differ in these alone")
    parser.add_argument("--test", choices=TESTS, default=TESTS[0], help="default: %(default)s")
    parser.add_argument("--unpaired", action="store_true", help="do not pair runs that have the same seed")
    take.add_destination(parser, "STUDY/compare")


def main(arguments: argparse.Namespace) -> None:
    """Compare the groups of a study by one metric, its runs' seeds being the repetitions.

    Writes Markdown, a picture as PNG and SVG, and the numbers as CSV: the groups, their pairs (-pairs), every run
    (-runs).
    """
    study = read_study(arguments.study)
    asked = dict(study.get("compare") or {})
    for name in ("metric", "at", "window", "by"):
        if getattr(arguments, name) is not None:
            asked[name] = getattr(arguments, name)
    runs = find_runs(arguments.study)
    path = take.destination(arguments.to, arguments.study[0] / "compare")
    found = compare_runs(runs, study, test=arguments.test, unpaired=arguments.unpaired, **asked)
    text = markdown(found)
    published = published_table(runs, study)
    if published:
        text += "\n" + published
    with style.shown(text + "\n"):
        write(found, text, path)
    print(f"{path}.md, .csv, -pairs.csv, -runs.csv, .png, .svg")


def write(found: Comparison, text: str, path: Path) -> None:
    """Write what the command writes, at `path` without an ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path.with_name(path.name + ".md"), text)
    style.save_csv(path.with_name(path.name + ".csv"), *group_rows(found))
    style.save_csv(path.with_name(path.name + "-pairs.csv"), *pair_rows(found))
    style.save_csv(path.with_name(path.name + "-runs.csv"), *run_rows(found))
    with style.style():
        style.save(figure(found), path)


# ---- reading --------------------------------------------------------------------------------------------------------


def read_study(paths: Sequence[Path]) -> dict[str, Any]:
    """The study file in the one folder that is given; nothing where there is none, or several folders."""
    file = paths[0] / STUDY_FILE
    if len(paths) > 1 or not file.is_file():
        return {}
    try:
        content = from_yaml(read(file))
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: this is no study file")
    return content


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The runs in the folders, or below them, in the order of their names. Raises InputError where there is none."""
    found: dict[Path, Path] = {}
    for path in paths:
        if (path / PARAMS_FILE).is_file():
            folders = [path]
        elif path.is_dir():
            folders = sorted((file.parent for file in path.glob(f"*/{PARAMS_FILE}")), key=_natural)
        else:
            raise InputError(f"{path}: there is no such folder")
        if not folders:
            raise InputError(f"{path}: there are no runs in this folder")
        found |= {folder.resolve(): folder for folder in folders}
    return [RunFolder(folder) for folder in found.values()]


def _natural(path: Path) -> list[Any]:
    """For sorting: numbers in names by their size."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def compare_runs(
    runs: Sequence[RunFolder],
    study: Mapping[str, Any],
    *,
    metric: str | None = None,
    at: int | None = None,
    window: int = 1,
    by: Sequence[str] | None = None,
    test: str = TESTS[0],
    unpaired: bool = False,
) -> Comparison:
    """Compare groups of runs. Raises InputError for a metric that no run has, or parameters that do not differ."""
    notes: list[str] = []
    metric = metric or next((tag for tag in USUAL_METRICS if any(tag in run.scalars for run in runs)), USUAL_METRICS[0])
    runs = _with_metric(runs, metric, notes)
    runs, generation = _at(runs, at, notes)
    differing = differences(runs, study)
    by = _compared(differing, by)
    groups = []
    for params, members in _grouped(runs, differing):
        found = [
            Found(int(run.params.get("seed", 0)), *value_at(run, metric, generation, window), run.path)
            for run in members
        ]
        groups += _group(params, by, members[0], found, notes)
    if not groups:
        raise InputError(f"no run has a value of {metric} by generation {generation}")
    pairs = _pairs(groups, by, test, unpaired)
    return Comparison(metric, generation, window, test, groups, pairs, [*notes, *_remarks(groups, pairs, test)])


def _with_metric(runs: Sequence[RunFolder], metric: str, notes: list[str]) -> list[RunFolder]:
    have = [run for run in runs if metric in run.scalars]
    if not have:
        tags = sorted({tag for run in runs for tag in run.scalars if not OF_ONE_NETWORK.match(tag)})
        near = difflib.get_close_matches(metric, tags, LISTED, 0.5) or tags[:LISTED]
        raise InputError(f"no run has the metric {metric!r:.80}; there are {', '.join(near)}")
    if missing := [str(run.path) for run in runs if metric not in run.scalars]:
        notes.append(f"Left out, having no {metric} yet: {', '.join(missing)}.")
    return have


def last_generation(run: RunFolder) -> int:
    """The last generation (or epoch) of which a run has written anything."""
    return max(int(series.steps[-1]) for series in run.scalars.values() if len(series.steps))


def _at(runs: list[RunFolder], at: int | None, notes: list[str]) -> tuple[list[RunFolder], int]:
    """The runs that have come to generation `at`, and that; without it all, and the last that they share.

    Generations count from 0: a run of 1000 generations ends with 999, and has come to 1000.
    """
    last = {run.path: last_generation(run) for run in runs}
    if at is None:
        shared = min(last.values())
        if (ahead := sum(generation > shared for generation in last.values())) and len(runs) > 1:
            behind = ", ".join(str(path) for path, generation in last.items() if generation == shared)
            notes.append(
                f"{ahead} runs went on beyond generation {shared}, the last that all have: {behind} ended there."
            )
        return runs, shared
    there = [run for run in runs if last[run.path] + 1 >= at]
    if not there:
        raise InputError(f"--at {at}: no run has come so far; the last generation is {max(last.values())}")
    if short := [f"{run.path} ({last[run.path]})" for run in runs if last[run.path] + 1 < at]:
        notes.append(f"Left out, not yet at generation {at}: {', '.join(short)}.")
    return there, at


def value_at(run: RunFolder, metric: str, generation: int | None, window: int) -> tuple[float, int]:
    """A scalar's mean over the last `window` generations up to the given one, and the generation that it really is of.

    A tag that is written at tests only is taken at its last test; NaN and -1 where the run has none.
    """
    at_tests = "test" in metric or "long" in metric
    return run.series(metric).last(1 if at_tests else window, generation)


def differences(runs: Sequence[RunFolder], study: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The parameters in which the runs differ, seeds and the like aside, and their values in the study's order.

    Of a study's cells none that follows from the grid, as a constant of a rule does: it would be said with every group.
    """
    names = dict.fromkeys(name for run in runs for name in run.params if name not in NOT_THE_EXPERIMENT)
    grid = study.get("grid") or {}
    found: dict[str, list[Any]] = {}
    for name in sorted(names, key=lambda name: list(grid).index(name) if name in grid else len(grid)):
        values = _distinct(run.params.get(name) for run in runs)
        if len(values) > 1 and (name in grid or not grid or _tells_apart(runs, list(found), name)):
            listed = grid[name] if isinstance(grid.get(name), list) else []
            found[name] = [*(v for v in listed if v in values), *(v for v in values if v not in listed)]
    return found


def _tells_apart(runs: Sequence[RunFolder], names: Sequence[str], name: str) -> bool:
    """Whether runs that are the same in `names` differ in this parameter."""
    first: list[tuple[list[Any], Any]] = []
    for run in runs:
        alike, value = [run.params.get(other) for other in names], run.params.get(name)
        if any(alike == others and value != theirs for others, theirs in first):
            return True
        first.append((alike, value))
    return False


def _distinct(values: Iterable[Any]) -> list[Any]:
    """In the order of their first places; also of values that cannot be hashed."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _compared(differing: Mapping[str, Sequence[Any]], by: Sequence[str] | None) -> list[str]:
    """The parameters that groups which are compared may differ in: all but the task, unless that alone differs."""
    if by is None:
        return [name for name in differing if name not in TASKS] or list(differing)
    for name in by:
        if name not in differing:
            raise InputError(
                f"--by {name}: the runs do not differ in it; they differ in {', '.join(differing) or 'nothing'}"
            )
    return list(by)


def _grouped(
    runs: Sequence[RunFolder], differing: Mapping[str, list[Any]]
) -> list[tuple[dict[str, Any], list[RunFolder]]]:
    """The runs of each group by seed, and the values that make it one."""
    groups: dict[tuple[int, ...], list[RunFolder]] = {}
    for run in runs:
        key = tuple(values.index(run.params.get(name)) for name, values in differing.items())
        groups.setdefault(key, []).append(run)
    for members in groups.values():
        members.sort(key=lambda run: run.params.get("seed", 0))
        for one, other in pairwise(members):
            if one.params.get("seed") == other.params.get("seed"):
                raise InputError(f"{one.path} and {other.path} are the same run with the same seed: leave one out")
    return [
        ({name: differing[name][i] for name, i in zip(differing, key, strict=True)}, groups[key])
        for key in sorted(groups)
    ]


def _group(
    params: dict[str, Any], by: Sequence[str], run: RunFolder, found: Sequence[Found], notes: list[str]
) -> list[Group]:
    """The group, or none where no run has a finite value; says which have not."""
    finite = [one for one in found if math.isfinite(one.value)]
    if bad := [str(one.folder) for one in found if not math.isfinite(one.value)]:
        notes.append(f"Left out, without a finite value by then: {', '.join(bad)}.")
    if not finite:
        return []
    label = ", ".join(_named(name, params[name]) for name in params if name in by) or run.task
    within = ", ".join(_named(name, value) for name, value in params.items() if name not in by)
    rule = run.rule if "learning_rule" in run.params else None
    return [Group(label, within, params, rule, finite, summarise([one.value for one in finite]))]


def _named(name: str, value: Any) -> str:
    return (
        str(value) if isinstance(value, str) else f"{name} {str(value).lower() if isinstance(value, bool) else value}"
    )


# ---- comparing ------------------------------------------------------------------------------------------------------


def _pairs(groups: Sequence[Group], by: Sequence[str], test: str, unpaired: bool) -> list[Pair]:
    """All pairs of groups that are the same in what is not compared."""
    chosen = [(a, b) for a, b in combinations(groups, 2) if a.within == b.within]
    differences = [
        compare(
            a.values,
            b.values,
            paired=not unpaired and test == "permutation" and a.seeds == b.seeds,
            test=test,
        )
        for a, b in chosen
    ]
    adjusted = holm([difference.p for difference in differences])
    return [Pair(a, b, d, p) for (a, b), d, p in zip(chosen, differences, adjusted, strict=True)]


def _remarks(groups: Sequence[Group], pairs: Sequence[Pair], test: str) -> list[str]:
    """What a reader must know of the numbers."""
    remarks = [
        "Intervals hold the mean with 95 %: BCa bootstrap over the runs. Of five values and fewer they are too narrow.",
        "std: standard deviation over the runs (n - 1).",
    ]
    if not pairs:
        return [*remarks, "There is one group, so there is nothing to compare."]
    tested = [pair for pair in pairs if not math.isnan(pair.difference.p)]
    remarks.append(
        f"p: {_test_name(test, [pair.difference for pair in pairs])}; Holm: corrected for "
        f"{len(tested)} comparison{'s' * (len(tested) != 1)}. Cliff's delta: the share of pairs of runs in which the "
        "first is larger, less the share in which it is smaller."
    )
    designs = {(len(p.first.found), len(p.second.found), p.difference.paired): p.difference.smallest_p for p in tested}
    for (n, m, paired), smallest in designs.items():
        how = f"{n} pairs" if paired else f"{n} against {m} unpaired"
        line = f"The smallest p that {how} can reach is {smallest:.2g}"
        corrected = min(1.0, smallest * len(tested))
        if len(tested) > 1:
            line += f", after Holm's correction {corrected:.2g}"
        if smallest > LEVEL:
            line += ": above 5 %, so that no difference can be shown, however large"
        elif corrected > LEVEL:
            line += ": above 5 % for the smallest of all"
        remarks.append(line + ".")
        if paired and smallest > LEVEL:
            remarks.append("With --unpaired the runs count as independent, and smaller p can be reached.")
    if len(tested) < len(pairs):
        remarks.append("A group of one run cannot be tested.")
    remarks.append(
        "Seeds needed: of each group, for a t test to find a difference like the one seen in 4 of 5 studies (p below "
        "5 %, not corrected), and never fewer than let p come below 5 % at all."
    )
    return remarks


def _test_name(test: str, differences: Sequence[Difference]) -> str:
    if test == "mann-whitney":
        kind = "Mann-Whitney test"
    else:
        kinds = {d.paired for d in differences}
        names = {True: "flipping the signs of differences of paired seeds", False: "sharing all runs out anew"}
        kind = "permutation test of the means by " + " or ".join(
            names[paired] for paired in sorted(kinds, reverse=True)
        )
    return f"two-sided {'exact ' if all(d.exact for d in differences) else ''}{kind}"


# ---- what is written ------------------------------------------------------------------------------------------------


def table(lines: Sequence[Sequence[str]]) -> str:
    """Markdown of a header and rows."""
    header, *rows = lines
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, ["---"] * len(header), *rows))


def number(value: float, digits: int = 4) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"{low:.4g} to {high:.4g}"


def title(found: Comparison) -> str:
    mean = f", mean over {found.window} generations" if found.window > 1 else ""
    return f"{found.metric} at generation {found.generation}{mean}"


def markdown(found: Comparison) -> str:
    """The tables and remarks."""
    several = len({group.within for group in found.groups}) > 1
    head = ["within"] if several else []
    lines = [[*head, "group", "runs", "mean", "std", "95 % interval"]]
    for group in found.groups:
        s = group.summary
        cells = [group.label, str(s.n), number(s.mean), number(s.std, 2), interval(s.low, s.high)]
        lines.append([*([group.within] if several else []), *cells])
    text = f"{title(found)}\n\n{table(lines)}\n"
    if found.pairs:
        lines = [
            [*head, "first", "second", "difference", "95 % interval", "p", "Holm", "Cliff's delta", "seeds needed"]
        ]
        for pair in found.pairs:
            d = pair.difference
            cells = [pair.first.label, pair.second.label, number(d.difference), interval(d.low, d.high)]
            cells += [number(d.p, 2), number(pair.adjusted, 2), number(d.delta, 2)]
            cells.append("" if d.needed is None else str(d.needed))
            lines.append([*([pair.first.within] if several else []), *cells])
        text += table(lines) + "\n"
    return text + "".join(f"- {note}\n" for note in found.notes)


def group_rows(found: Comparison) -> tuple[list[str], list[list[Any]]]:
    names = list(found.groups[0].params)
    header = ["group", *names, "metric", "generation", "runs", "mean", "std", "low", "high"]
    rows = [
        [g.label, *g.params.values(), found.metric, found.generation, *map(_plain, g.summary)] for g in found.groups
    ]
    return header, rows


def pair_rows(found: Comparison) -> tuple[list[str], list[list[Any]]]:
    header = ["within", "first", "second", "runs_first", "runs_second", "paired", "test", "exact", "difference", "low"]
    header += ["high", "p", "p_holm", "smallest_p", "cliffs_delta", "seeds_needed"]
    rows = []
    for a, b, d, adjusted in found.pairs:
        row = [a.within, a.label, b.label, len(a.found), len(b.found), d.paired, found.test, d.exact]
        row += map(_plain, (d.difference, d.low, d.high, d.p, adjusted, d.smallest_p, d.delta))
        rows.append([*row, "" if d.needed is None else d.needed])
    return header, rows


def run_rows(found: Comparison) -> tuple[list[str], list[list[Any]]]:
    header = ["group", *found.groups[0].params, "seed", "metric", "generation", "value"]
    rows = [
        [g.label, *g.params.values(), run.seed, found.metric, run.generation, run.value]
        for g in found.groups
        for run in g.found
    ]
    return header, rows


def _plain(value: float) -> float | str:
    return "" if math.isnan(value) else value


def figure(found: Comparison) -> Figure:
    """Every run as a point, means with their intervals; a panel for each set of groups that are compared."""
    panels = list(dict.fromkeys(group.within for group in found.groups))
    counts = [sum(group.within == within for group in found.groups) for within in panels]
    drawn = style.new_figure(style.PAGE_WIDTH * 0.8, 0.9 + 0.3 * sum(counts) + 0.45 * len(panels))
    axes_of = drawn.subplots(len(panels), squeeze=False, height_ratios=[n + 0.5 for n in counts])[:, 0]
    labels = list(dict.fromkeys(group.label for group in found.groups))
    for within, axes in zip(panels, axes_of, strict=True):
        groups = [group for group in found.groups if group.within == within]
        for row, group in enumerate(groups):
            _draw_group(axes, row, group, labels.index(group.label))
        axes.set_yticks(range(len(groups)), [group.label for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_title(within)
        axes.grid(axis="y", visible=False)
    axes_of[-1].set_xlabel(title(found))
    return drawn


def _draw_group(axes: Any, row: int, group: Group, number: int) -> None:
    colour = style.RULE_COLOURS.get(group.rule or "", style.OTHER_COLOURS[number % len(style.OTHER_COLOURS)])
    if number and "learning_rule" not in group.params:  # groups of one rule are told apart
        colour = style.OTHER_COLOURS[number % len(style.OTHER_COLOURS)]
    draw_values(axes, row, group.values, group.summary, colour)


def draw_values(axes: Any, row: int, values: Sequence[float], summary: Summary, colour: str) -> None:
    """Values as points at height `row`, their mean as a stroke, its interval as a bar."""
    if not math.isnan(summary.low):
        ends = [summary.low, summary.high]
        axes.plot(ends, [row, row], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
    axes.plot([summary.mean] * 2, [row - 0.28, row + 0.28], color=colour, linewidth=2)
    heights = row + 0.12 * (np.arange(len(values)) % 3 - 1) if len(values) > 1 else [row]
    axes.plot(values, heights, "o", color=colour, markersize=4, markeredgecolor="white", markeredgewidth=0.5)


# ---- published beside ours ------------------------------------------------------------------------------------------


def published_table(runs: Sequence[RunFolder], study: Mapping[str, Any]) -> str:
    """Markdown: the figures that the study file names as published, and ours; "" where it names none."""
    entries = study.get("published") or []
    if not entries:
        return ""
    lines = [["what", "published", "ours", "std", "runs", "generation"]]
    for entry in entries:
        of = entry.get("of") or {}
        chosen = [run for run in runs if all(run.params.get(name) == value for name, value in of.items())]
        window = entry.get("window", PUBLISHED_WINDOW)
        values = [value_at(run, entry["metric"], entry.get("at"), window) for run in chosen]
        values = [(value, step) for value, step in values if math.isfinite(value)]
        what = entry["what"] + "".join(f", {_named(name, value)}" for name, value in of.items())
        if values:
            s = summarise([value for value, _ in values])
            step = min(step for _, step in values)
            lines.append([what, str(entry.get("value", "")), number(s.mean), number(s.std, 2), str(s.n), str(step)])
        else:
            lines.append([what, str(entry.get("value", "")), "", "", "0", ""])
    return f"Published beside ours, means over {PUBLISHED_WINDOW} generations where it is no test\n\n{table(lines)}"
