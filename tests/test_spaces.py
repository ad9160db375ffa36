"""Observations of any finite space as inputs, outputs as actions of any finite space."""

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.film import in_colours
from envs.spaces import Actions, Observations, Unfit, takes_argmax
from evolution.errors import InputError, RunError

SIMPLE = st.one_of(
    st.integers(1, 4).map(lambda n: spaces.Discrete(n, start=2)),
    st.lists(st.integers(1, 3), min_size=1, max_size=3).map(spaces.MultiDiscrete),
    st.integers(1, 3).map(spaces.MultiBinary),
    st.sampled_from([(1,), (3,), (2, 2)]).map(lambda shape: spaces.Box(-1, 2, shape)),
)
ANY = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(spaces.Dict),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(ANY, st.integers(0, 1000))
def test_observations_are_flattened_as_gymnasium_does_and_actions_are_of_the_space(space, seed):
    space.seed(seed)
    observations, actions = Observations(space, "x"), Actions(space, "x")
    value = space.sample()
    np.testing.assert_array_equal(observations.flatten(value), spaces.flatten(space, value))
    assert len(observations.names) == observations.size == spaces.flatdim(space)
    assert len(actions.names) == actions.size
    assert space.contains(actions.choose(np.random.default_rng(seed).normal(size=actions.size) * 3))


def test_actions_by_hand():
    box = spaces.Box(np.float32([-1, -2]), np.float32([1, 2]))
    np.testing.assert_array_equal(Actions(box, "x").choose(np.array([-7.0, 1.5])), np.float32([-1, 1.5]))
    np.testing.assert_array_equal(Actions(box, "x", scale=True).choose(np.array([0.5, -1.0])), np.float32([0.5, -2]))
    assert Actions(box, "x").choose(np.array([0.0, np.nan])) is None
    discrete = Actions(spaces.Discrete(3, start=5), "x")
    assert discrete.choose(np.array([0.0, 2.0, 2.0])) == 6  # the first of equals
    assert discrete.choose(np.array([0.0, np.nan, 9.0])) == 6
    whole = Actions(spaces.Box(0, 9, (2,), np.int64), "x").choose(np.array([2.6, 11.0]))
    assert whole.tolist() == [3, 9]
    assert whole.dtype == np.int64
    groups = Actions(spaces.MultiDiscrete([2, 3]), "x")
    assert groups.choose(np.array([0.0, 1.0, 5.0, 4.0, 3.0])).tolist() == [1, 0]
    assert Actions(spaces.MultiBinary(3), "x").choose(np.array([0.1, 0.0, -1.0])).tolist() == [1, 0, 0]


def test_names():
    space = spaces.Dict(
        {"position": spaces.Box(-1, 1, (2,)), "speed": spaces.Box(-1, 1, (1,)), "gear": spaces.Discrete(2)}
    )
    assert Observations(space, "x").names == ("gear 0", "gear 1", "position[0]", "position[1]", "speed")
    assert Actions(spaces.Discrete(2), "x").names == ("action 0", "action 1")


def test_images_become_grey_and_smaller():
    space = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :4] = (255, 0, 0)  # a red quarter: 0.299 of white
    flat = Observations(space, "x", image_size=2).flatten(image)
    np.testing.assert_allclose(flat, [0.299 * 255, 0, 0, 0], atol=0.1)
    assert Observations(space, "x").size == 192


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Sequence(spaces.Discrete(2)), spaces.Tuple([spaces.Text(2)])])
def test_what_is_not_finite_is_refused(space):
    for what in (Observations, Actions):
        with pytest.raises(InputError, match="Tuple or Dict of these is needed"):
            what(space, "x")


@pytest.mark.parametrize(
    "value", [0.0, np.zeros(2), np.zeros((3, 1)), "abc", np.array(["a", "b", "c"]), None, [np.nan] * 3]
)
def test_observations_that_were_not_declared(value):
    with pytest.raises(Unfit):
        Observations(spaces.Box(-1, 1, (3,)), "x").flatten(value)


def test_values_beyond_the_bounds_of_a_box_are_taken():
    assert Observations(spaces.Box(-1, 1, (2,)), "x").flatten([5, -7]).tolist() == [5, -7]


def test_take_argmax_action_follows_from_the_space():
    assert takes_argmax(spaces.Discrete(2), "x", None)
    assert not takes_argmax(spaces.Box(-1, 1, (2,)), "x", None)
    with pytest.raises(InputError, match="must be true, or left out"):
        takes_argmax(spaces.Discrete(2), "x", False)
    with pytest.raises(InputError, match="must be false, or left out"):
        takes_argmax(spaces.Box(-1, 1, (2,)), "x", True)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 4)])
def test_frames_of_any_kind_become_colours(shape):
    frame = in_colours(np.full(shape, 0.5))  # floats from 0 to 1
    assert frame.shape == (4, 6, 3)
    assert frame.dtype == np.uint8
    assert set(frame.ravel()) == {127}


@pytest.mark.parametrize("picture", [None, "text", np.zeros(3), np.zeros((0, 4, 3)), np.zeros((4, 6, 2))])
def test_frames_that_are_none(picture):
    with pytest.raises(RunError):
        in_colours(picture)
