"""Which environments have a kernel, and the seam by which one is added from outside."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

import envs  # noqa: F401 (registers CartPoleSwingUp)
from envs import rollout
from envs.compiled import cart_pole, find, swing_up
from evolution.genome import Genome


@pytest.fixture
def registered():
    """Registers ids for a test, and puts the registry back."""
    before = dict(gymnasium.registry)
    yield gymnasium.register
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.mark.parametrize(
    ("env_name", "compiled", "limit"),
    [
        ("CartPole-v0", cart_pole, 200),
        ("CartPole-v1", cart_pole, 500),
        ("CartPole", cart_pole, 500),  # the newest
        ("gymnasium:CartPole-v1", cart_pole, 500),
        ("CartPoleSwingUp", swing_up, 1000),
        ("envs:CartPoleSwingUp-v0", swing_up, 1000),
    ],
)
def test_an_id_is_what_gymnasium_resolves(env_name: str, compiled: Any, limit: int) -> None:
    found = find(env_name)
    assert found is not None
    assert found.compiled is compiled.COMPILED
    assert found.max_episode_steps == limit
    made = gymnasium.make(env_name)
    assert f"{type(made.unwrapped).__module__}:{type(made.unwrapped).__name__}" == found.compiled.reference


class OtherPole(CartPoleEnv):
    """Looks like CartPole, and is not."""


def test_a_known_id_of_another_class_is_not_ours(registered: Any) -> None:
    registered("CartPole-v1", OtherPole, max_episode_steps=500)
    assert not rollout.supports("CartPole-v1")
    assert not rollout.supports("CartPole")
    assert rollout.supports("CartPole-v0")
    registered("CartPole-v7", OtherPole)  # now the newest
    assert not rollout.supports("CartPole")
    registered("Balance-v0", CartPoleEnv, max_episode_steps=30)
    assert rollout.supports("Balance-v0")
    still = Genome.initial(4, 2, 0.0, np.random.default_rng(0))
    assert rollout.episodes([still], "Balance-v0", [1.0], [0], take_argmax_action=True)[1].max() <= 30


def test_what_is_wrapped_is_not_ours(registered: Any) -> None:
    wrapper = gymnasium.wrappers.TransformReward.wrapper_spec(func=lambda reward: 2 * reward)
    registered("Doubled-v0", CartPoleEnv, additional_wrappers=(wrapper,))
    assert not rollout.supports("Doubled-v0")


def test_arguments_are_served_or_left_to_gymnasium(registered: Any) -> None:
    assert not rollout.supports("CartPole-v1", {"masspole": 2.0})
    assert not rollout.supports("CartPole-v1", {"sutton_barto_reward": 1})
    registered("Sutton-v0", CartPoleEnv, kwargs={"sutton_barto_reward": True})
    for env_name, kwargs in (("CartPole-v1", {"sutton_barto_reward": True}), ("Sutton-v0", None)):
        rewards, terminated = rollout.replay(env_name, 0, np.zeros(20), kwargs)[1:]
        end = int(np.argmax(terminated))
        assert rewards[: end + 1].tolist() == [0.0] * end + [-1.0]
