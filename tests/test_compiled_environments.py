"""Which environments have a kernel, and the seam by which one is added from outside."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

import envs  # noqa: F401 (registers CartPoleSwingUp)
from envs import cartpole_swingup, rollout
from envs.compiled import cart_pole, find, swing_up
from envs.gym_task import GymTask
from evolution.errors import RunError
from evolution.genome import Genome
from evolution.workers import Workers


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


CLASSIC = ("MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1")


def gymnasium_plays(env_name: str, seed: int, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    environment = gymnasium.make(env_name).unwrapped
    observations = [environment.reset(seed=seed)[0]]
    rewards, terminated = [], []
    discrete = isinstance(environment.action_space, gymnasium.spaces.Discrete)
    for action in actions:
        taken = int(action[0]) if discrete else action.astype(np.float32)
        observation, reward, over, _, _ = environment.step(taken)
        observations.append(observation)
        rewards.append(reward)
        terminated.append(over)
    return np.array(observations), np.array(rewards), np.array(terminated)


@pytest.mark.parametrize("env_name", CLASSIC)
def test_classic_control_step_by_step(env_name: str) -> None:
    """60 episodes of 60 steps, by random actions and by ones that change seldom and so swing up to the limits.

    Within 1e-6 of 1 + |value|: observations are 32-bit floats, and sines are rounded otherwise in the last place.
    """
    compiled = find(env_name).compiled  # type: ignore[union-attr]
    rng = np.random.default_rng(0)
    for seed in range(60):
        hold = 1 if seed % 2 else 15
        shape = (60 // hold, len(compiled.outputs) if compiled.bounds else 1)
        choices = rng.integers(len(compiled.outputs), size=shape) if compiled.bounds is None else None
        actions = choices if choices is not None else rng.uniform(*np.multiply(compiled.bounds, 1.2), size=shape)
        actions = np.repeat(actions.astype(np.float64), hold, axis=0)
        if compiled.bounds:
            actions = np.clip(actions, *compiled.bounds)
        expected = gymnasium_plays(env_name, seed, actions)
        found = rollout.replay(env_name, seed, actions)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-9)  # rewards, in 64 bits
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("env_name", "limit"), [("MountainCar-v0", 200), ("Pendulum-v1", 200), ("Acrobot-v1", 500)])
def test_limits_of_steps(env_name: str, limit: int) -> None:
    compiled = find(env_name).compiled  # type: ignore[union-attr]
    still = Genome.initial(len(compiled.inputs), len(compiled.outputs), 0.0, np.random.default_rng(0))
    argmax = compiled.take_argmax_action
    rewards, lengths = rollout.episodes([still], env_name, [1.0], [0, 1], take_argmax_action=argmax)
    assert lengths.max() == limit
    assert np.isfinite(rewards).all()


def test_a_car_that_reaches_the_goal_ends_the_episode() -> None:
    """Pushing the way it moves gets the car up the hill."""
    for env_name, push in (("MountainCar-v0", (0.0, 2.0)), ("MountainCarContinuous-v0", (-1.0, 1.0))):
        environment = gymnasium.make(env_name).unwrapped
        observation = environment.reset(seed=1)[0]
        actions, over = [], False
        while not over:
            action = push[1] if observation[1] >= 0 else push[0]
            taken = int(action) if env_name == "MountainCar-v0" else np.float32([action])
            observation, reward, over, _, _ = environment.step(taken)
            actions.append([action])
        observations, rewards, terminated = rollout.replay(env_name, 1, actions)
        assert terminated.tolist() == [False] * (len(actions) - 1) + [True]
        np.testing.assert_allclose(observations[-1], observation, rtol=1e-4)
        assert rewards[-1] == pytest.approx(reward, abs=1e-5)
        assert observations[:, 0].min() == pytest.approx(-1.2, abs=0.3)


@pytest.mark.parametrize("env_name", ["CartPoleSwingUp", *CLASSIC])
def test_kernels_and_references_are_held_together(env_name: str) -> None:
    rollout.check(find(env_name))  # type: ignore[arg-type]


def test_an_edited_reference_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward halved in the class that one reads, the kernel left as it is."""
    plain = cartpole_swingup.step

    def halved(state: Any, action: float) -> Any:
        after, reward, over = plain(state, action)
        return after, reward / 2, over

    monkeypatch.setattr(cartpole_swingup, "step", halved)
    rollout.check.cache_clear()
    with pytest.raises(RunError, match=r"envs/compiled/swing_up.py and its reference in envs/cartpole_swingup.py"):
        GymTask("CartPoleSwingUp", num_trials=1, workers=Workers())
    rollout.check.cache_clear()
