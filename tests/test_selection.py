"""Cull, elite, tournament."""

from itertools import combinations

import numpy as np
import pytest
from genomes import WANN_MUTATIONS, evolved

from evolution.errors import InputError
from evolution.selection import SelectionSettings, draw_winners, next_generation, share


def test_winners_are_the_best_of_distinct_contestants():
    """Against all tournaments of 3 among 7, counted out."""
    counted = np.bincount([min(contest) for contest in combinations(range(7), 3)], minlength=7)
    drawn = np.bincount(draw_winners(70_000, 7, 3, np.random.default_rng(0)), minlength=7)
    np.testing.assert_allclose(drawn / 70_000, counted / 35, atol=0.01)
    assert not drawn[5:].any()  # the two worst never win: there are always two others


@pytest.mark.parametrize(("pool", "size"), [(1, 1), (5, 5), (768, 64), (5, 1)])
def test_winners_stay_inside_the_pool(pool, size):
    winners = draw_winners(5000, pool, size, np.random.default_rng(1))
    assert winners.min() >= 0
    assert winners.max() <= pool - size
    if size == 1:
        assert set(winners.tolist()) == set(range(pool))


def test_next_generation_by_hand():
    ranked = [evolved(seed, mutations=5) for seed in range(10)]
    settings = SelectionSettings(population_size=10, tournament_size=2, cull_ratio=0.28, elite_ratio=0.35)
    children = next_generation(ranked, settings, WANN_MUTATIONS, np.random.default_rng(0))
    assert len(children) == 10
    assert settings.num_kept == 8  # int(2.8) are dropped
    assert settings.num_elite == 3
    assert all(a is b for a, b in zip(children[:3], ranked[:3], strict=True))  # int(3.5) are copied
    assert not any(child is parent for child in children[3:] for parent in ranked[8:])


def test_what_one_child_draws_changes_no_other():
    ranked = [evolved(seed, mutations=5) for seed in range(10)]
    # Without connections add node and change activation draw nothing, so this parent's children draw less.
    others = [evolved(0, p_initial=0.0, mutations=0), *ranked[1:]]
    settings = SelectionSettings(population_size=10, tournament_size=3, cull_ratio=0.2, elite_ratio=0.0)
    for seed in range(5):
        parents = draw_winners(10, settings.num_kept, settings.tournament_size, np.random.default_rng(seed))
        before, after = (
            next_generation(pool, settings, WANN_MUTATIONS, np.random.default_rng(seed)) for pool in (ranked, others)
        )
        same = [a == b for a, b in zip(before, after, strict=True)]
        assert same == (parents != 0).tolist()
        assert 0 < sum(same) < 10


def test_a_tournament_larger_than_the_pool_is_an_error():
    SelectionSettings(10, 8, 0.2, 0.2)
    with pytest.raises(InputError, match="tournament_size 9 is larger than the 8"):
        SelectionSettings(10, 9, 0.2, 0.2)


def test_only_what_culling_left_is_copied():
    settings = SelectionSettings(population_size=10, tournament_size=2, cull_ratio=0.5, elite_ratio=0.8)
    assert (settings.num_kept, settings.num_elite) == (5, 5)


@pytest.mark.parametrize(("ratio", "of", "expected"), [(0.29, 100, 29), (0.57, 100, 57), (0.2, 96, 19), (1e-7, 10, 0)])
def test_ratios_mean_what_their_decimals_say(ratio, of, expected):
    assert share(of, ratio) == expected
    assert SelectionSettings(of, 1, ratio, 0.0).num_kept == of - expected


def test_ratios_that_leave_no_child_are_refused():
    with pytest.raises(InputError, match="copies all 10 networks and leaves no child"):
        SelectionSettings(population_size=10, tournament_size=2, cull_ratio=0.05, elite_ratio=1.0)
