"""Fronts and crowding against a plain quadratic reference and against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evolution.ranking import crowding_distance, nondominated_fronts, rank

coarse = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 6).map(float))
fine = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(-1e9, 1e9))


def fronts_by_definition(values):
    """Peel off what nothing else dominates, again and again."""
    left, fronts = list(range(len(values))), []
    while left:
        front = [
            i for i in left if not any((values[j] >= values[i]).all() and (values[j] > values[i]).any() for j in left)
        ]
        fronts.append(front)
        left = [i for i in left if i not in front]
    return fronts


@settings(max_examples=300, deadline=None)
@given(coarse | fine)
def test_fronts_are_those_of_the_definition(values):
    assert [front.tolist() for front in nondominated_fronts(values)] == fronts_by_definition(values)


def test_crowding_distance_by_hand():
    # first objective: range 4, second: range 10
    values = np.array([[0.0, 10.0], [1.0, 8.0], [2.0, 3.0], [4.0, 0.0]])
    expected = [np.inf, 2 / 4 + 7 / 10, 3 / 4 + 8 / 10, np.inf]
    np.testing.assert_allclose(crowding_distance(values), expected)
    np.testing.assert_allclose(crowding_distance(values * [1000, 1]), expected)  # the scale does not matter


def test_crowding_distance_of_equal_and_of_few_points():
    np.testing.assert_array_equal(crowding_distance(np.ones((4, 2))), [np.inf, 0, 0, np.inf])
    np.testing.assert_array_equal(crowding_distance(np.ones((1, 2))), [np.inf])
    np.testing.assert_array_equal(crowding_distance(np.array([[0.0, 1.0], [1.0, 0.0]])), [np.inf, np.inf])
    assert crowding_distance(np.empty((0, 2))).shape == (0,)


def crowding_by_definition(values):
    """With Python's sort, which is stable: among equal values the first and the last are the ends."""
    distance = [0.0] * len(values)
    for objective in values.T.tolist():
        order = sorted(range(len(objective)), key=objective.__getitem__)
        extent = objective[order[-1]] - objective[order[0]]
        for place, i in enumerate(order):
            if place in (0, len(order) - 1):
                distance[i] = np.inf
            elif extent:
                distance[i] += (objective[order[place + 1]] - objective[order[place - 1]]) / extent
    return distance


@pytest.mark.parametrize("seed", range(5))
def test_crowding_distance_breaks_ties_in_order(seed):
    values = np.random.default_rng(seed).integers(0, 4, (500, 2)).astype(float)
    np.testing.assert_allclose(crowding_distance(values), crowding_by_definition(values))


def test_rank_sorts_by_front_then_by_crowding_and_keeps_ties():
    values = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0], [1.0, 8.0], [0.0, 10.0], [0.0, 0.0]])
    # The first front is 1..4: its ends (infinite, in order), then 2 (1.55) before 3 (1.2); 0 and 5 are equal.
    assert rank(values).tolist() == [1, 4, 2, 3, 0, 5]


def test_values_that_are_not_finite_come_last():
    values = np.array([[np.nan, 1.0], [0.0, 0.1], [np.inf, 1.0], [1.0, 0.1], [-np.inf, 2.0], [1.0, np.nan]])
    assert rank(values).tolist() == [3, 1, 0, 2, 4, 5]


@settings(max_examples=100, deadline=None)
@given(coarse | fine)
def test_rank_is_a_permutation_that_never_puts_a_dominated_point_first(values):
    order = rank(values)
    assert sorted(order.tolist()) == list(range(len(values)))
    place = np.argsort(order)
    for i in range(len(values)):
        dominates = (values[i] >= values).all(axis=1) & (values[i] > values).any(axis=1)
        assert (place[dominates] > place[i]).all()


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_fronts_of_any_number_of_objectives_are_those_of_the_definition(objectives):
    rng = np.random.default_rng(objectives)
    for _ in range(20):
        values = rng.integers(4, size=(30, objectives)).astype(float)
        left, expected = set(range(30)), []
        while left:
            front = [
                i
                for i in sorted(left)
                if not any((values[j] >= values[i]).all() and (values[j] > values[i]).any() for j in left)
            ]
            expected.append(front)
            left -= set(front)
        assert [front.tolist() for front in nondominated_fronts(values)] == expected
        assert sorted(rank(values).tolist()) == list(range(30))
