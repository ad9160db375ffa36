"""`python -m analysis compare`: statistics by hand and by scipy, groups, pairs, and what is said of the design."""

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_study import make_run, make_study
from scipy import stats

from analysis import compare as module
from analysis.__main__ import main
from analysis.runs import RunFolder
from analysis.statistics import LEVEL, cliffs_delta, compare, holm, needed, smallest_p, summarise
from evolution.errors import InputError

# ---- statistics -----------------------------------------------------------------------------------------------------


def test_holm_by_hand():
    # sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1, which is below the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    without = holm([0.04, math.nan, 0.01])
    assert without[0] == pytest.approx(0.04)
    assert math.isnan(without[1])
    assert without[2] == pytest.approx(0.02)


def test_cliffs_delta_by_hand():
    assert cliffs_delta([1, 2, 3], [4, 5, 6]) == -1
    # of 6 pairs: 3 > 1, 3 > 2, 2 > 1 larger; 2 = 2 equal; 1 < 2 smaller, 1 = 1 equal
    assert cliffs_delta([1, 2, 3], [1, 2]) == pytest.approx(2 / 6)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.lists(st.integers(-3, 3), min_size=1, max_size=6))
def test_cliffs_delta_is_the_rank_sum_scaled(x, y):
    larger = stats.mannwhitneyu(x, y).statistic
    assert cliffs_delta(x, y) == pytest.approx(2 * larger / (len(x) * len(y)) - 1)
    assert cliffs_delta(x, y) == pytest.approx(-cliffs_delta(y, x))


def test_the_smallest_p_of_a_design():
    assert smallest_p(3, 3, paired=False) == pytest.approx(0.1)
    assert smallest_p(5, 5, paired=True) == pytest.approx(0.0625)
    assert smallest_p(1, 1, paired=True) == 1
    assert smallest_p(2, 0, paired=False) == 1  # one outcome is no two ends
    assert smallest_p(10, 10, paired=False) == pytest.approx(2 / 184756)
    assert smallest_p(30, 30, paired=True) == pytest.approx(2 / 10000)  # of 9999 that are drawn, and the one seen


def test_permutations_by_hand():
    # the groups are as far apart as they can be: 1 of 20 partitions, and its mirror image
    assert compare([1, 2, 3], [4, 5, 6], paired=False, test="permutation").p == pytest.approx(2 / 20)
    assert compare([1, 2, 3], [4, 5, 6], paired=False, test="mann-whitney").p == pytest.approx(2 / 20)
    # differences 1, 2, 3, -1: sums of the signed ones reach 5 in 1 + 1 of 16 ways with 1, 2, 3 up and either 1 down,
    # and 7 in one
    assert compare([1, 2, 3, 0], [0, 0, 0, 1], paired=True, test="permutation").p == pytest.approx(2 * 3 / 16)


def test_ranks_with_ties_are_exact():
    # values 1, 2 | 2, 3: U is 0.5; of 6 partitions U = 0 never occurs, U = 0.5 twice (either 2 beside the 1)
    found = compare([1, 2], [2, 3], paired=False, test="mann-whitney")
    assert found.exact
    assert found.p == pytest.approx(2 * 2 / 6)


def test_without_ties_mann_whitney_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=7), rng.normal(0.5, size=9)
    assert compare(x, y, paired=False, test="mann-whitney").p == stats.mannwhitneyu(x, y, method="exact").pvalue


def test_too_many_permutations_are_sampled_and_it_is_said():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=20), rng.normal(0.9, size=20)
    found = compare(x, y, paired=True, test="permutation")
    assert not found.exact
    assert found.p == pytest.approx(stats.ttest_rel(x, y).pvalue, abs=0.01)


def test_the_interval_is_scipys_bca():
    values = np.array([0.81, 0.84, 0.79, 0.9, 0.86])
    rng = np.random.default_rng(0)
    low, high = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=rng).confidence_interval
    found = summarise(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx(0.84)
    assert found.std == pytest.approx(math.sqrt((0.03**2 + 0.05**2 + 0.06**2 + 0.02**2) / 4))


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0]])
def test_an_interval_of_nothing_that_varies(values):
    found = summarise(values)
    assert math.isnan(found.low) if len(values) == 1 else (found.low, found.high, found.std) == (2, 2, 0)


