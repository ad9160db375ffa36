"""What the inputs and outputs of a network are called."""

import gymnasium
import numpy as np
import pytest

from analysis.names import Names, names_of, neuron_names
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.mutation import add_node


def network(inputs: int, outputs: int) -> Genome:
    return Genome.initial(inputs, outputs, 1.0, np.random.default_rng(0))


def test_compiled_environments_say_their_names_under_any_id():
    expected = ("position", "velocity", "angle", "angular velocity")
    for task in ("CartPole-v0", "CartPole", "gymnasium:CartPole-v1"):
        assert names_of(network(4, 2), task).inputs == expected
    assert names_of(network(24, 4), "BipedalWalker-v2").outputs == ("hip 1", "knee 1", "hip 2", "knee 2")


def test_spaces_tell_the_names_of_other_environments():
    assert names_of(network(8, 4), "LunarLander-v3").outputs == ("action 0", "action 1", "action 2", "action 3")
    assert names_of(network(16, 4), "FrozenLake-v1").inputs[3] == "input 3"


def test_a_task_that_does_not_fit_or_is_a_users_gives_numbers():
    assert names_of(network(2, 2), "nowhere:Thing-v0").inputs == ("input 0", "input 1")
    assert names_of(network(5, 2), "LunarLander-v3").inputs[0] == "input 0"
    assert names_of(network(784, 10), "mnist").inputs[783] == "pixel 783"
    with pytest.raises(InputError, match="CartPole-v1 has 4 inputs and 2 outputs, this network 2 and 2"):
        names_of(network(2, 2), "CartPole-v1")


def test_an_id_that_resembles_a_known_one_is_not_taken_for_it():
    """`CartPole-v2` of two observations ended its run at the first portrait."""
    gymnasium.register("CartPole-v2", "broken_environments:Fair")
    try:
        assert names_of(network(2, 2), "CartPole-v2").inputs == ("input 0", "input 1")
    finally:
        gymnasium.registry.pop("CartPole-v2")


def test_neurons_are_named_by_id_the_bias_after_the_inputs():
    rng = np.random.default_rng(0)
    names = Names(("a", "b"), ("left",))
    for use_bias, expected in ((False, ["a", "b", "left", "hidden 3"]), (True, ["a", "b", "bias", "left", "hidden 4"])):
        genome = add_node(Genome.initial(2, 1, 1.0, rng, use_bias=use_bias), rng)
        assert neuron_names(genome, names) == expected