def test_one_run_is_not_tested():
    found = compare([1.0], [4.0], paired=True, test="permutation")
    assert math.isnan(found.p)
    assert math.isnan(found.low)
    assert found.needed is None


@pytest.mark.parametrize(
    ("effect", "paired", "published"),
    [
        (0.2, False, 394),
        (0.5, False, 64),
        (0.8, False, 26),
        (0.2, True, 199),
        (0.5, True, 34),
        (9, False, 4),
        (9, True, 6),
    ],
)
def test_how_many_are_needed_is_cohens_table(effect, paired, published):
    """Cohen (1988), tables 2.4.1; the last two are what the exact tests need to come below 5 %."""
    spread = np.array([-1, 1]) / np.sqrt(2)  # standard deviation 1
    assert needed(spread + effect, np.zeros(2) if paired else spread, paired=paired) == published
    assert smallest_p(published, published, paired) <= LEVEL


# ---- studies --------------------------------------------------------------------------------------------------------

HEBBIAN, BACKPROP = [0.70, 0.71, 0.72], [0.84, 0.85, 0.83]


@pytest.fixture
def study(tmp_path):
    values = {
        "mnist": {"backprop": BACKPROP, "hebbian": HEBBIAN},
        "fashion_mnist": {"backprop": HEBBIAN, "hebbian": HEBBIAN},
    }
    return make_study(tmp_path / "study", values)


def read(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_study_is_compared_within_its_data_sets(study, capsys):
    assert main(["compare", str(study), "--unpaired"]) == 0
    said = capsys.readouterr().out
    assert (study / "compare.md").read_text() in said
    groups = {(row["dataset"], row["learning_rule"]): row for row in read(study / "compare.csv")}
    assert len(groups) == 4
    row = groups["mnist", "backprop"]
    assert (int(row["runs"]), float(row["mean"]), float(row["std"])) == (3, pytest.approx(0.84), pytest.approx(0.01))
    pairs = {row["within"]: row for row in read(study / "compare-pairs.csv")}
    assert set(pairs) == {"mnist", "fashion_mnist"}
    assert float(pairs["mnist"]["difference"]) == pytest.approx(0.13)
    assert float(pairs["mnist"]["p"]) == pytest.approx(0.1)
    assert float(pairs["mnist"]["p_holm"]) == pytest.approx(0.2)
    assert float(pairs["mnist"]["cliffs_delta"]) == 1
    assert float(pairs["fashion_mnist"]["p"]) == 1
    assert "3 against 3 unpaired can reach is 0.1, after Holm's correction 0.2: above 5 %" in said
    assert [float(row["value"]) for row in read(study / "compare-runs.csv")][-3:] == pytest.approx(HEBBIAN)
    assert (study / "compare.png").stat().st_size > 1000


def test_what_follows_from_the_grid_is_not_said_with_every_group(study):
    """A constant of one rule, the shearing of one data set; but what a cell has besides is said."""
    runs = module.find_runs([study])
    for run in runs:
        run.params["deskew"] = run.params["dataset"] == "mnist"
        run.params["noise_sigma"] = 0.1 if run.rule == "hebbian" else None
    grid = {"learning_rule": ["backprop", "hebbian"], "dataset": ["mnist", "fashion_mnist"], "seed": [0, 1, 2]}
    assert list(module.differences(runs, {"grid": grid})) == ["learning_rule", "dataset"]
    assert set(module.differences(runs, {})) == {"learning_rule", "dataset", "deskew", "noise_sigma"}
    runs[0].params["lr"] = 1
    assert list(module.differences(runs, {"grid": grid})) == ["learning_rule", "dataset", "lr"]


def test_seeds_are_paired_where_the_groups_share_them(study, capsys):
    runs = module.find_runs([study])
    found = module.compare_runs(runs, {})
    assert {pair.difference.paired for pair in found.pairs} == {True}
    assert found.pairs[0].difference.smallest_p == pytest.approx(2 / 8)
    short = [run for run in runs if not (run.rule == "hebbian" and run.params["seed"] == 1)]
    assert {pair.difference.paired for pair in module.compare_runs(short, {}).pairs} == {False}
    assert not any(pair.difference.paired for pair in module.compare_runs(runs, {}, test="mann-whitney").pairs)


def test_by_chooses_what_is_compared(study):
    found = module.compare_runs(module.find_runs([study]), {}, by=["dataset"])
    assert [(p.first.within, p.first.label, p.second.label) for p in found.pairs] == [
        ("backprop", "fashion_mnist", "mnist"),
        ("hebbian", "fashion_mnist", "mnist"),
    ]
    every = module.compare_runs(module.find_runs([study]), {}, by=["dataset", "learning_rule"])
    assert len(every.pairs) == 6


def test_groups_stand_in_the_order_of_the_study(study):
    grid = {"grid": {"learning_rule": ["hebbian", "backprop"], "dataset": ["mnist", "fashion_mnist"]}}
    found = module.compare_runs(module.find_runs([study]), grid)
    assert [(g.label, g.within) for g in found.groups] == [
        ("hebbian", "mnist"), ("hebbian", "fashion_mnist"), ("backprop", "mnist"), ("backprop", "fashion_mnist"),
    ]  # fmt: skip


def test_values_are_those_of_the_generation_asked_for(tmp_path):
    """Means over the window up to it; what is written at tests is the last test's."""
    points = [(step, float(step)) for step in range(30)]
    run = RunFolder(make_run(tmp_path / "run", {"seed": 0}, {"best/acc": points, "champion/test_acc": points}))
    assert module.value_at(run, "best/acc", 20, 10) == (15.5, 20)  # of 11 to 20
    assert module.value_at(run, "champion/test_acc", 20, 10) == (20, 20)
    assert module.value_at(run, "best/acc", None, 10) == (24.5, 29)
    assert module.value_at(run, "nothing", None, 10)[1] == -1


def test_runs_of_different_length_are_compared_where_all_have_come(study, tmp_path):
    params = {"learning_rule": "hebbian", "dataset": "mnist", "seed": 3, "num_generations": 21}
    make_run(study / "short", params, {"champion/test_acc": [(0, 0.1), (10, 0.5)]})
    runs = module.find_runs([study])
    together = module.compare_runs(runs, {})
    assert together.generation == 10
    assert {run.value for group in together.groups for run in group.found} <= {np.float32(0.1), 0.5}
    assert any("short ended there" in note for note in together.notes)
    at = module.compare_runs(runs, {}, at=21)  # a run of 21 generations ends with generation 20
    assert sum(len(group.found) for group in at.groups) == 12
    assert any("short (10)" in note for note in at.notes)


def test_what_has_no_finite_value_is_left_out_and_named(study):
    make_run(
        study / "burst",
        {"learning_rule": "hebbian", "dataset": "mnist", "seed": 4, "num_generations": 21},
        {"champion/test_acc": [(20, math.nan)]},
    )
    found = module.compare_runs(module.find_runs([study]), {})
    assert any("burst" in note for note in found.notes)
    assert all(math.isfinite(run.value) for group in found.groups for run in group.found)


def test_published_figures_stand_beside_ours(study, capsys):
    (study / "study.yaml").write_text(
        "compare: {metric: champion/test_acc, at: 20}\n"
        "published:\n"
        "  - {what: test accuracy, of: {learning_rule: backprop, dataset: mnist}, value: 0.92,\n"
        "     metric: champion/test_acc}\n"
    )
    assert main(["compare", str(study)]) == 0
    assert "| test accuracy, backprop, mnist | 0.92 | 0.84 | 0.01 | 3 | 20 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metric", "champion/tset_acc"], "no run has the metric 'champion/tset_acc'; there are champion/test_acc"),
        (["--at", "22"], "--at 22: no run has come so far; the last generation is 20"),
        (["--by", "lr"], "--by lr: the runs do not differ in it; they differ in dataset, learning_rule"),
    ],
)
def test_what_cannot_be_compared_is_one_line(study, capsys, arguments, said):
    assert main(["compare", str(study), *arguments]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_run_that_is_there_twice_is_one_line(study, tmp_path):
    make_study(tmp_path / "other", {"mnist": {"hebbian": HEBBIAN}})
    with pytest.raises(InputError, match=r"hebbian-mnist-seed0 and .*are the same run with the same seed"):
        module.compare_runs(module.find_runs([study, tmp_path / "other"]), {})


def test_a_folder_without_runs_is_one_line(tmp_path):
    with pytest.raises(InputError, match="there are no runs in this folder"):
        module.find_runs([tmp_path])
